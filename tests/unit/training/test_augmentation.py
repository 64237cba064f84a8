"""Augmentation: torchvision's distribution of crops, Pillow's pixels, and every file that load_rgb reads."""

import io

import numpy as np
import pytest
import torch
from helpers import bad_images, picture
from PIL import Image
from scipy.stats import ks_2samp
from torchvision.transforms import RandomResizedCrop

from shapebias.errors import BadImageError
from shapebias.images.codec import load_rgb
from shapebias.images.folder_files import image_files
from shapebias.seeding import generator
from shapebias.training.augmentation import (
    Crop,
    augment,
    baseline_frame,
    crop_and_resize,
    decode,
    decode_rows,
    sample_crop,
)

SCALE = (0.08, 1.0)


def smooth(size: tuple[int, int] = (125, 94), mode: str = "RGB") -> Image.Image:
    """Return coloured blobs of width × height; no side is a multiple of a JPEG block's."""
    return picture(0, (9, 7)).resize(size, Image.Resampling.BICUBIC).convert(mode)


def jpeg(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", **options)
    return buffer.getvalue()


def exif(orientation: int) -> Image.Exif:
    data = Image.Exif()
    data[0x0112] = orientation
    return data


# Position and size of crops


@pytest.mark.parametrize(("width", "height"), [(500, 375), (100, 300)])
def test_crops_have_torchvision_s_distribution(width, height):
    torch.manual_seed(0)
    blank, count = torch.empty(3, height, width), 4000
    theirs = np.array([RandomResizedCrop.get_params(blank, list(SCALE), [3 / 4, 4 / 3]) for _ in range(count)])
    rng = generator(0, "crops")
    crops = [sample_crop(rng, width, height, SCALE, flip=True) for _ in range(count)]
    own = np.array([(crop.top, crop.left, crop.height, crop.width) for crop in crops])
    for theirs_values, own_values in zip(theirs.T, own.T, strict=True):
        assert ks_2samp(theirs_values, own_values).pvalue > 0.001
    area, aspect = own[:, 2] * own[:, 3] / (width * height), own[:, 3] / own[:, 2]
    assert area.min() > 0.07 and area.max() <= 1 and aspect.min() > 0.7 and aspect.max() < 1.4
    assert 0.46 < np.mean([crop.mirrored for crop in crops]) < 0.54


@pytest.mark.parametrize(
    ("width", "height", "expected"),
    [(400, 100, Crop(133, 0, 133, 100, False)), (100, 400, Crop(0, 133, 100, 133, False))],
    ids=["a wide strip", "a tall strip"],
)
def test_the_central_crop_is_used_if_no_crop_fits(width, height, expected):
    assert sample_crop(generator(0), width, height, scale=(1.0, 1.0), flip=False) == expected


def test_a_crop_depends_only_on_its_key():
    def crops(*key: object) -> list[Crop]:
        return [sample_crop(generator(0, *key, i), 500, 375, SCALE, flip=True) for i in range(5)]

    assert crops("augment", 1) == crops("augment", 1) != crops("augment", 2)


# Pixels

ENCODINGS = {
    "all colours": {"subsampling": 0},
    "half the colours across": {"subsampling": 1},
    "a quarter of the colours": {"subsampling": 2},
    "restart markers": {"subsampling": 2, "restart_marker_rows": 1},
    "own tables": {"optimize": True},
    "a comment and a profile": {"comment": b"\xff\xc0", "icc_profile": bytes(70_000)},
    "an upright camera": {"exif": exif(1)},
    "a turned camera": {"exif": exif(6)},
    "progressive": {"progressive": True},
}


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", ENCODINGS.values(), ids=ENCODINGS.keys())
def test_every_jpeg_decodes_to_pillow_s_pixels(mode, options):
    data = jpeg(smooth(mode=mode), **options)
    expected = np.asarray(load_rgb(data))
    assert (decode(data) == expected).all()
    frame = baseline_frame(data)
    plain = mode != "CMYK" and "progressive" not in options and options.get("exif") != exif(6)
    assert (frame is not None) == plain
    for rows in (1, 16, 17, 50, 93, 94):
        top = expected if frame is None else decode_rows(data, frame, rows)
        assert len(top) >= rows and (top[:rows] == expected[:rows]).all()


def test_photographs_are_cropped_as_in_pillow(shared_data):
    folder = shared_data / "ilsvrc-sample"
    plain, differences = 0, []
    for file in image_files(folder)[::3]:
        data = (folder / file).read_bytes()
        plain += baseline_frame(data) is not None
        image = load_rgb(data)
        crop = sample_crop(generator(0, file), *image.size, SCALE, flip=True)
        box = (crop.left, crop.top, crop.left + crop.width, crop.top + crop.height)
        expected = np.asarray(image.crop(box).resize((224, 224), Image.Resampling.BILINEAR), int)
        expected = expected[:, ::-1] if crop.mirrored else expected
        differences.append(np.abs(augment(data, generator(0, file), 224, SCALE, flip=True).numpy() - expected))
    assert plain >= 68  # of 69
    assert max(d.max() for d in differences) <= 2 and np.mean(differences) < 0.03


def test_a_crop_has_the_right_position_and_its_mirrored_version_is_mirrored():
    pixels = np.array(picture(1, (40, 30)))
    crop = crop_and_resize(pixels, Crop(5, 3, 20, 20, mirrored=False), 20)
    assert (crop.numpy() == pixels[3:23, 5:25]).all()
    assert (crop_and_resize(pixels, Crop(5, 3, 20, 20, mirrored=True), 20).numpy() == pixels[3:23, 5:25][:, ::-1]).all()


def test_crops_have_the_memory_layout_of_batches():
    """Otherwise each batch would be transposed while it is stacked."""
    assert augment(jpeg(smooth()), generator(0), 32, SCALE, flip=False).is_contiguous()


# Other files


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "GIF"])
def test_other_file_formats_are_read_too(kind):
    buffer = io.BytesIO()
    smooth().save(buffer, format=kind)
    data = buffer.getvalue()
    assert (decode(data) == np.asarray(load_rgb(data))).all()
    assert augment(data, generator(0), 32, SCALE, flip=True).shape == (32, 32, 3)


def test_a_rotated_photograph_is_cropped_upright():
    data = jpeg(smooth((120, 60)), exif=exif(6))
    crop = augment(data, generator(3), 60, (1.0, 1.0), flip=False).numpy().astype(int)
    # 60 × 120 upright; no crop of the full area has an allowed shape, so the central 60 × 80 crop is used.
    expected = load_rgb(data).crop((0, 20, 60, 100)).resize((60, 60), Image.Resampling.BILINEAR)
    assert np.abs(crop - np.asarray(expected)).max() <= 2


@pytest.mark.parametrize("data", bad_images().values(), ids=bad_images().keys())
def test_invalid_images_are_refused(data):
    for read in (decode, lambda data: augment(data, generator(0), 32, SCALE, flip=True)):
        with pytest.raises(BadImageError):
            read(data)


def test_a_truncated_jpeg_is_refused_for_every_crop():
    complete = jpeg(picture(0, (200, 200)))
    truncated = complete[: len(complete) * 9 // 10]
    for seed in range(5):
        with pytest.raises(BadImageError, match="damaged"):
            augment(truncated, generator(seed), 32, (0.08, 0.1), flip=False)


@pytest.mark.parametrize("at", [*range(2, 700, 37), 683, 1395])  # 683 and 1395: a stray marker among the rows
def test_a_damaged_file_is_decoded_as_by_load_rgb_or_refused(at):
    data = bytearray(jpeg(smooth()))
    data[at] ^= 0xFF
    damaged = bytes(data)
    try:
        expected = np.asarray(load_rgb(damaged))
    except BadImageError:
        with pytest.raises(BadImageError):
            decode(damaged)
    else:
        assert (decode(damaged) == expected).all()


def test_a_strip_that_load_rgb_refuses_is_refused_with_its_reason():
    with pytest.raises(BadImageError, match="longer than 8 times"):
        decode(jpeg(smooth((90, 10))))
