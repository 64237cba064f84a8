"""Random resized crops and mirroring of encoded photographs: bytes in, bytes out.

No more rows are decoded than a crop needs.
"""

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import ExifTags, Image
from simplejpeg import decode_jpeg

from shapebias.images.codec import MAX_MEGAPIXELS, MAX_RATIO, load_rgb

ASPECT = (3 / 4, 4 / 3)  # width ÷ height of a crop, its logarithm uniform
TRIES = 10  # to draw a crop that fits into the photograph
CONTEXT = 16  # pixels: rows below a crop that its last rows' colours are interpolated from

# Of a JPEG file (ITU-T T.81, table B.1): how it begins and ends, and the segments before its frame, each with a length.
START, END = b"\xff\xd8", b"\xff\xd9"
BASELINE = (0xC0, 0xC1)
CAMERA = 0xE1  # Exif and XMP
BEFORE_FRAME = frozenset({*range(0xE0, 0xF0), 0xDB, 0xC4, 0xDD, 0xFE})  # applications' data, tables, comments


@dataclass(frozen=True)
class Crop:
    """A rectangle of a photograph, in pixels, and whether it is mirrored left to right."""

    left: int
    top: int
    width: int
    height: int
    mirrored: bool


def augmented(data: bytes, rng: np.random.Generator, size: int, scale: tuple[float, float], flip: bool) -> torch.Tensor:
    """A random crop of an encoded photograph, uint8 [size, size, 3]; raises BadImageError.

    Which crop depends on the generator and the photograph's size alone (see draw_crop).
    """
    frame = plain_frame(data)
    if frame is None:
        pixels = decoded(data)
        height, width, _ = pixels.shape
        return cropped(pixels, draw_crop(rng, width, height, scale, flip), size)
    crop = draw_crop(rng, frame.width, frame.height, scale, flip)
    return cropped(decoded_rows(data, frame, crop.top + crop.height), crop, size)


def draw_crop(rng: np.random.Generator, width: int, height: int, scale: tuple[float, float], flip: bool) -> Crop:
    """A crop of a photograph of `width` × `height` pixels, distributed as torchvision's RandomResizedCrop draws it.

    scale: smallest and largest area, as parts of the photograph's. flip: mirror every second crop.
    Where ten tries give none that fits, the largest central crop of a permitted aspect ratio is taken.
    Source: Szegedy et al., CVPR 2015, arXiv 1409.4842.
    """
    low, high = math.log(ASPECT[0]), math.log(ASPECT[1])
    for _ in range(TRIES):
        area = width * height * rng.uniform(*scale)
        aspect = math.exp(rng.uniform(low, high))
        wide, tall = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < wide <= width and 0 < tall <= height:
            left, top = int(rng.integers(width - wide + 1)), int(rng.integers(height - tall + 1))
            break
    else:
        wide = min(width, round(height * ASPECT[1]))
        tall = min(height, round(width / ASPECT[0]))
        left, top = (width - wide) // 2, (height - tall) // 2
    return Crop(left, top, wide, tall, flip and bool(rng.random() < 0.5))


@dataclass(frozen=True)
class Frame:
    """A JPEG's size in pixels, and where in the file its height stands."""

    width: int
    height: int
    offset: int


def plain_frame(data: bytes) -> Frame | None:
    """The frame of a baseline JPEG, colour or grey, that ends as it should and is upright as it is.

    None for any other file, and for one that load_rgb would refuse for its size.
    """
    if not (data.startswith(START) and data.endswith(END)):
        return None
    at, camera = len(START), False
    while at + 10 <= len(data) and data[at] == 0xFF and data[at + 1] in BEFORE_FRAME:
        camera |= data[at + 1] == CAMERA
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    if at + 10 > len(data) or data[at] != 0xFF or data[at + 1] not in BASELINE or (camera and turned(data)):
        return None
    bits, components = data[at + 4], data[at + 9]
    frame = Frame(int.from_bytes(data[at + 7 : at + 9], "big"), int.from_bytes(data[at + 5 : at + 7], "big"), at + 5)
    shorter, longer = sorted((frame.width, frame.height))
    fits = 0 < longer <= MAX_RATIO * shorter and longer * shorter <= MAX_MEGAPIXELS * 1e6
    return frame if fits and bits == 8 and components in (1, 3) else None


def turned(data: bytes) -> bool:
    """Whether the camera says that the picture lies on its side, or what it says cannot be read."""
    try:
        return Image.open(io.BytesIO(data)).getexif().get(ExifTags.Base.Orientation, 1) != 1
    except Exception:  # Pillow raises nearly anything on damaged bytes
        return True


def decoded(data: bytes) -> np.ndarray:
    """All pixels of an encoded image, upright RGB, uint8 [H, W, 3]; raises BadImageError."""
    frame = plain_frame(data)
    return np.array(load_rgb(data)) if frame is None else decoded_rows(data, frame, frame.height)


def decoded_rows(data: bytes, frame: Frame, rows: int) -> np.ndarray:
    """At least the first rows of a plain JPEG, as Pillow decodes them, uint8 [at least rows, W, 3].

    A copy of the file that claims to be less high is decoded. That there is more to come then counts as damage that can
    be lived with, and so does a stray marker among the rows (which load_rgb, like this for all rows, refuses).
    Raises BadImageError.
    """
    less, height = bytearray(data), min(frame.height, rows + CONTEXT)
    less[frame.offset : frame.offset + 2] = height.to_bytes(2, "big")
    try:
        return decode_jpeg(less, colorspace="RGB", strict=height == frame.height)
    except ValueError:  # damaged: load_rgb says how, or mends what can be mended
        return np.array(load_rgb(data))


def cropped(pixels: np.ndarray, crop: Crop, size: int) -> torch.Tensor:
    """The crop of an image (uint8 [H, W, 3]), scaled to uint8 [size, size, 3]: bilinear, antialiased, as Pillow does.

    Pillow's own bytes differ by 0.02 grey levels in the mean, by 2 at most.
    """
    part = torch.from_numpy(pixels)[crop.top : crop.top + crop.height, crop.left : crop.left + crop.width]
    # [1, 3, h, w], seen to be channels last in memory (unsqueezed after permuting it would not be): no transposing.
    channels_first = part.unsqueeze(0).permute(0, 3, 1, 2)
    scaled = F.interpolate(channels_first, (size, size), mode="bilinear", antialias=True).permute(0, 2, 3, 1)[0]
    return scaled.flip(1) if crop.mirrored else scaled
