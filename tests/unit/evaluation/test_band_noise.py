"""Noise of one band: its spectrum, its strength, grey of low contrast, and one condition for each photograph."""

from collections import Counter

import numpy as np
import pytest

from shapebias.errors import UserError
from shapebias.evaluation.band_noise import (
    NOISE_LEVELS,
    band_centre,
    band_noise,
    choose_condition,
    count_bands,
    mask_image,
    noise_condition,
    parse_noise_condition,
)

PHOTOGRAPH = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)


def test_bands_are_octaves_from_1_75_cycles_per_image():
    assert [band_centre(float(k)) for k in (0, 3, 6)] == [1.75, 14, 112]


@pytest.mark.parametrize("band", range(7))
def test_noise_has_the_frequencies_of_its_band_alone(band):
    noise = band_noise(224, "photo", band)
    power = np.abs(np.fft.fft2(noise)) ** 2
    cycles = np.fft.fftfreq(224, 1 / 224)
    frequency = np.hypot(cycles[:, None], cycles[None, :])
    inside = (frequency >= 1.75 * 2**band / np.sqrt(2)) & (frequency <= 1.75 * 2**band * np.sqrt(2))
    assert power[~inside].sum() < 1e-12 * power.sum()
    assert noise.std() == pytest.approx(1) and abs(noise.mean()) < 1e-12


def test_a_masked_image_is_grey_with_a_fifth_of_the_contrast_and_the_noise_of_its_condition():
    plain = mask_image(PHOTOGRAPH, "photo", 0.0, 3).astype(float) / 255
    assert (plain == plain[:, :, :1]).all()
    luma = PHOTOGRAPH @ np.array([299, 587, 114]) / 255_000
    assert plain.mean() == pytest.approx(0.449, abs=0.002)
    np.testing.assert_allclose(plain[:, :, 0], (luma - luma.mean()) * 0.2 + 0.449, atol=0.004)
    for level in NOISE_LEVELS[1:]:
        noise = mask_image(PHOTOGRAPH, "photo", level, 3)[:, :, 0] / 255.0 - plain[:, :, 0]
        assert noise.std() == pytest.approx(level, rel=0.02)


def test_noise_depends_on_the_image_alone():
    same = mask_image(PHOTOGRAPH, "a", 0.08, 2)
    assert (same == mask_image(PHOTOGRAPH, "a", 0.08, 2)).all()
    assert (same != mask_image(PHOTOGRAPH, "b", 0.08, 2)).any()


def test_each_photograph_has_one_condition_and_all_are_equally_likely():
    counts = Counter(choose_condition(f"photo{i}", 224) for i in range(7000))
    assert len(counts) == 35 and min(counts.values()) > 140 and max(counts.values()) < 260  # 200 in the mean
    assert choose_condition("photo0", 224) == choose_condition("photo0", 224)
    assert {band for _, band in (choose_condition(f"photo{i}", 64) for i in range(500))} == {0, 1, 2, 3, 4}


def test_an_input_holds_the_bands_up_to_half_its_pixels():
    assert [count_bands(size) for size in (224, 384, 223, 112, 64, 14)] == [7, 7, 6, 6, 5, 3]
    with pytest.raises(UserError, match=r"13 pixels.*needs 14 pixels"):
        count_bands(13)


def test_conditions_are_named_as_in_the_published_trials():
    assert noise_condition(0.04, 3) == "noise0.04freq3" and noise_condition(0.0, 0) == "noise0freq0"
    assert parse_noise_condition("noise0.16freq6") == (0.16, 6)
    for wrong in ("noise0.16", "freq3", "noisefreq3", "noise-1freq3"):
        with pytest.raises(UserError, match=wrong):
            parse_noise_condition(wrong)
