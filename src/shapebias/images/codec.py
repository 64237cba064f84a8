"""Decode image files of any kind to RGB, resize, crop and encode them; report unusable files with the reason."""

import contextlib
import errno
import io
import os
import re
import struct
import warnings
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from shapebias.errors import BadImageError
from shapebias.files import open_regular_file

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".jp2"}
    | {".avif"}
)
# Pillow opens no other format, whatever a file is called. Some of the others start programs (PostScript: Ghostscript).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM", "JPEG2000", "AVIF")
MAX_MEGAPIXELS = 89.4  # above this Pillow suspects a decompression bomb
MAX_FILE_BYTES = 200_000_000  # of an image file, or of a file in an archive after unpacking
BUDGET_A_PIXEL = 5  # bytes of memory for each allowed pixel: a grey image (1) and its RGB copy (Pillow uses 4)
MAX_SCANS = 100  # of a JPEG; encoders write about ten, and each scan goes through all pixels
PYTHON_DECODERS = ("ppm", "ppm_plain", "bmp_rle")  # Pillow's decoders in Python: up to 3 seconds a megapixel
MAX_PYTHON_MEGAPIXELS = 2.0
MAX_READS = 5_000_000  # by Pillow's code in Python, about a microsecond each; an ordinary file takes hundreds
MAX_COMMENTS = 100  # in a PPM file of text; Pillow copies its block for each
MAX_RATIO = 8  # of an image's sides: scaling a longer strip by its shorter side would use unbounded memory
REDUCING_GAP = 2  # a JPEG decoded at reduced scale stays at least this many times larger than the requested size
STRIP_PIXELS = 2**18  # pixels converted at a time, so that a large image needs no second copy of more than 8 bits
ENCODINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("jpg", {"format": "JPEG", "quality": 95, "subsampling": 0}),
    "png": ("png", {"format": "PNG"}),
}

# load_rgb reports large images itself. The filter is set once, since warning filters apply to all threads.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

BYTES_A_PIXEL = {"jpeg": 0.9, "png": 2.0}

# Bytes of memory per pixel (JPEG2000: per pixel and channel) while a decoder runs, measured with Pillow 13.
WORKING_BYTES = {"WEBP": 16, "AVIF": 12, "JPEG2000": 6.5}
STORED_BYTES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # per pixel in memory; other modes: 4
JPEG_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # the next one after compressed data
START_OF_SCAN = 0xDA
TIFF_BITS, TIFF_PHOTOMETRIC, TIFF_STRIP_ROWS, TIFF_TILE_WIDTH, TIFF_TILE_HEIGHT = 258, 262, 278, 322, 323
WHITE_IS_ZERO = 0
WIDENED_GREY = {"L;2": 85, "L;4": 17}  # how Pillow stores 2- and 4-bit grey → the factor to 8 bits
# Errors of a single file. A failing disk gives others.
UNREADABLE = (errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENXIO, errno.EINVAL, errno.ENAMETOOLONG, errno.ENODEV)


def is_image_name(name: str) -> bool:
    """Return whether a file name has the ending of a supported image format, in upper or lower case."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


def read_image_file(path: Path) -> bytes:
    """Return the bytes of an image file.

    Raises BadImageError for a link that leads nowhere, for anything but a regular file (a FIFO or a device may never
    end), for a file that may not be read and for one of more than MAX_FILE_BYTES. Raises FileNotFoundError if nothing
    bears the name.
    """
    try:
        with open_regular_file(path) as file:
            check_file_size(os.fstat(file.fileno()).st_size)
            return file.read(MAX_FILE_BYTES)
    except FileNotFoundError:
        if path.is_symlink():
            raise BadImageError(f"a link to {path.readlink()}, which does not exist") from None
        raise
    except OSError as error:
        if error.errno in UNREADABLE:
            raise BadImageError(f"cannot be read: {error.strerror}") from None
        raise  # a failing disk: the same command may succeed later


def check_file_size(size: int) -> None:
    """Raise BadImageError if an image file has too many bytes to be read."""
    if size > MAX_FILE_BYTES:
        raise BadImageError(f"a file of {size / 1e6:,.0f} MB, more than the {MAX_FILE_BYTES / 1e6:,.0f} MB allowed")


class CountedReads(io.BytesIO):
    """A file in memory that may be read MAX_READS times, since some files make Pillow read each byte alone."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.reads = 0

    def read(self, size: int | None = -1, /) -> bytes:
        self.reads += 1
        if self.reads > MAX_READS:
            raise BadImageError(f"more than {MAX_READS:,} parts")
        return super().read(size)


def load_rgb(
    source: Path | bytes, max_megapixels: float = MAX_MEGAPIXELS, *, shorter: int | None = None
) -> Image.Image:
    """Decode a file (or its bytes) to an upright 8-bit RGB image.

    Greyscale, CMYK, 16-bit, palette and transparent images are converted (transparency onto white), and the EXIF
    orientation is applied. Raises BadImageError with the reason for anything but a complete image, and OSError if the
    disk fails. max_megapixels, shorter: as in `open_image`.
    """
    data = source if isinstance(source, bytes) else read_image_file(source)  # an error of the disk is no damage
    with refuse_damage(max_megapixels):
        image = open_image(data, max_megapixels, shorter=shorter)
        image.load()
        if is_turned(image):  # known only now: a PNG may have its EXIF data behind its pixels
            both = 2 * STORED_BYTES.get(image.mode, 4) * image.width * image.height
            check_memory(image, image.size, both, max_megapixels)
        return to_rgb(make_upright(image))


@contextlib.contextmanager
def refuse_damage(max_megapixels: float) -> Generator[None]:
    """Raise BadImageError instead of anything that Pillow's decoders raise on damaged bytes, which is any exception."""
    try:
        yield
    except BadImageError:
        raise
    except UnidentifiedImageError:
        raise BadImageError("not an image in a known format") from None
    except Image.DecompressionBombError:
        raise BadImageError(f"more pixels than the {max_megapixels:g} megapixels allowed") from None
    except Exception as error:
        raise BadImageError(f"damaged image: {str(error) or type(error).__name__}") from None


def open_image(
    source: Path | bytes, max_megapixels: float = MAX_MEGAPIXELS, *, shorter: int | None = None
) -> Image.Image:
    """Open a file (or its bytes) with Pillow, without decoding its pixels yet.

    max_megapixels: largest number of pixels to decode. An image that takes more memory than BUDGET_A_PIXEL for each of
    these pixels is refused as well, for example half as many pixels with transparency.
    shorter: the shorter side (pixels) that the caller will scale the image to. A JPEG is then decoded at 1/2, 1/4 or
    1/8 of its scale by libjpeg's inverse transform, as long as it stays REDUCING_GAP times larger than requested;
    the later scaling would average these pixels anyway.
    Raises BadImageError.
    """
    data = source if isinstance(source, bytes) else read_image_file(source)
    if not data:
        raise BadImageError("empty file")
    with refuse_damage(max_megapixels):
        image = Image.open(CountedReads(data), formats=FORMATS)
        if decoder_name(image) == "ppm_plain" and data.count(b"#") > MAX_COMMENTS:
            raise BadImageError(f"more than {MAX_COMMENTS} comments")
        full_size = image.size
        if shorter is not None:
            image.draft(None, (REDUCING_GAP * shorter, REDUCING_GAP * shorter))
        check_size(image, max_megapixels)
        check_memory(image, full_size, image_memory(image, full_size, data), max_megapixels)
        read_transparency(image)
        return image


def check_size(image: Image.Image, max_megapixels: float) -> None:
    """Raise BadImageError if an image has too many pixels or is too long."""
    if max(image.size) > MAX_RATIO * min(image.size):
        raise BadImageError(f"{image.width} × {image.height} pixels: longer than {MAX_RATIO} times its width")
    megapixels = image.width * image.height / 1e6
    if megapixels > max_megapixels:
        raise BadImageError(f"{megapixels:.1f} megapixels, more than the {max_megapixels:g} allowed")
    if decoder_name(image) in PYTHON_DECODERS and megapixels > MAX_PYTHON_MEGAPIXELS:
        raise BadImageError(
            f"{megapixels:.1f} megapixels in a variant of {image.format} that decodes slowly, more than the "
            f"{MAX_PYTHON_MEGAPIXELS:g} allowed; save it as PNG"
        )


def decoder_name(image: Image.Image) -> str:
    """Return the name of Pillow's decoder of a file that is open but not decoded yet, "" if it has none."""
    tiles = getattr(image, "tile", [])
    return tiles[0][0] if tiles else ""


def check_memory(image: Image.Image, full_size: tuple[int, int], needed: float, max_megapixels: float) -> None:
    """Raise BadImageError if decoding needs more bytes of memory than a plain image of `max_megapixels`."""
    allowed = BUDGET_A_PIXEL * max_megapixels * 1e6
    if needed > allowed:
        raise BadImageError(
            f"{full_size[0]} × {full_size[1]} pixels of this kind ({image.format}, {image.mode}) take "
            f"{needed / 1e6:,.0f} MB of memory to decode, more than the {allowed / 1e6:,.0f} MB allowed for "
            f"{max_megapixels:g} megapixels; make it smaller, or raise max_megapixels"
        )


def image_memory(image: Image.Image, full_size: tuple[int, int], data: bytes) -> float:
    """Estimate the most bytes of memory that decoding and converting an image take at any time.

    full_size: width and height in the file; a JPEG at reduced scale decodes to fewer pixels.
    """
    pixels, stored = image.width * image.height, STORED_BYTES.get(image.mode, 4)
    decoding = stored * pixels
    if image.format in WORKING_BYTES:
        channels = len(image.getbands()) if image.format == "JPEG2000" else 1
        decoding = max(decoding, WORKING_BYTES[image.format] * channels * pixels)
    elif image.format in ("JPEG", "MPO"):
        scans = jpeg_scans(data)
        if len(scans) > MAX_SCANS:
            raise BadImageError(f"{len(scans)} scans, more than the {MAX_SCANS} allowed in a JPEG")
        channels = len(image.getbands())
        if image.info.get("progressive") or (scans and scans[0] < channels):
            decoding += 2 * channels * full_size[0] * full_size[1]  # libjpeg collects all coefficients, two bytes each
    elif decoder_name(image) == "libtiff":
        decoding += tiff_part_memory(image)
    converting = 0 if image.mode == "RGB" and "transparency" not in image.info else (stored + 4) * pixels
    return max(decoding, converting)


def jpeg_scans(data: bytes) -> list[int]:
    """Return the number of channels in each scan of a JPEG, in order, up to the first damage or the end."""
    scans, position = [], 2
    while (marker := JPEG_MARKER.search(data, position)) and marker.end() + 3 <= len(data):
        position = marker.end()
        code = data[position - 1]
        if code == 0xD9:  # end of image; further images may follow
            break
        if code == START_OF_SCAN:
            scans.append(data[position + 2])
        if code not in (0x01, 0xD8):  # every other segment begins with its length
            position += int.from_bytes(data[position : position + 2], "big")
    return scans


def tiff_part_memory(image: Image.Image) -> float:
    """Return the bytes of the largest strip or tile of a TIFF file, which its decoder unpacks at once."""
    tags = image_tags(image)
    bits = tags.get(TIFF_BITS) or (8,)
    width, height = tags.get(TIFF_TILE_WIDTH), tags.get(TIFF_TILE_HEIGHT)
    if width is None or height is None:
        width, height = image.width, min(int(tags.get(TIFF_STRIP_ROWS) or image.height), image.height)
    return int(width) * int(height) * sum(bits) / 8


def image_tags(image: Image.Image) -> Mapping[int, Any]:
    """Return the tags of a TIFF file; images in other formats have none."""
    return getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}


def is_turned(image: Image.Image) -> bool:
    """Return whether the EXIF orientation turns a decoded image; unreadable EXIF data turn nothing."""
    with contextlib.suppress(Exception):
        return image.getexif().get(ExifTags.Base.Orientation, 1) != 1
    return False


def read_transparency(image: Image.Image) -> None:
    """Scale the transparent grey of a PNG as Pillow scales its pixels. Raises BadImageError for 16-bit colour.

    Pillow widens 2- and 4-bit grey and shortens 16-bit colour to 8 bits, but leaves the transparent value as it is.
    """
    transparent = image.info.get("transparency")
    if image.format != "PNG" or transparent is None or image.mode not in ("L", "RGB"):
        return
    stored_as = image.tile[0][3]  # ty: ignore[missing-attribute]
    if stored_as == "RGB;16B":
        raise BadImageError("16-bit colour with a transparent colour; save it with 8 bits, or with an alpha channel")
    if stored_as in WIDENED_GREY:
        image.info["transparency"] = transparent * WIDENED_GREY[stored_as]


def make_upright(image: Image.Image) -> Image.Image:
    """Rotate the image by its EXIF orientation; unreadable EXIF data are ignored."""
    with contextlib.suppress(struct.error, TypeError, ValueError, KeyError, OSError):
        ImageOps.exif_transpose(image, in_place=True)
    return image


def to_rgb(image: Image.Image) -> Image.Image:
    """Convert any Pillow mode to RGB without losing content (plain `convert` clips 16-bit values and drops alpha).

    Raises BadImageError if the values of white and black are unclear.
    """
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        white, transparent = white_value(image), image.info.get("transparency")
        negative = image_tags(image).get(TIFF_PHOTOMETRIC) == WHITE_IS_ZERO
        return convert_in_strips(image, lambda strip: grey_to_rgb(strip, white, transparent, negative))
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        return convert_in_strips(image, blend_with_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def convert_in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    """Convert an image to RGB, strip by strip; convert: a strip → the same strip in RGB."""
    rows = max(1, STRIP_PIXELS // image.width)
    result = Image.new("RGB", image.size)
    for top in range(0, image.height, rows):
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        result.paste(convert(strip), (0, top))
    return result


def blend_with_white(image: Image.Image) -> Image.Image:
    """Return a transparent image in front of white, RGB."""
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")


def grey_to_rgb(image: Image.Image, white: float, transparent: int | None, negative: bool) -> Image.Image:
    """Return a grey image of more than 8 bits as RGB.

    white: the value of white; black is 0. transparent: a value that is shown white. negative: 0 is white instead.
    Raises BadImageError for a pixel that is no finite number.
    """
    values = np.asarray(image)
    if not np.isfinite(values).all():
        raise BadImageError("pixels that are no numbers (NaN or infinite)")
    grey = np.rint(values.astype(np.float64) * (255 / white))
    if negative:
        grey = 255 - grey
    if transparent is not None:
        grey[values == transparent] = 255
    return Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).convert("RGB")


def white_value(image: Image.Image) -> float:
    """Return the value of white of a grey image of more than 8 bits.

    It is 65,535 for 16 bits and 4,095 for 12 bits. Whole numbers of 32 bits and fractions have no fixed white. They are
    read where their range leaves no doubt: up to 65,535 but above 255, and from 0 to 1 or to 255.
    Raises BadImageError for other ranges.
    """
    if image.mode.startswith("I;16"):
        return 4095 if tuple(image_tags(image).get(TIFF_BITS) or ()) == (12,) else 65535
    if image.format == "PPM" and image.mode == "I":
        return 65535  # Pillow scales every PGM of more than 8 bits to 16
    low, high = (float(value) for value in image.getextrema())  # ty: ignore[invalid-argument-type]
    if image.mode == "I":
        if low >= 0 and 255 < high <= 65_535:
            return 65535
        expected = "0 to 65,535, with values above 255"
    else:
        if low >= 0 and high <= 1:
            return 1
        if low >= 0 and 16 < high <= 255:
            return 255
        expected = "0 to 1, or 0 to 255"
    raise BadImageError(f"white is unclear: values from {low:g} to {high:g}, not {expected}; save it with 8 bits")


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
