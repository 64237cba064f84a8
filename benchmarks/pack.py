#!/usr/bin/env python3
"""Speed of packing against the plain Pillow loop in the same run, and the memory of a job.

The plain loop opens a file, scales its shorter side to 256 pixels and saves it as JPEG at quality 95. Photographs come
from a folder (--photographs, such as ILSVRC's), or are drawn with noise, which makes the files as large as real ones.
"""

import argparse
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from measuring import alternating, median, peak_memory, ratio, table
from PIL import Image

from shapebias.images.codec import load_rgb, resize_shorter
from shapebias.images.image_folder import image_files
from shapebias.images.image_store import ImageStore
from shapebias.images.listing import ListedImage, build_listing, write_listing
from shapebias.images.packing import FileEncoder, pack_images
from shapebias.images.rejections import Rejections
from shapebias.synthetic.scene import CLASSES, draw_image

SIZE = 256


def draw_photographs(folder: Path, count: int) -> Path:
    """Draw photographs of ILSVRC's usual size, 500 × 375."""
    folder.mkdir()
    for i in range(count):
        name = list(CLASSES)[i % len(CLASSES)]
        pixels = np.asarray(draw_image(name, f"{i}", size=384, seed=0).resize((500, 375)), float)
        noise = np.random.default_rng(i).normal(0, 8, pixels.shape)
        image = Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))
        image.save(folder / f"{i:04d}.jpg", quality=90)
    return folder


def enlarge(folder: Path, photographs: Path, count: int = 12) -> Path:
    """Write photographs enlarged to 2,400 pixels."""
    folder.mkdir()
    for i, file in enumerate(image_files(photographs)[:count]):
        image = load_rgb(photographs / file)
        scale = 2400 / max(image.size)
        sides = (round(image.width * scale), round(image.height * scale))
        image.resize(sides, Image.Resampling.BICUBIC).save(folder / f"{i}.jpg", quality=92)
    return folder


def plain_loop(folder: Path, files: list[str]) -> Callable[[], None]:
    def work() -> None:
        for file in files:
            image = Image.open(folder / file).convert("RGB")
            scale = SIZE / min(image.size)
            image = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC)
            image.save(io.BytesIO(), format="JPEG", quality=95)

    return work


def ours(folder: Path, files: list[str], workers: int) -> Callable[[], None]:
    rows = [ListedImage(file, file, "", "", "all") for file in files]
    make = FileEncoder(ImageStore(folder), SIZE, "jpeg")

    def work() -> None:
        for _ in pack_images(rows, make, lambda *pool: [], Rejections(0), workers):
            pass

    return work


def measure_rates(title: str, folder: Path, files: list[str], rounds: int) -> None:
    works = {
        "plain loop": plain_loop(folder, files),
        "ours": ours(folder, files, 0),
        "ours, 2 workers": ours(folder, files, 2),
    }
    times = alternating(works, rounds)
    rows = [
        (name, f"{len(files) / median(t):6.0f} images/s, {ratio(times['plain loop'], t):.2f} × the plain loop")
        for name, t in times.items()
    ]
    table(title, rows)


def measure_reduced_scale(folder: Path, rounds: int) -> None:
    paths = [folder / file for file in image_files(folder)]
    works = {
        "whole": lambda: [resize_shorter(load_rgb(path), SIZE) for path in paths],
        "reduced": lambda: [resize_shorter(load_rgb(path, shorter=SIZE), SIZE) for path in paths],
    }
    times = alternating(works, rounds)
    differences = [
        np.abs(
            np.asarray(resize_shorter(load_rgb(path), SIZE), float)
            - np.asarray(resize_shorter(load_rgb(path, shorter=SIZE), SIZE), float)
        )
        for path in paths
    ]
    table(
        f"decoding {len(paths)} photographs of 2,400 px",
        [
            ("reduced scale against whole", f"{ratio(times['whole'], times['reduced']):.2f} × (at least 2)"),
            ("mean difference", f"{np.mean([d.mean() for d in differences]):.2f} grey levels"),
            ("largest difference", f"{max(d.max() for d in differences):.0f} grey levels"),
        ],
    )


def measure_memory(folder: Path, files: list[str]) -> None:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        for count in (200, 2000):
            listed = [ListedImage(f"{i}", files[i % len(files)], "", "", "all") for i in range(count)]
            write_listing(Path(temporary) / "listing.parquet", build_listing(listed, {"all": 1}, 0))
            arguments = ["--listing", Path(temporary) / "listing.parquet", "--split", "all", "--shard", 0]
            arguments += ["--kind", "folder", "--folder", folder, "--size", SIZE, "--out", Path(temporary) / "0.tar"]
            rows.append((f"{count:,} images", f"{peak_memory('pack', *arguments):.0f} MiB"))
    table("peak memory of scripts/pack.py (flat, under 2,048 MiB)", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=Path, help="a folder of photographs (default: drawn photographs)")
    parser.add_argument("--rounds", type=int, default=5, help="rounds (default: %(default)s)")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.photographs or draw_photographs(Path(temporary) / "drawn", 200)
        files = image_files(folder)
        measure_rates(f"packing {2 * len(files)} photographs at {SIZE} px", folder, 2 * files, args.rounds)
        big = enlarge(Path(temporary) / "large", folder)
        measure_rates("packing photographs of 2,400 px", big, 4 * image_files(big), args.rounds)
        measure_reduced_scale(big, args.rounds)
        measure_memory(folder, files)


if __name__ == "__main__":
    main()
