"""Decode image files of any kind to RGB, resize, crop and encode them; report unusable files with the reason."""

import contextlib
import io
import struct
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from shapebias.errors import BadImageError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"}
)
MAX_MEGAPIXELS = 89.4  # above this Pillow suspects a decompression bomb
MAX_RATIO = 8  # of an image's sides: scaling a longer strip by its shorter side would use unbounded memory
REDUCING_GAP = 2  # a JPEG decoded at reduced scale stays at least this many times larger than the requested size
ENCODINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("jpg", {"format": "JPEG", "quality": 95, "subsampling": 0}),
    "png": ("png", {"format": "PNG"}),
}

# load_rgb reports large images itself. The filter is set once, since warning filters apply to all threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

BYTES_A_PIXEL = {"jpeg": 0.9, "png": 2.0}


def is_image_name(name: str) -> bool:
    """Return whether a file name has the ending of a supported image format, in upper or lower case."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def load_rgb(
    source: Path | bytes, max_megapixels: float = MAX_MEGAPIXELS, *, shorter: int | None = None
) -> Image.Image:
    """Decode a file (or its bytes) to an upright 8-bit RGB image.

    Greyscale, CMYK, 16-bit, palette and transparent images are converted (transparency onto white), and the EXIF
    orientation is applied. Raises BadImageError with the reason for anything but a complete image.
    max_megapixels: largest number of pixels to decode.
    shorter: the shorter side (pixels) that the caller will scale the image to. A JPEG is then decoded at 1/2, 1/4 or
    1/8 of its scale by libjpeg's inverse transform, as long as it stays REDUCING_GAP times larger than requested;
    the later scaling would average these pixels anyway.
    """
    data = source if isinstance(source, bytes) else source.read_bytes()
    if not data:
        raise BadImageError("empty file")
    try:
        image = Image.open(io.BytesIO(data))
        if shorter is not None:
            image.draft(None, (REDUCING_GAP * shorter, REDUCING_GAP * shorter))
        if max(image.size) > MAX_RATIO * min(image.size):
            raise BadImageError(f"{image.width} × {image.height} pixels: longer than {MAX_RATIO} times its width")
        megapixels = image.width * image.height / 1e6
        if megapixels > max_megapixels:
            raise BadImageError(f"{megapixels:.1f} megapixels, more than the {max_megapixels:g} allowed")
        image.load()
        return to_rgb(make_upright(image))
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError("not an image in a known format") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more pixels than the {max_megapixels:g} megapixels allowed") from None
    # On damaged bytes Pillow's decoders raise almost any exception; they all mean the same here.
    except (OSError, SyntaxError, ValueError, IndexError, EOFError, OverflowError, MemoryError) as error:
        raise BadImageError(f"damaged image: {error}") from None


def make_upright(image: Image.Image) -> Image.Image:
    """Rotate the image by its EXIF orientation; unreadable EXIF data are ignored."""
    with contextlib.suppress(struct.error, TypeError, ValueError, KeyError, OSError):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB without losing content (plain `convert` clips 16-bit values and drops alpha)."""
    if image.mode == "RGB" and "transparency" not in image.info:
        return image
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        values = np.asarray(image).astype(np.float32)
        if image.mode == "F":
            values = values * (255 if values.max() <= 1 else 1)
        elif image.mode.startswith("I;16") or values.max() > 255:
            values = values / 257  # 65535 becomes 255
        return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


def resize_shorter(image: Image.Image, size: int, resample: Image.Resampling = Image.Resampling.BICUBIC) -> Image.Image:
    """Scale the image so that its shorter side is `size` pixels (antialiased); unchanged if it already is.

    The longer side is rounded down, as torchvision's Resize does.
    """
    shorter = min(image.size)
    if shorter == size:
        return image
    width, height = (side * size // shorter for side in image.size)
    return image.resize((width, height), resample)


def centre_crop(image: Image.Image, size: int) -> Image.Image:
    """Return the central `size` × `size` pixels."""
    left, top = (image.width - size) // 2, (image.height - size) // 2
    return image.crop((left, top, left + size, top + size))


def encode(image: Image.Image, kind: str) -> tuple[str, bytes]:
    """Encode as `jpeg` (quality 95, no chroma subsampling) or `png`; return the file ending and the bytes."""
    suffix, options = ENCODINGS[kind]
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return suffix, buffer.getvalue()


def expected_encoded_bytes(side: int, kind: str) -> int:
    """Estimate the size of an encoded photograph in bytes, rather too high, to check disk space before a job.

    side: the shorter side, pixels. BYTES_A_PIXEL was measured on 207 ILSVRC photographs; the sides' ratio is 4:3.
    """
    return int(side * side * 4 / 3 * BYTES_A_PIXEL[kind])
