"""Checks that a device computes what it should: precisions, ranks, resuming, compiling, stylizing, decisions.

Each check is a generator of rows for `isolation.run_isolated`. A check of order (ranks, resuming, compiling) turns
TF32 off, so that two computations of the same numbers differ in the order of their sums alone.
"""

import multiprocessing
import os
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from gpu_data import Sizes, build_network, open_split, training_sets
from isolation import Row, bounded
from PIL import Image
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from shapebias.evaluation.decisions import PROBABILITIES
from shapebias.evaluation.observer import measure, wrap_network
from shapebias.images.pictures import open_pictures
from shapebias.networks.models import memory_format
from shapebias.networks.sync_batch_norm import synchronize_batch_norm
from shapebias.stylize.adain import AdainStylizer, random_encoder, read_adain
from shapebias.stylize.decoder_training import ContentStylePairs, DecoderRecipe, train_decoder
from shapebias.synthetic.scene import CLASSES
from shapebias.training.checkpoints import Checkpoints
from shapebias.training.data_loading import BatchPlan, ImageBatches
from shapebias.training.distributed import World, leave_process_group
from shapebias.training.interruption import StoppedError, StopSignal
from shapebias.training.loop import HistoryRow, initial_state, train, train_step
from shapebias.training.recipe import Recipe

# Largest allowed differences. benchmarks/README.md says where each comes from.
LOSS = {"float32": 5e-3, "bf16": 2e-2, "fp16": 5e-3}  # of a step's loss, relative
CHANGE = {"float32": 0.2, "bf16": 0.4, "fp16": 0.2}  # of the weights' change, relative to its length
SAME_LOSS, SAME_CHANGE = 1e-3, 0.05  # the same numbers in another order of sums
GREY_LEVELS = 2.0  # of a stylized pixel
PROBABILITY = 0.005  # of a category
NEAR_TIE = 2 * PROBABILITY  # two categories closer than this may change places
FP16_SCALE = 2.0**10  # low enough that no step is skipped, so that both precisions take the same steps

RECIPE = Recipe(epochs=1, optimizer="momentum", lr=0.001, schedule="constant", patience=0)


@dataclass(frozen=True)
class Training:
    """losses: of each step (nats). change: of all weights, float64 [weights]."""

    losses: list[float]
    change: torch.Tensor


def use_exact_float32() -> None:
    """Compute convolutions of float32 on a GPU in float32, without TF32's ten bits."""
    torch.backends.cudnn.allow_tf32 = False


def use_determinism() -> None:
    """Take the same path in every run, where the GPU's libraries have one; call it before the first use of the GPU."""
    os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # read when cuBLAS starts
    torch.use_deterministic_algorithms(True, warn_only=True)
    # The backward passes of these two add in any order.
    torch.backends.cuda.enable_flash_sdp(False)
    torch.backends.cuda.enable_mem_efficient_sdp(False)


def flat_weights(network: nn.Module) -> torch.Tensor:
    return torch.cat([weights.detach().cpu().double().flatten() for weights in network.parameters()])


def distance(change: torch.Tensor, reference: torch.Tensor) -> float:
    """Return the length of the difference of two changes of weights, relative to the reference."""
    return float((change - reference).norm() / reference.norm())


def loss_difference(losses: Sequence[float], reference: Sequence[float]) -> float:
    """Return the largest relative difference between two series of losses."""
    return max(abs(a - b) / abs(b) for a, b in zip(losses, reference, strict=True))


def agreement_rows(name: str, training: Training, reference: Training, loss: float, change: float) -> Iterator[Row]:
    yield bounded(f"{name}: losses", loss_difference(training.losses, reference.losses), loss)
    yield bounded(f"{name}: change of weights", distance(training.change, reference.change), change)


def take_steps(
    folder: Path, sizes: Sizes, name: str, recipe: Recipe, world: World, *, with_ddp: bool = False
) -> Training:
    """Take `sizes.steps` steps of training from the same weights on the same images, as `train` does.

    with_ddp: distribute a single rank's network over the process group, too.
    """
    recipe = replace(recipe, batch_size=sizes.batch, threads=sizes.threads)
    network, prepared = build_network(sizes, name)
    sets = training_sets(folder, prepared, recipe, sizes.steps * sizes.batch)
    layout = memory_format(network, prepared.size)
    network.to(world.device).to(memory_format=layout)
    source = ImageBatches(*sets, BatchPlan(sets[0].labels, recipe, 0, world), layout)
    if with_ddp:
        network = synchronize_batch_norm(network, world.device)
    before = flat_weights(network)
    state = initial_state(network, recipe, "all", source.steps, world)
    if with_ddp:
        state.forward = DistributedDataParallel(state.forward, forward_sync_buffers=False)
    if recipe.precision == "fp16":
        state.scaler = torch.amp.GradScaler(world.device.partition(":")[0], init_scale=FP16_SCALE)
    network.train()
    losses = [
        train_step(state, step, recipe, world=world)[0] / step.weight
        for step in islice(source.training(0), sizes.steps)
    ]
    return Training(losses, flat_weights(network) - before)


def precision(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check float32, bf16 and fp16 on the device against float32 on the CPU.

    On a CPU, the rows of float32 compare it with itself.
    """
    torch.set_num_threads(sizes.threads)
    for name in sizes.networks:
        reference = take_steps(folder, sizes, name, RECIPE, World())
        for kind in ("float32", "bf16", "fp16"):
            training = take_steps(folder, sizes, name, replace(RECIPE, precision=kind), World(device=device))
            yield from agreement_rows(f"{name} in {kind}", training, reference, LOSS[kind], CHANGE[kind])


def compiled(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check the compiled network with batch norm against the plain one."""
    torch.set_num_threads(sizes.threads)
    use_exact_float32()
    name = next(iter(sizes.networks))
    reference, training = (
        take_steps(folder, sizes, name, replace(RECIPE, compile=compile), World(device=device))
        for compile in (False, True)
    )
    yield from agreement_rows(f"{name}, compiled", training, reference, SAME_LOSS, SAME_CHANGE)


# Ranks


class OneRank(World):
    """A single rank that sums over its process group all the same."""

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        distributed.all_reduce(values)
        return values


def one_rank(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check a network that is distributed over one rank (NCCL; on a CPU gloo) against one that is not."""
    torch.set_num_threads(sizes.threads)
    use_exact_float32()
    backend = "nccl" if device.startswith("cuda") else "gloo"
    name = next(iter(sizes.networks))
    reference = take_steps(folder, sizes, name, RECIPE, World(device=device))
    # The group never leaves this machine, whose other interfaces may lead nowhere.
    os.environ.setdefault("NCCL_SOCKET_IFNAME", "lo")
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    distributed.init_process_group(backend, init_method=f"tcp://127.0.0.1:{free_port()}", rank=0, world_size=1)
    try:
        training = take_steps(folder, sizes, name, RECIPE, OneRank(device=device), with_ddp=True)
    finally:
        leave_process_group()
    yield from agreement_rows(f"{name}, one rank over {backend}", training, reference, SAME_LOSS, SAME_CHANGE)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def be_rank(rank: int, folder: Path, sizes: Sizes, device: str) -> None:
    """Train as one of two ranks on the same device; the first writes the result."""
    torch.set_num_threads(max(1, sizes.threads // 2))
    use_exact_float32()
    # Not join_process_group, which wants one GPU for each rank and NCCL on it.
    distributed.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    result = train_once(folder, sizes, next(iter(sizes.networks)), RECIPE, World(rank, 2, device))
    if rank == 0:
        torch.save(result, folder / "ranks.pt")
    leave_process_group()


def two_ranks(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check an epoch and its validation by two ranks on one device, over gloo, against one process."""
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    context = multiprocessing.get_context("fork")  # before this process uses the GPU
    ranks = [context.Process(target=be_rank, args=(rank, folder, sizes, device)) for rank in (0, 1)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    if any(process.exitcode for process in ranks):
        raise RuntimeError(f"the ranks ended with status {[process.exitcode for process in ranks]}")
    torch.set_num_threads(sizes.threads)
    use_exact_float32()
    history, change = torch.load(folder / "ranks.pt")
    expected, expected_change = train_once(folder, sizes, next(iter(sizes.networks)), RECIPE, World(device=device))
    name = f"{next(iter(sizes.networks))}, two ranks over gloo"
    for key in ("train_loss", "val_loss"):
        difference = loss_difference([row[key] for row in history], [row[key] for row in expected])
        yield bounded(f"{name}: {key.replace('_', ' ')}", difference, SAME_LOSS)
    yield bounded(f"{name}: change of weights", distance(change, expected_change), SAME_CHANGE)


def train_once(
    folder: Path,
    sizes: Sizes,
    name: str,
    recipe: Recipe,
    world: World,
    *,
    checkpoints: Checkpoints | None = None,
    stop: StopSignal | None = None,
    trainable: str = "all",
) -> tuple[list[HistoryRow], torch.Tensor]:
    """Train for `recipe.epochs` of `sizes.steps` steps; return the history and the change of the weights."""
    recipe = replace(recipe, batch_size=sizes.batch, threads=sizes.threads)
    network, prepared = build_network(sizes, name)
    sets = training_sets(folder, prepared, recipe, sizes.steps * sizes.batch)
    before = flat_weights(network)
    state = train(network, *sets, recipe, trainable=trainable, seed=0, world=world, checkpoints=checkpoints, stop=stop)
    return state.history, flat_weights(network) - before


# Resuming


class StopAfter(StopSignal):
    """Requests a stop after a number of steps, as a signal would."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps_left = steps

    def requested(self) -> bool:
        self.steps_left -= 1
        return self.steps_left < 0


def resume(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check a training in fp16 that stops in its second epoch and resumes against uninterrupted ones.

    The scale of the loss starts at torch's own 65,536, so that steps may be skipped, and the checkpoint holds it. The
    bits must be equal, unless two uninterrupted trainings differ, too: then the GPU has no fixed order of sums.
    """
    use_determinism()
    torch.set_num_threads(sizes.threads)
    for name, optimizer in zip(sizes.networks, ("momentum", "adamw"), strict=True):
        recipe = replace(RECIPE, epochs=2, precision="fp16", optimizer=optimizer, lr=0.001)
        run = partial(train_once, folder, sizes, name, recipe, World(device=device))
        (_, first), (_, second) = run(), run()
        checkpoints = partial(Checkpoints, folder / f"checkpoints_{name}", {"network": name})
        try:
            run(checkpoints=checkpoints(), stop=StopAfter(sizes.steps + sizes.steps // 2))
        except StoppedError:
            _, resumed = run(checkpoints=checkpoints())
        else:
            raise RuntimeError("the training did not stop")
        spread, difference = distance(second, first), distance(resumed, first)
        words = "equal bits" if spread == 0 else f"at most {10 * spread:.2g}, ten times that of two runs"
        value = "equal bits" if difference == 0 else f"{difference:.2g}"
        yield Row(f"{name}, stopped and resumed: change of weights", value, words, difference <= 10 * spread)


def frozen(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check a head that is trained on features computed once, against the same on the CPU."""
    torch.set_num_threads(sizes.threads)
    use_exact_float32()
    name = next(iter(sizes.networks))
    recipe = replace(RECIPE, feature_views=1)
    histories = [
        train_once(folder, sizes, name, recipe, World(device=place), trainable="head")[0] for place in (device, "cpu")
    ]
    losses, reference = ([row["val_loss"] for row in history] for history in histories)
    yield bounded(f"{name}, frozen: validation loss", loss_difference(losses, reference), SAME_LOSS)


# AdaIN


def train_stylizer(folder: Path, sizes: Sizes, device: str) -> list[float]:
    """Train a decoder for a random encoder on the device, and write both; return the losses of its history."""
    contents, styles = open_split(folder, "train"), open_pictures([folder / "styles"])
    crop = sizes.packed // 32 * 16
    recipe = DecoderRecipe(sizes.decoder_steps, batch_size=4, resize=sizes.packed, size=crop, lr=1e-3)
    pairs = ContentStylePairs(contents, styles, recipe)
    encoder = random_encoder(sizes.width, 0, pairs.batch(-1, range(8))[1])
    state = train_decoder(encoder, pairs, recipe, device=torch.device(device), workers=sizes.workers)
    folder.joinpath("adain").mkdir(exist_ok=True)
    torch.save(encoder.cpu().state_dict(), folder / "adain" / "encoder.pth")
    torch.save(state.decoder.cpu().state_dict(), folder / "adain" / "decoder.pth")
    return [row["loss"] for row in state.history]


def half_stylizer(folder: Path, device: str) -> AdainStylizer:
    """Return the stylizer in half precision, which the library uses on a GPU alone."""
    stylizer = read_adain(folder, device)
    if not stylizer.half:
        stylizer.half = True
        stylizer.encoder.half()
        stylizer.decoder.half()
    return stylizer


def adain(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check a decoder's training, and stylizing in half precision against float32 on the CPU."""
    torch.set_num_threads(sizes.threads)
    losses = train_stylizer(folder, sizes, device)
    ends = f"{losses[0]:.3g} → {losses[-1]:.3g}"
    yield Row(f"a decoder's loss in {sizes.decoder_steps} steps", ends, "falls", losses[-1] < losses[0])
    contents = [sample.image().resize((sizes.side, sizes.side)) for sample in open_split(folder, "val")[:8]]
    styles = [picture.image() for picture in open_pictures([folder / "styles"])]
    half, full = half_stylizer(folder / "adain", device), read_adain(folder / "adain", "cpu")
    pixels = [
        np.stack([np.asarray(image, np.int16) for image in stylize_all(stylizer, contents, styles)])
        for stylizer in (half, full)
    ]
    differences = np.abs(pixels[0] - pixels[1])
    spread = f"mean {differences.mean():.2f}, 99.9 % {np.quantile(differences, 0.999):.0f}, all {differences.max()}"
    yield Row("half precision: grey levels", spread, f"at most {GREY_LEVELS:g}", bool(differences.max() <= GREY_LEVELS))


def stylize_all(
    stylizer: AdainStylizer, contents: Sequence[Image.Image], styles: Sequence[Image.Image]
) -> list[Image.Image]:
    """Stylize images of one size, each in its own style."""
    vectors = np.stack([stylizer.encode(style) for style in styles])
    step = stylizer.batch_size
    batches = [(contents[k : k + step], vectors[k : k + step]) for k in range(0, len(contents), step)]
    return [image for batch, styled in batches for image in stylizer.apply(batch, styled, 1.0)]


# Evaluation


def decisions(folder: Path, sizes: Sizes, device: str) -> Iterator[Row]:
    """Check the decisions of trained networks on the device against the same weights in float64 on the CPU.

    An image is a near tie if the probabilities of its two best categories differ by less than NEAR_TIE; there, rounding
    may choose, and the decisions may differ.
    """
    torch.set_num_threads(sizes.threads)
    pictures = open_split(folder, "train")[:128]  # which the networks have learnt, so that few are near ties
    for name, lr in zip(sizes.networks, sizes.learning_rates, strict=True):
        recipe = replace(RECIPE, optimizer="adamw", lr=lr, crop_scale=(0.5, 1.0), batch_size=sizes.batch)
        recipe = replace(recipe, epochs=sizes.learning_epochs, threads=sizes.threads)
        network, prepared = build_network(sizes, name)
        sets = training_sets(folder, prepared, recipe, sizes.drawn)
        train(network, *sets, recipe, trainable="all", seed=0, world=World(device=device))
        observer = wrap_network(network, name=name, classes=dict(sorted(CLASSES.items())), input_preparation=prepared)
        show = partial(measure, observer, pictures, "in_test", batch_size=sizes.batch, workers=0, max_rejected=0.0)
        table, _ = show(device=device)
        network.cpu().double()
        reference, _ = show(device="cpu")
        expected = reference[PROBABILITIES].to_numpy()
        yield bounded(
            f"{name}: probability of a category",
            float(np.abs(table[PROBABILITIES].to_numpy() - expected).max()),
            PROBABILITY,
        )
        best = np.sort(expected, axis=1)
        near = best[:, -1] - best[:, -2] < NEAR_TIE
        changed = (table["decision"] != reference["decision"]).to_numpy()
        words = f"{(changed & ~near).sum()} of {(~near).sum()}; near ties: {(changed & near).sum()} of {near.sum()}"
        ok = bool((~near).any() and not (changed & ~near).any())
        yield Row(f"{name}: other decisions", words, "none but near ties", ok)
