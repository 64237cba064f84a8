"""Every kind of image file is decoded to the right RGB pixels, or refused with the reason."""

import errno
import io
import os
import socket
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bad_files import bad_image_files, png_chunk, png_of_zeros
from helpers import bad_images
from PIL import Image

from shapebias.errors import BadImageError
from shapebias.images import codec
from shapebias.images.codec import encode, is_image_name, load_rgb, resize_shorter


def saved(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> list:
    """Return the decoded image as rows of (r, g, b)."""
    image = load_rgb(data)
    assert image.mode == "RGB"
    return [[tuple(map(int, pixel)) for pixel in row] for row in np.asarray(image)]


def test_greyscale_has_three_equal_channels():
    assert pixels(saved(Image.fromarray(np.array([[0, 100, 255]], np.uint8)))) == [[(0,) * 3, (100,) * 3, (255,) * 3]]


def test_black_and_white_has_only_black_and_white():
    assert pixels(saved(Image.new("1", (1, 1), 1))) == [[(255, 255, 255)]]


@pytest.mark.parametrize(
    ("ink", "rgb"),
    [((0, 0, 0, 0), (255, 255, 255)), ((0, 255, 255, 0), (255, 0, 0)), ((0, 0, 0, 255), (0, 0, 0))],
    ids=["no ink is white", "magenta and yellow are red", "black ink is black"],
)
def test_a_cmyk_jpeg_has_the_colours_of_its_inks(ink, rgb):
    decoded = np.asarray(load_rgb(saved(Image.new("CMYK", (8, 8), ink), "JPEG", quality=100)))
    assert np.abs(decoded.astype(int) - rgb).max() <= 3  # JPEG is lossy


def test_sixteen_bit_greyscale_is_scaled_not_clipped():
    values = np.array([[0, 256, 257, 25_700, 65_535]], np.uint16)  # 257 sixteen-bit steps are one eight-bit step
    assert pixels(saved(Image.fromarray(values))) == [[(0,) * 3, (1,) * 3, (1,) * 3, (100,) * 3, (255,) * 3]]


def test_a_photograph_is_rotated_by_its_exif_orientation():
    image = Image.new("RGB", (2, 1))
    image.putpixel((0, 0), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was rotated: the stored left side belongs on top
    assert pixels(saved(image, exif=exif)) == [[(255, 0, 0)], [(0, 0, 255)]]


def test_a_photograph_with_damaged_exif_data_is_still_decoded():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "x"
    data = saved(Image.new("RGB", (16, 8), (255, 0, 0)), "JPEG", exif=exif)
    damaged = data.replace(
        b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02"
    )  # the tag of the maker's name becomes the tag of the width
    assert damaged != data
    assert load_rgb(damaged).getpixel((4, 4)) == load_rgb(data).getpixel((4, 4))


def palette_image() -> Image.Image:
    """Return a palette image of a red and a green pixel."""
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    return image


def test_a_palette_image_gets_its_palette_s_colours():
    assert pixels(saved(palette_image())) == [[(255, 0, 0), (0, 255, 0)]]
    assert pixels(saved(palette_image(), "GIF")) == [[(255, 0, 0), (0, 255, 0)]]


def test_a_transparent_palette_colour_becomes_white():
    assert pixels(saved(palette_image(), transparency=1)) == [[(255, 0, 0), (255, 255, 255)]]


def test_transparent_pixels_are_blended_with_white():
    image = Image.new("RGBA", (3, 1))
    for x, alpha in enumerate((255, 51, 0)):
        image.putpixel((x, 0), (0, 0, 0, alpha))  # black: opaque, a fifth, not at all
    assert pixels(saved(image)) == [[(0,) * 3, (204,) * 3, (255,) * 3]]


def test_transparent_grey_is_blended_with_white():
    assert pixels(saved(Image.new("LA", (1, 1), (0, 0)))) == [[(255, 255, 255)]]


def test_the_transparent_colour_of_an_rgb_file_becomes_white():
    image = Image.new("RGB", (2, 1), (255, 0, 0))
    image.putpixel((1, 0), (0, 0, 255))
    assert pixels(saved(image, transparency=(0, 0, 255))) == [[(255, 0, 0), (255, 255, 255)]]


@pytest.mark.parametrize("name", ["a.JPEG", "a.jpg", "a.Png", "n0_1.x.JPG", "a.webp", "a.TIF"])
def test_file_endings_match_in_upper_and_lower_case(name):
    assert is_image_name(name)


@pytest.mark.parametrize("name", ["a.txt", "jpg", ".jpg", "a.jpg.txt", "a"])
def test_other_files_are_not_images(name):
    assert not is_image_name(name)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("truncated.jpg", "truncated"), ("empty.jpg", "empty file"), ("text.jpg", "not an image in a known format")],
)
def test_incomplete_images_are_refused_with_the_reason(tmp_path, name, reason):
    (tmp_path / name).write_bytes(bad_images()[name])
    with pytest.raises(BadImageError, match=reason):
        load_rgb(tmp_path / name)


def test_a_truncated_png_is_refused():
    data = saved(Image.effect_noise((64, 64), 50))
    with pytest.raises(BadImageError, match="damaged image"):
        load_rgb(data[: len(data) // 2])


def test_an_image_with_too_many_pixels_is_refused_before_decoding():
    data = saved(Image.new("1", (2000, 1000)))  # 2 megapixels
    with pytest.raises(BadImageError, match=r"2\.0 megapixels, more than the 1\.5 allowed"):
        load_rgb(data, max_megapixels=1.5)
    assert load_rgb(data, max_megapixels=2).size == (2000, 1000)


def test_a_hundred_megapixels_are_refused_by_default():
    with pytest.raises(BadImageError, match=r"100\.0 megapixels"):
        load_rgb(saved(Image.new("1", (10_000, 10_000))))


@pytest.mark.parametrize(
    ("before", "after"),
    [((200, 100), (64, 32)), ((100, 200), (32, 64)), ((32, 50), (32, 50)), ((10, 1000), (32, 3200))],
)
def test_the_shorter_side_is_scaled_to_the_size(before, after):
    assert resize_shorter(Image.new("RGB", before), 32).size == after


def test_png_is_lossless_and_jpeg_nearly_so():
    image = Image.linear_gradient("L").convert("RGB")
    suffix, data = encode(image, "png")
    assert suffix == "png" and load_rgb(data).tobytes() == image.tobytes()
    suffix, data = encode(image, "jpeg")
    assert suffix == "jpg"
    assert np.abs(np.asarray(load_rgb(data)).astype(int) - np.asarray(image)).max() <= 3


# Grey of more than 8 bits


def grey(*values: float, dtype: type = np.uint16, kind: str = "TIFF", **options) -> bytes:
    """Return a file with one row of grey pixels."""
    return saved(Image.fromarray(np.array([values], dtype)), kind, **options)


def levels(data: bytes) -> list[int]:
    """Return the grey levels of the decoded image's first row."""
    return [red for red, green, blue in pixels(data)[0] if red == green == blue]


def test_a_transparent_value_of_sixteen_bit_grey_is_white():
    data = grey(0, 257, 25_700, kind="PNG", transparency=257)
    assert levels(data) == [0, 255, 100]


@pytest.mark.parametrize(("depth", "row", "expected"), [(2, 0b00_01_10_11, [0, 255, 170, 255]), (4, 0x01, [0, 255])])
def test_a_transparent_value_of_two_or_four_bit_grey_is_white(depth, row, expected):
    header = struct.pack(">IIBBBBB", len(expected), 1, depth, 0, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", b"\0\1"), (b"IDAT", zlib.compress(bytes([0, row]))), (b"IEND", b"")]
    assert levels(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts)) == expected


def test_sixteen_bit_colour_with_a_transparent_colour_is_refused():
    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    parts = [(b"IHDR", header), (b"tRNS", bytes(6)), (b"IDAT", zlib.compress(bytes(7))), (b"IEND", b"")]
    with pytest.raises(BadImageError, match="16-bit colour with a transparent colour"):
        load_rgb(b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(*part) for part in parts))


def test_a_dark_sixteen_bit_pgm_stays_dark():
    assert levels(b"P5 2 1 65535\n" + struct.pack(">2H", 0, 255)) == [0, 1]
    assert levels(b"P5 2 1 4095\n" + struct.pack(">2H", 16, 4095)) == [1, 255]


def test_sixteen_bit_tiff_files_are_scaled_and_negatives_inverted():
    assert levels(grey(0, 257, 65_535)) == [0, 1, 255]
    assert levels(grey(0, 257, 65_535, tiffinfo={262: 0})) == [255, 254, 0]  # 0 is white


def test_whole_numbers_of_thirty_two_bits_are_read_as_sixteen_bits_or_refused():
    assert levels(grey(0, 25_700, 65_535, dtype=np.int32)) == [0, 100, 255]
    for values in [(0, 65_536), (-1, 65_535), (0, 200)]:
        with pytest.raises(BadImageError, match=f"white is unclear: values from {values[0]} to {values[1]:g}, not"):
            load_rgb(grey(*values, dtype=np.int32))


def test_fractions_are_read_from_0_to_1_or_to_255_or_refused():
    assert levels(grey(0, 0.4, 1, dtype=np.float32)) == [0, 102, 255]
    assert levels(grey(0, 100, 255, dtype=np.float32)) == [0, 100, 255]
    for values in [(0, 1.5), (-0.5, 1), (0, 300)]:
        with pytest.raises(BadImageError, match="white is unclear"):
            load_rgb(grey(*values, dtype=np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_no_numbers_are_refused(value):
    with pytest.raises(BadImageError, match=r"no numbers \(NaN or infinite\)|white is unclear"):
        load_rgb(grey(0.5, value, dtype=np.float32))


def test_large_transparent_and_deep_images_are_converted_strip_by_strip_to_the_same_pixels(monkeypatch):
    draw = np.random.default_rng(0)
    transparent = Image.fromarray(draw.integers(0, 256, (9, 7, 4), dtype=np.uint8))
    deep = Image.fromarray(draw.integers(0, 65_536, (9, 7), dtype=np.uint16))
    files = [saved(transparent), saved(deep), saved(deep, "TIFF")]
    at_once = [pixels(data) for data in files]
    monkeypatch.setattr(codec, "STRIP_PIXELS", 14)
    assert [pixels(data) for data in files] == at_once


# Files that are no images


@pytest.mark.parametrize("name", bad_image_files())
def test_every_bad_file_is_refused_with_a_reason(name):
    with pytest.raises(BadImageError) as refusal:
        load_rgb(bad_image_files()[name])
    assert str(refusal.value)


def test_a_photograph_that_holds_postscript_starts_no_program(tmp_path, monkeypatch):
    started = tmp_path / "started"
    (tmp_path / "gs").write_text(f'#!/bin/sh\necho "$@" >> {started}\n[ "$1" = --version ]\n')
    (tmp_path / "gs").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    with pytest.raises(BadImageError, match="not an image in a known format"):
        load_rgb(bad_image_files()["postscript.jpg"])
    assert not started.exists()


@pytest.mark.parametrize(
    "error", [RuntimeError, TypeError, NotImplementedError, AttributeError, struct.error, MemoryError]
)
def test_whatever_a_decoder_raises_sets_the_image_aside(monkeypatch, error):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: (_ for _ in ()).throw(error("odd bytes")))
    with pytest.raises(BadImageError, match="damaged image: odd bytes"):
        load_rgb(saved(Image.new("L", (4, 4))))


def test_ctrl_c_while_an_image_is_decoded_still_stops_the_job(monkeypatch):
    monkeypatch.setattr(Image.Image, "convert", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        load_rgb(saved(Image.new("L", (4, 4))))


# Files that are no regular files, and heavy ones


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (make_fifo, "not a regular file"),
        (make_socket, "cannot be read"),
        (lambda path: path.mkdir(), "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: path.symlink_to("gone"), "a link to gone, which does not exist"),
        (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
    ],
    ids=["FIFO", "socket", "folder", "device", "dangling link", "link to itself"],
)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path, monkeypatch, make, reason):
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    make(Path("f.jpg"))
    with pytest.raises(BadImageError, match=reason):
        load_rgb(Path("f.jpg"))


def test_a_file_of_three_gigabytes_is_refused_before_it_is_read(tmp_path, monkeypatch):
    with (tmp_path / "f.jpg").open("wb") as file:
        file.truncate(3_000_000_000)
    monkeypatch.setattr(codec, "open_regular_file", Unreadable)
    with pytest.raises(BadImageError, match=r"a file of 3,000 MB, more than the 200 MB allowed"):
        load_rgb(tmp_path / "f.jpg")


class Unreadable(io.FileIO):
    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("read")


def test_a_failing_disk_is_no_bad_image(tmp_path, monkeypatch):
    def fail(path: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))

    monkeypatch.setattr(codec, "open_regular_file", fail)
    with pytest.raises(OSError, match="Input/output error"):
        load_rgb(tmp_path / "f.jpg")


HEAVY: dict[str, Callable[[], bytes]] = {
    "transparent PNG": lambda: png_of_zeros(1000, 1000, colour_type=6, bits=8),
    "16-bit grey PNG": lambda: png_of_zeros(1000, 1000, colour_type=0, bits=16),
    "float TIFF": lambda: saved(Image.new("F", (1000, 1000)), "TIFF", compression="tiff_adobe_deflate"),
    "whole numbers in TIFF": lambda: saved(
        Image.new("I", (1000, 1000), 60_000), "TIFF", compression="tiff_adobe_deflate"
    ),
    "progressive JPEG": lambda: saved(Image.new("RGB", (1000, 1000)), "JPEG", progressive=True, subsampling=0),
    "CMYK JPEG": lambda: saved(Image.new("CMYK", (1000, 1000)), "JPEG"),
    "WebP": lambda: saved(Image.new("RGB", (1000, 1000)), "WEBP"),
    "AVIF": lambda: saved(Image.new("RGB", (1000, 1000)), "AVIF", speed=10),
    "JPEG2000": lambda: saved(Image.new("RGB", (1000, 1000)), "JPEG2000"),
    "TIFF in one strip": lambda: saved(
        Image.new("RGB", (1000, 1000)), "TIFF", compression="tiff_adobe_deflate", tiffinfo={278: 1000}
    ),
}


@pytest.mark.parametrize("name", HEAVY)
def test_an_image_that_takes_much_memory_is_refused_before_it_is_decoded(name):
    data = HEAVY[name]()
    with pytest.raises(BadImageError, match=r"take \d+ MB of memory to decode, more than the 5 MB allowed"):
        load_rgb(data, max_megapixels=1)
    assert load_rgb(data, max_megapixels=4.1).size == (1000, 1000)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "TIFF", "PPM"])
def test_a_plain_image_may_have_all_the_pixels_allowed(kind):
    assert load_rgb(saved(Image.new("RGB", (1000, 1000)), kind), max_megapixels=1).size == (1000, 1000)


def test_a_turned_image_counts_twice():
    exif = Image.Exif()
    exif[0x0112] = 6
    data = saved(Image.new("L", (1200, 1000)), exif=exif)
    assert load_rgb(data, max_megapixels=1.2).size == (1000, 1200)
    data = saved(Image.new("RGB", (1200, 1000)), exif=exif)
    with pytest.raises(BadImageError, match="of memory to decode"):
        load_rgb(data, max_megapixels=1.2)


def repeat_last_scan(data: bytes, times: int) -> bytes:
    """Return a progressive JPEG with its last scan repeated."""
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * times + data[-2:]


def test_a_jpeg_with_hundreds_of_scans_is_refused():
    data = saved(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG", progressive=True)
    assert 5 <= len(codec.jpeg_scans(data)) <= 20
    with pytest.raises(BadImageError, match=r"\d{3} scans, more than the 100 allowed in a JPEG"):
        load_rgb(repeat_last_scan(data, 200))


def test_scans_of_a_thumbnail_are_not_counted():
    thumbnail = saved(Image.new("RGB", (8, 8)), "JPEG", progressive=True)
    data = saved(Image.new("RGB", (64, 64)), "JPEG", comment=thumbnail * 20)
    assert codec.jpeg_scans(data) == [3]


def test_scans_of_a_second_image_in_a_file_are_not_counted():
    data = saved(Image.new("RGB", (64, 64)), "JPEG")
    assert codec.jpeg_scans(data + data) == [3]


def test_slowly_decoded_variants_are_limited_to_two_megapixels():
    with pytest.raises(BadImageError, match=r"2\.2 megapixels in a variant of PPM that decodes slowly"):
        load_rgb(b"P5 1500 1500 254\n" + bytes(1500 * 1500))
    assert load_rgb(b"P5 1500 1500 255\n" + bytes(1500 * 1500)).size == (1500, 1500)


def test_a_text_with_thousands_of_comments_is_refused():
    with pytest.raises(BadImageError, match="more than 100 comments"):
        load_rgb(b"P3 4 4 255\n" + b"#a\n" * 5000 + b"1 " * 48)
    assert load_rgb(b"P3 # by hand\n4 4 255\n" + b"1 " * 48).size == (4, 4)


@pytest.mark.parametrize("padding", [b"\xff" * 2000, b"\xff\xfe\0\2" * 1000], ids=["filling", "empty comments"])
def test_a_file_of_very_many_parts_is_refused(monkeypatch, padding):
    data = saved(Image.new("RGB", (16, 16)), "JPEG")
    monkeypatch.setattr(codec, "MAX_READS", 900)
    assert load_rgb(data).size == (16, 16)
    with pytest.raises(BadImageError, match="more than 900 parts"):
        load_rgb(data[:2] + padding + data[2:])
