"""Every kind of image file is decoded to the right RGB pixels, or refused with the reason."""

import io

import numpy as np
import pytest
from helpers import bad_images
from PIL import Image

from shapebias.errors import BadImageError
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
