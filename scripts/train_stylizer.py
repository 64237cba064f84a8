#!/usr/bin/env python3
"""Train AdaIN's decoder for an existing or random encoder, in one process or in several started by torchrun.

Writes a folder with encoder.safetensors and decoder.safetensors (use the folder as --weights of the stylizer adain),
history.csv (the losses) and sheet.png (example images stylized before and after training).
"""

import argparse
import contextlib
import csv
import dataclasses
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import save
from torch import nn

from shapebias.cli import (
    Parser,
    image_size,
    non_negative_float,
    non_negative_int,
    positive_float,
    positive_int,
    progress,
    proportion,
    run,
)
from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.images.contact_sheets import Cell, contact_sheet
from shapebias.images.pictures import open_pictures
from shapebias.images.shards import expand
from shapebias.networks.weights import METADATA_KEY
from shapebias.stylize.adain import AdainStylizer, encoder_hash, load_encoder, random_encoder
from shapebias.stylize.decoder_training import (
    ContentStylePairs,
    DecoderRecipe,
    DecoderState,
    initial_state,
    train_decoder,
)
from shapebias.training.distributed import Ranks, join, leave
from shapebias.training.interruption import TRY_AGAIN, StoppedError
from shapebias.training.run_lock import claimed
from shapebias.training.staging import add_staging_flag, staged

log = logging.getLogger(__name__)

SHEET_PAIRS = 6  # pairs on the sheet
NORMALIZATION_PAIRS = 32  # pairs of images that normalize a random encoder


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    inputs = parser.add_argument_group("images and encoder")
    inputs.add_argument("--content", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="photographs")
    inputs.add_argument("--styles", type=Path, nargs="+", required=True, metavar="DIR|TAR", help="paintings")
    inputs.add_argument("--encoder", required=True, metavar="FILE|random", help="VGG-19 to relu4_1")
    inputs.add_argument("--width", type=positive_int, default=64, help="channels of a random encoder's first stage")
    inputs.add_argument("--max-rejected", type=proportion, default=0.25, help="allowed fraction of rejected images")
    recipe = parser.add_argument_group("recipe (defaults of the published code)")
    kinds = (
        positive_int,
        positive_int,
        image_size,
        image_size,
        positive_float,
        non_negative_float,
        non_negative_float,
        non_negative_int,
    )
    for item, kind in zip(dataclasses.fields(DecoderRecipe), kinds, strict=True):
        recipe.add_argument(f"--{item.name.replace('_', '-')}", type=kind, default=item.default, help="%(default)s")
    job = parser.add_argument_group("job")
    job.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU if available")
    job.add_argument("--threads", type=positive_int, default=1, help="CPU threads for computing (default: %(default)s)")
    job.add_argument(
        "--workers", type=non_negative_int, default=0, help="threads that decode images (default: %(default)s)"
    )
    job.add_argument("--checkpoint", type=Path, metavar="FILE", help="an interrupted training resumes from this file")
    job.add_argument(
        "--checkpoint-steps", type=positive_int, default=1000, help="steps between checkpoints (default: %(default)s)"
    )
    add_staging_flag(job)
    job.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    if args.size > args.resize:
        parser.error(f"--size {args.size}: larger than --resize {args.resize}")
    return args


def first_encoder(args: argparse.Namespace, pairs: ContentStylePairs) -> nn.Sequential:
    """Return the encoder from a file, or a random encoder normalized on some of the images."""
    if args.encoder == "random":
        return random_encoder(args.width, args.seed, torch.cat(pairs.batch(-1, range(NORMALIZATION_PAIRS))))
    return load_encoder(Path(args.encoder))


def results(encoder: nn.Sequential, before: nn.Sequential, state: DecoderState, pairs: ContentStylePairs) -> list[Cell]:
    """Return cells of example pairs: content, style, and the result before and after training."""
    networks = [AdainStylizer(encoder, decoder, "cpu") for decoder in (before, state.decoder)]
    cells: list[Cell] = []
    for number in range(SHEET_PAIRS):
        content, style = pairs.pair("sheet", number)
        vector = networks[0].encode(style)[None]
        stylized: list[Image.Image] = [network.apply([content], vector, 1.0)[0] for network in networks]
        captions = ("content", "style", "before training", f"after {state.step:,} steps")
        cells += [(image, [text]) for image, text in zip((content, style, *stylized), captions, strict=True)]
    return cells


def write(args: argparse.Namespace, encoder: nn.Sequential, state: DecoderState, pairs: ContentStylePairs) -> None:
    recipe, history = pairs.recipe, state.history
    metadata = {"encoder": encoder_hash(encoder), "recipe": dataclasses.asdict(recipe), "losses": history[-1]}
    with atomic_write(args.out / "encoder.safetensors") as draft:
        draft.write_bytes(save(encoder.cpu().state_dict()))
    with atomic_write(args.out / "history.csv") as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    before = initial_state(encoder, recipe, torch.device("cpu")).decoder
    first, last = history[0], history[-1]
    title = ", ".join(f"{k} loss {first[f'{k}_loss']:.3g} to {last[f'{k}_loss']:.3g}" for k in ("content", "style"))
    cells = results(encoder, before, state, pairs)
    sheet = contact_sheet(cells, title=title, columns=4, cell_size=2 * min(recipe.size, 112))
    with atomic_write(args.out / "sheet.png") as draft:
        sheet.save(draft, format="PNG")
    with atomic_write(args.out / "decoder.safetensors") as draft:
        weights = {key: value.contiguous() for key, value in state.decoder.cpu().state_dict().items()}
        draft.write_bytes(save(weights, metadata={METADATA_KEY: json.dumps(metadata, sort_keys=True)}))


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    ranks = join(args.device)
    checkpoint, paths = args.checkpoint, expand([*args.content, *args.styles])
    try:
        with contextlib.ExitStack() as stack:
            if checkpoint is not None:
                stack.enter_context(claimed(checkpoint.with_name(f"{checkpoint.name}.claim"), ranks))
            train_one(args, ranks, stack.enter_context(staged(paths if args.stage else [], ranks)))
    except StoppedError as stopped:
        log.info("%s", stopped)
        sys.exit(TRY_AGAIN)
    finally:
        leave()


def train_one(args: argparse.Namespace, ranks: Ranks, copies: Mapping[Path, Path]) -> None:
    """Train the decoder and write the results. copies: shard → its copy on the node's local disk."""
    recipe = DecoderRecipe(**{item.name: getattr(args, item.name) for item in dataclasses.fields(DecoderRecipe)})
    contents, styles = (
        open_pictures([copies.get(path, path) for path in expand(paths)]) for paths in (args.content, args.styles)
    )
    pairs = ContentStylePairs(contents, styles, recipe, args.max_rejected)
    encoder = first_encoder(args, pairs)
    state = train_decoder(
        encoder,
        pairs,
        recipe,
        device=torch.device(ranks.device),
        checkpoint=args.checkpoint,
        checkpoint_steps=args.checkpoint_steps,
        workers=args.workers,
        show=lambda steps: iter(progress(steps, total=len(steps), unit="step", label="decoder")),
    )
    if not ranks.first:
        return
    if not state.history:
        raise UserError(f"--steps {recipe.steps}: training made no step")
    write(args, encoder, state, pairs)
    if args.checkpoint is not None:
        args.checkpoint.unlink(missing_ok=True)
    log.info("%s: %d steps, losses %s", args.out, state.step, state.history[-1])


if __name__ == "__main__":
    run(main)
