"""Drawn moles on skin, in the folders and tables of the ISIC 2017 challenge."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from shapebias.images.isic2017 import CHALLENGE_PARTS

HEADER = "image_id,melanoma,seborrheic_keratosis"


def lesion(melanoma: bool, seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Draw a small, round, brown mole, or a larger, ragged, darker melanoma, width × height."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: size[1], : size[0]] - np.array([size[1], size[0]])[:, None, None] * rng.uniform(0.42, 0.58)
    angle = np.arctan2(y, x)
    ragged = sum(rng.uniform(0.05, 0.15) * np.sin(n * angle + rng.uniform(0, 6)) for n in (2, 3, 5, 7))
    radius = min(size) * (rng.uniform(0.3, 0.4) * (1 + ragged) if melanoma else rng.uniform(0.15, 0.22))
    inside = np.clip(radius - np.hypot(x, y), 0, 2)[..., None] / 2
    skin = np.array([224, 178, 150]) + rng.uniform(-12, 12)
    mole = np.array([70, 42, 36] if melanoma else [150, 98, 72]) + rng.uniform(-12, 12)
    pixels = skin * (1 - inside) + mole * inside + rng.normal(0, 5, (*inside.shape[:2], 3))
    image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
    return image.filter(ImageFilter.GaussianBlur(0.6))


def challenge(root: Path, each: dict[str, tuple[int, int]]) -> Path:
    """Write the challenge's folders and tables. each: split → numbers of melanomas and of other lesions."""
    number = 0
    for split, part in CHALLENGE_PARTS.items():
        folder, rows = root / f"ISIC-2017_{part}_Data", [HEADER]
        folder.mkdir(parents=True)
        for melanoma, count in zip((True, False), each[split], strict=True):
            for i in range(count):
                name = f"ISIC_{number:07d}"
                lesion(melanoma, number).save(folder / f"{name}.jpg", quality=95)
                Image.new("RGB", (8, 8)).save(folder / f"{name}_superpixels.png")
                rows.append(f"{name},{float(melanoma)},{float(not melanoma and i % 3 == 0)}")
                number += 1
        (root / f"ISIC-2017_{part}_Part3_GroundTruth.csv").write_text("\n".join(rows) + "\n")
    return root
