"""Train an AdaIN decoder for an available encoder, in one process, or in several that torchrun starts.

Writes a folder: encoder.safetensors and decoder.safetensors (pass the folder as --weights to the stylizer adain),
history.csv (the losses) and sheet.png (some images, stylized before and after training).
"""

import argparse
import contextlib
import csv
import dataclasses
import logging
import sys
from collections.abc import Mapping
from pathlib import Path

import torch
from PIL import Image
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
)
from shapebias.commands.staging_options import add_staging_option
from shapebias.files import atomic_write
from shapebias.images.contact_sheets import Cell, contact_sheet
from shapebias.images.pictures import open_pictures
from shapebias.images.shards import expand
from shapebias.networks.weights import write_weights
from shapebias.stylize.adain import AdainStylizer, encoder_hash, load_encoder, random_encoder
from shapebias.stylize.decoder_training import (
    ContentStylePairs,
    DecoderRecipe,
    DecoderState,
    decoder_identity,
    initial_state,
    train_decoder,
)
from shapebias.training.checkpoints import Checkpoints, lock_checkpoints
from shapebias.training.distributed import World, join_process_group, leave_process_group
from shapebias.training.interruption import RETRY_STATUS, StoppedError
from shapebias.training.staging import stage_shards

log = logging.getLogger(__name__)

SHEET_PAIRS = 6  # content and style images on the sheet
NORMALIZATION_PAIRS = 32  # pairs of images on which a random encoder is normalized


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
    job.add_argument("--device", default="auto", help="cpu, cuda, or auto: a GPU if there is one")
    job.add_argument("--threads", type=positive_int, default=1, help="CPU threads for computing (default: %(default)s)")
    job.add_argument("--workers", type=non_negative_int, default=0, help="threads for decoding (default: %(default)s)")
    job.add_argument("--checkpoints", type=Path, metavar="DIR", help="folder of checkpoints (default: no checkpoints)")
    job.add_argument(
        "--checkpoint-minutes",
        type=non_negative_float,
        default=10.0,
        help="minutes between checkpoints (default: %(default)s)",
    )
    add_staging_option(job)
    job.add_argument("--out", type=Path, required=True, metavar="DIR")
    args = parser.parse_args(argv)
    if args.size > args.resize:
        parser.error(f"--size {args.size}: larger than --resize {args.resize}")
    return args


def make_encoder(args: argparse.Namespace, pairs: ContentStylePairs) -> nn.Sequential:
    """Return the encoder from a file, or a random encoder that is normalized on some of the images."""
    if args.encoder == "random":
        return random_encoder(args.width, args.seed, torch.cat(pairs.batch(-1, range(NORMALIZATION_PAIRS))))
    return load_encoder(Path(args.encoder))


def sheet_cells(
    encoder: nn.Sequential, before: nn.Sequential, state: DecoderState, pairs: ContentStylePairs
) -> list[Cell]:
    """Return the cells of the sheet: content, style, and the stylized images before and after training."""
    networks = [AdainStylizer(encoder, decoder, "cpu") for decoder in (before, state.decoder)]
    cells: list[Cell] = []
    for number in range(SHEET_PAIRS):
        content, style = pairs.pair("sheet", number)
        vector = networks[0].encode(style)[None]
        stylized: list[Image.Image] = [network.apply([content], vector, 1.0)[0] for network in networks]
        captions = ("content", "style", "before training", f"after {state.step:,} steps")
        cells += [(image, [text]) for image, text in zip((content, style, *stylized), captions, strict=True)]
    return cells


def write_results(
    args: argparse.Namespace, encoder: nn.Sequential, state: DecoderState, pairs: ContentStylePairs
) -> None:
    """Write the encoder, the history, the sheet and last the decoder."""
    recipe, history = pairs.recipe, state.history
    metadata = {"encoder": encoder_hash(encoder), "recipe": dataclasses.asdict(recipe), "losses": history[-1]}
    write_weights(args.out / "encoder.safetensors", encoder.cpu().state_dict(), {})
    with atomic_write(args.out / "history.csv") as draft, draft.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(history[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(history)
    before = initial_state(encoder, recipe, torch.device("cpu")).decoder
    first, last = history[0], history[-1]
    title = ", ".join(f"{k} loss {first[f'{k}_loss']:.3g} to {last[f'{k}_loss']:.3g}" for k in ("content", "style"))
    cells = sheet_cells(encoder, before, state, pairs)
    sheet = contact_sheet(cells, title=title, columns=4, cell_size=2 * min(recipe.size, 112))
    with atomic_write(args.out / "sheet.png") as draft:
        sheet.save(draft, format="PNG")
    weights = {key: value.contiguous() for key, value in state.decoder.cpu().state_dict().items()}
    write_weights(args.out / "decoder.safetensors", weights, metadata)


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    torch.set_num_threads(args.threads)
    world = join_process_group(args.device)
    paths = expand([*args.content, *args.styles])
    try:
        with contextlib.ExitStack() as stack:
            if args.checkpoints is not None:
                stack.enter_context(lock_checkpoints(args.checkpoints, world))
            train_and_write(args, world, stack.enter_context(stage_shards(paths if args.stage else [], world)))
    except StoppedError as stopped:
        log.info("%s", stopped)
        sys.exit(RETRY_STATUS)
    finally:
        leave_process_group()


def train_and_write(args: argparse.Namespace, world: World, copies: Mapping[Path, Path]) -> None:
    """Train a decoder and write the results. copies: shard → its copy on the node's own disk."""
    recipe = DecoderRecipe(**{item.name: getattr(args, item.name) for item in dataclasses.fields(DecoderRecipe)})
    contents, styles = (
        open_pictures([copies.get(path, path) for path in expand(paths)]) for paths in (args.content, args.styles)
    )
    pairs = ContentStylePairs(contents, styles, recipe, args.max_rejected)
    encoder = make_encoder(args, pairs)
    checkpoints = None
    if args.checkpoints is not None:
        checkpoints = Checkpoints(args.checkpoints, decoder_identity(encoder, recipe), minutes=args.checkpoint_minutes)
    try:
        state = train_decoder(
            encoder,
            pairs,
            recipe,
            device=torch.device(world.device),
            checkpoints=checkpoints,
            workers=args.workers,
            show=lambda steps: iter(progress(steps, total=len(steps), unit="steps", label="decoder")),
        )
    finally:
        if checkpoints:
            checkpoints.finish()  # while the folder is still locked
    if not world.is_first:
        return
    write_results(args, encoder, state, pairs)
    if checkpoints:
        checkpoints.remove()
    log.info("%s: %d steps, losses %s", args.out, state.step, state.history[-1])
