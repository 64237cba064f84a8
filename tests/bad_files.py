"""A corpus of small files that are no usable images, made by code; each name says why."""

import functools
import io
import random
import struct
import zlib

from PIL import Image

PNG_START = b"\x89PNG\r\n\x1a\n"


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """Return a chunk of a PNG file with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png_of_zeros(width: int, height: int, *, colour_type: int, bits: int) -> bytes:
    """Return a PNG file whose pixels are all 0; it is about a thousand times smaller than its pixels."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour_type]
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    packer, row = zlib.compressobj(9), bytes(1 + (width * channels * bits + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    return PNG_START + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed) + png_chunk(b"IEND", b"")


def encoded(kind: str, **options: object) -> bytes:
    """Return a small photograph-like image in a format of Pillow."""
    image = Image.linear_gradient("L").resize((40, 30))
    buffer = io.BytesIO()
    Image.merge("RGB", (image, image.rotate(180), image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))).save(
        buffer, kind, **options
    )
    return buffer.getvalue()


@functools.cache
def bad_image_files() -> dict[str, bytes]:
    """Return file name → bytes of files that no loader may accept."""
    jpeg, png, tiff, avif = (encoded(kind) for kind in ("JPEG", "PNG", "TIFF", "AVIF"))
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    return {
        "empty.jpg": b"",
        "one-byte.jpg": b"\xff",
        "text.jpg": b"This is not a photograph.\n",
        "web-page.jpg": b"<!doctype html><title>404</title>",
        "zeros.jpg": bytes(4096),
        "postscript.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 60 44\n%%EndComments\nshowpage\n%%EOF\n",
        "pdf.jpg": b"%PDF-1.4\n%%EOF\n",
        "icon.jpg": encoded("ICO"),
        "tga.png": encoded("TGA"),
        "dds.jpg": encoded("DDS"),
        "im.jpg": encoded("IM"),
        "pcx.bmp": encoded("PCX"),
        "half.jpg": jpeg[: len(jpeg) // 2],
        "half.png": png[: len(png) // 2],
        "half.tif": tiff[: len(tiff) // 2],
        "half.webp": (webp := encoded("WEBP"))[: len(webp) // 2],
        "half.gif": (gif := encoded("GIF"))[: len(gif) // 2],
        "half.avif": avif[: len(avif) // 2],
        "half.jp2": (jp2 := encoded("JPEG2000"))[: len(jp2) // 4],
        "half.ppm": (ppm := encoded("PPM"))[: len(ppm) // 2],
        "start-only.png": PNG_START,
        "huge-header.png": PNG_START + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", b"") + png_chunk(b"IEND", b""),
        "bad-checksum.png": png.replace(png[29:33], bytes(4)),
        "no-size.ppm": b"P6 0 0 255\n",
        "damaged.avif": damage_of_a_runtime_error(avif),
        "strip.png": png_of_zeros(2000, 1, colour_type=0, bits=8),
    }


def damage_of_a_runtime_error(data: bytes) -> bytes:
    """Return an AVIF file with the first damaged byte that Pillow reports as a RuntimeError."""
    for place in range(len(data)):
        damaged = data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :]
        try:
            Image.open(io.BytesIO(damaged)).load()
        except RuntimeError:
            return damaged
        except Exception:
            continue
    raise AssertionError("no byte of this AVIF file gives a RuntimeError")


MUTATED_KINDS = {
    "JPEG": {},
    "progressive JPEG": {"progressive": True},
    "PNG": {},
    "TIFF": {},
    "packed TIFF": {"compression": "tiff_lzw"},
    "WEBP": {},
    "BMP": {},
    "GIF": {},
    "JPEG2000": {},
    "AVIF": {"speed": 10},
    "PPM": {},
}


@functools.cache
def intact_images() -> list[bytes]:
    """Return one small file of each kind in MUTATED_KINDS, with EXIF data where the format has them."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "maker"
    files = []
    for name, options in MUTATED_KINDS.items():
        kind = name.split()[-1]
        files.append(encoded(kind, **options, **({"exif": exif} if kind in ("JPEG", "PNG", "WEBP", "AVIF") else {})))
    return files


def mutated_image(seed: int) -> bytes:
    """Return a small image file with a few random changes, as a function of the seed."""
    draw = random.Random(seed)
    data = bytearray(draw.choice(intact_images()))
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        # Half of all changes hit the first bytes, where the headers are.
        place = draw.randrange(min(len(data), 120)) if draw.random() < 0.5 else draw.randrange(len(data))
        change = draw.randrange(5)
        if change == 0:
            data[place] ^= 1 << draw.randrange(8)
        elif change == 1:
            data[place] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
        elif change == 2:
            data[place : place + draw.randrange(1, 9)] = b""
        elif change == 3:
            data[place:place] = draw.randbytes(draw.randrange(1, 9))
        else:
            data[place : place + 4] = draw.choice((bytes(4), b"\xff" * 4, draw.randbytes(4)))
        if len(data) < 2:
            break
    return bytes(data[: draw.randrange(1, len(data) + 1)]) if draw.random() < 0.1 else bytes(data)
