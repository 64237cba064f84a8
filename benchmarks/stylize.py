#!/usr/bin/env python3
"""Speed of stylizing against a simple loop with the same weights in the same run.

The plain loop works like public code: one image at a time, with its style encoded for each image, in torch's own memory
layout. Weights are random, because speed does not depend on them. Photographs and paintings are drawn.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import torch
from measuring import alternating, median, peak_memory, ratio, table
from PIL import Image
from torch import nn
from torchvision import transforms
from torchvision.utils import save_image

from shapebias.images.codec import encode
from shapebias.images.pictures import decode_pictures, open_pictures
from shapebias.images.rejections import Rejections
from shapebias.images.shards import Label, write_shard
from shapebias.parallel import ordered_map
from shapebias.seeding import generator
from shapebias.stylize.adain import make_decoder, make_encoder, read_adain
from shapebias.stylize.ghiasi import GhiasiStylizer, as_batch
from shapebias.stylize.pipeline import ContentGeometry, StylePictures, StyleSampler, stylize_images
from shapebias.stylize.stylizers import Stylizer
from shapebias.synthetic.paintings import painting
from shapebias.synthetic.scene import CLASSES, draw_image

CONTENT, CROP, STYLE = 256, 224, 512
# Operations of an encoder or a decoder of the published width at 224 × 224 pixels: two per multiply-add.
GIGAFLOP = 2 * 24.2


def draw_images(folder: Path, contents: int, styles: int) -> None:
    """Draw photographs of 384 pixels and paintings of 512, as JPEG files."""
    names = list(CLASSES)
    for part, count in (("content", contents), ("styles", styles)):
        (folder / part).mkdir()
        for i in range(count):
            if part == "content":
                image = draw_image(names[i % len(names)], f"{i}", size=384, seed=0)
            else:
                image = Image.fromarray(painting(generator(0, "painting", i), STYLE))
            image.save(folder / part / f"{i:04d}.jpg", quality=95)


def draw_weights(folder: Path) -> None:
    torch.manual_seed(0)
    folder.mkdir()
    torch.save(make_encoder().state_dict(), folder / "encoder.pth")
    torch.save(make_decoder().state_dict(), folder / "decoder.pth")


@torch.no_grad()
def plain_loop(
    folder: Path, encoder: nn.Module, decoder: nn.Module, size: int = CONTENT, crop: int = CROP, device: str = "cpu"
) -> None:
    """Stylize with AdaIN, one image at a time, with the styles in turn."""
    as_content = transforms.Compose([transforms.Resize(size), transforms.CenterCrop(crop), transforms.ToTensor()])
    as_style = transforms.Compose([transforms.Resize(STYLE), transforms.ToTensor()])
    (folder / "plain").mkdir(exist_ok=True)
    styles = sorted((folder / "styles").iterdir())
    for i, path in enumerate(sorted((folder / "content").iterdir())):
        images = Image.open(path).convert("RGB"), Image.open(styles[i % len(styles)]).convert("RGB")
        features, target = (
            encoder(f(image)[None].to(device)) for f, image in zip((as_content, as_style), images, strict=True)
        )
        (mean, std), (to_mean, to_std) = (
            (f.mean((2, 3), keepdim=True), (f.var((2, 3), keepdim=True) + 1e-5).sqrt()) for f in (features, target)
        )
        save_image(decoder((features - mean) / std * to_std + to_mean), folder / "plain" / path.name)


def ours(folder: Path, stylizer: Stylizer, size: int, crop: int | None, workers: int = 0) -> None:
    """Stylize with the library, called as in scripts/stylize.py."""
    contents, rejections = open_pictures([folder / "content"]), Rejections(0)
    styles = StylePictures(open_pictures([folder / "styles"]), stylizer, rejections)
    images = stylize_images(
        decode_pictures(contents, rejections, workers),
        stylizer,
        StyleSampler(styles, 0, False),
        ContentGeometry(size, crop),
    )

    def encode_sample(item: tuple[Label, Image.Image]) -> tuple[Label, str, bytes]:
        return item[0], *encode(item[1], "jpeg")

    write_shard(folder / "ours.tar", ordered_map(encode_sample, images, workers))


def measure_adain(folder: Path, contents: int, rounds: int) -> None:
    stylizer = read_adain(folder / "weights", "cpu")
    encoder, decoder = make_encoder().eval(), make_decoder().eval()
    encoder.load_state_dict(torch.load(folder / "weights" / "encoder.pth", weights_only=True))
    decoder.load_state_dict(torch.load(folder / "weights" / "decoder.pth", weights_only=True))
    times = alternating(
        {
            "plain": lambda: plain_loop(folder, encoder, decoder),
            "ours": lambda: ours(folder, stylizer, CONTENT, CROP),
        },
        rounds,
    )
    batch = [draw_image("tabby", "x", size=CROP, seed=0)] * stylizer.batch_size
    vectors = np.stack([stylizer.encode(batch[0])] * len(batch))
    a, b = torch.rand(4096, 4096), torch.rand(4096, 4096)
    networks = alternating(
        {"product": lambda: a @ b, "networks": lambda: stylizer.apply(batch, vectors, 1.0)}, 3 * rounds
    )
    product = median(2 * 4096**3 / 1e9 / t for t in networks["product"])
    reached = median(GIGAFLOP * len(batch) / t for t in networks["networks"])
    table(
        f"adain: {contents} images of {CROP} px from {CONTENT}, {contents // 10} styles of {STYLE} px, 2 threads",
        [
            ("plain loop", f"{contents / median(times['plain']):.2f} images/s"),
            ("ours", f"{contents / median(times['ours']):.2f} images/s"),
            ("ratio", f"{ratio(times['plain'], times['ours']):.2f} (at least 4)"),
            ("matrix product", f"{product:.0f} GFLOP/s"),
            (
                "published encoder's and decoder's work",
                f"{reached:.0f} GFLOP/s, {reached / product:.0%} of it (at least 70 %)",
            ),
        ],
    )


def measure_ghiasi(folder: Path, contents: int, rounds: int) -> None:
    network = GhiasiStylizer(threads=1)
    vector = network.encode(Image.fromarray(painting(generator(0, "painting", 0), 256))).reshape(1, 1, 1, -1)
    pixels = as_batch(draw_image("tabby", "x", size=CROP, seed=0))

    def bare() -> None:
        """Call only the ONNX networks, for the job's numbers of images and styles."""
        for _ in sorted((folder / "styles").iterdir()):
            network.predict.run(None, {network.predict.get_inputs()[0].name: as_style})
        for _ in range(contents):
            network.transform.run(None, {network.content_input: pixels, network.style_input: vector})

    as_style = as_batch(Image.fromarray(painting(generator(0, "painting", 0), 256)))
    times = alternating({"bare": bare, "ours": lambda: ours(folder, network, CROP, None)}, rounds)
    table(
        f"ghiasi: {contents} images of {CROP} px, 1 thread",
        [
            ("bare ONNX calls", f"{1000 * median(times['bare']) / contents:.1f} ms an image"),
            ("ours, from file to shard", f"{1000 * median(times['ours']) / contents:.1f} ms an image"),
            ("ratio", f"{ratio(times['ours'], times['bare']):.2f} (at most 1.08)"),
        ],
    )


def measure_memory(folder: Path) -> None:
    rows = []
    for name, few, many in (("ghiasi", 100, 400), ("adain", 16, 64)):
        for count in (few, many):
            with tempfile.TemporaryDirectory() as temporary:
                place = Path(temporary)
                draw_images(place, count, 2)
                weights = ["--weights", folder / "weights", "--threads", 2] if name == "adain" else []
                arguments = ["--content", place / "content", "--styles", place / "styles", "--stylizer", name, *weights]
                sizes = ["--content-size", CONTENT, "--crop", CROP, "--device", "cpu", "--out", place / "x.tar"]
                rows.append((f"{name}, {count} images", f"{peak_memory('stylize', *arguments, *sizes):.0f} MiB"))
    table("peak memory of scripts/stylize.py (flat, under 2,048 MiB)", rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=20, help="images per round (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="rounds (default: %(default)s)")
    parts = ("adain", "ghiasi", "memory")
    parser.add_argument("--only", nargs="+", default=parts, choices=parts, help="what to measure (default: all)")
    args = parser.parse_args()
    torch.set_num_threads(2)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        draw_images(folder, args.images, max(1, args.images // 10))
        draw_weights(folder / "weights")
        if "adain" in args.only:
            measure_adain(folder, args.images, args.rounds)
        if "ghiasi" in args.only:
            measure_ghiasi(folder, args.images, args.rounds)
        if "memory" in args.only:
            measure_memory(folder)


if __name__ == "__main__":
    main()
