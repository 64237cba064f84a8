"""Resuming: an interrupted and resumed run equals an uninterrupted run, bit for bit."""

import errno
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from helpers import colour_shard, tiny_resnet
from torch import nn

from shapebias.errors import UserError
from shapebias.images.shards import Sample, open_shards
from shapebias.networks.models import preparation
from shapebias.training.checkpoints import EARLIER, LATEST, Checkpoints, weights_digest
from shapebias.training.data_loading import AugmentedDataset, ImageDataset
from shapebias.training.interruption import StoppedError, StopSignal
from shapebias.training.loop import TrainState, train
from shapebias.training.recipe import Recipe

RECIPE = Recipe(
    epochs=3,
    batch_size=6,
    optimizer="adamw",
    lr=0.01,
    schedule="cosine",
    warmup_epochs=1,
    patience=0,
    precision="float32",
)
STEPS = 3 * 3  # 16 images, batches of 6, 5 and 5, three epochs


class StopAfter(StopSignal):
    """Requests a stop at a given step, as a signal would."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.requests_left = steps

    def requested(self) -> bool:
        self.requests_left -= 1
        return self.requests_left < 0


def dropping_resnet() -> nn.Module:
    """Return a network with dropout, which must drop the same values after a resume."""
    network = tiny_resnet()
    network.drop_rate = 0.5  # ty: ignore[invalid-assignment]
    return network


def run(
    samples,
    folder: Path | None,
    recipe: Recipe = RECIPE,
    *,
    stop: StopSignal | None = None,
    minutes: float = 10.0,
    **identity,
):
    """Run or resume a training from the checkpoints in a folder; return network and state."""
    network, classes = dropping_resnet(), ["cat", "dog"]
    prepared = preparation(network, 32)
    sets = AugmentedDataset(samples, classes, prepared, recipe, 0), ImageDataset(samples, classes, prepared)
    checkpoints = Checkpoints(folder, {"lr": recipe.lr} | identity, minutes=minutes) if folder else None
    try:
        return network, train(network, *sets, recipe, trainable="all", seed=0, checkpoints=checkpoints, stop=stop)
    finally:
        if checkpoints:
            checkpoints.finish()


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> list[Sample]:
    """Return eight red cats and eight blue dogs."""
    return list(open_shards([colour_shard(tmp_path_factory.mktemp("samples") / "0.tar", 8)]))


@pytest.fixture(scope="module")
def uninterrupted(samples) -> tuple[nn.Module, TrainState]:
    """Return network and state of the run that every resumed run must equal."""
    return run(samples, None)


def same(first: tuple[nn.Module, TrainState], second: tuple[nn.Module, TrainState]) -> bool:
    return (
        weights_digest(first[0].state_dict()) == weights_digest(second[0].state_dict())
        and first[1].history == second[1].history
    )


# A request is counted per step and per validation batch, six per epoch. These fall into, between and after both.
@pytest.mark.parametrize(("precision", "requests"), [("float32", (0, 6, 8, 9, 11, 17)), ("bf16", (8, 11))])
def test_a_run_stopped_at_any_step_and_resumed_equals_an_uninterrupted_run(samples, tmp_path, precision, requests):
    recipe = replace(RECIPE, precision=precision)
    complete = run(samples, None, recipe)
    assert complete[1].step == STEPS
    for request in requests:
        folder = tmp_path / str(request)
        with pytest.raises(StoppedError, match="the same command resumes"):
            run(samples, folder, recipe, stop=StopAfter(request))
        assert same(complete, run(samples, folder, recipe)), f"stopped at request {request}"


def test_a_run_may_be_stopped_several_times(samples, uninterrupted, tmp_path):
    for _ in range(3):
        with pytest.raises(StoppedError):
            run(samples, tmp_path, stop=StopAfter(3))
    assert same(uninterrupted, run(samples, tmp_path))


def test_a_killed_run_resumes_from_its_last_epoch(samples, uninterrupted, tmp_path):
    network = dropping_resnet()

    class KilledError(Exception):
        pass

    def kill(state: TrainState) -> None:
        if state.epoch == 2:
            raise KilledError

    prepared = preparation(network, 32)
    sets = (
        AugmentedDataset(samples, ["cat", "dog"], prepared, RECIPE, 0),
        ImageDataset(samples, ["cat", "dog"], prepared),
    )
    checkpoints = Checkpoints(tmp_path, {"lr": RECIPE.lr})
    with pytest.raises(KilledError):
        train(network, *sets, RECIPE, trainable="all", seed=0, checkpoints=checkpoints, on_epoch=kill)
    checkpoints.finish()
    saved = Checkpoints(tmp_path, {"lr": RECIPE.lr}).newest()
    assert saved is not None and saved["epoch"] == 1
    assert same(uninterrupted, run(samples, tmp_path))


@pytest.mark.parametrize("damage", ["short", "empty", "bits"])
def test_the_previous_checkpoint_is_used_if_the_newest_is_damaged(samples, uninterrupted, tmp_path, caplog, damage):
    for _ in range(2):
        with pytest.raises(StoppedError):
            run(samples, tmp_path, stop=StopAfter(2))
    newest = tmp_path / LATEST
    data = newest.read_bytes()
    middle = len(data) // 2
    broken = {"short": data[:middle], "empty": b"", "bits": data[:middle] + bytes(64) + data[middle + 64 :]}
    newest.write_bytes(broken[damage])
    with caplog.at_level(logging.WARNING):
        assert same(uninterrupted, run(samples, tmp_path))
    assert "latest.pt: damaged" in caplog.text


class KilledAfter(StopAfter):
    """Ends the training at a given step without a last checkpoint, as if the process were killed."""

    def requested(self) -> bool:
        if super().requested():
            raise ConnectionAbortedError
        return False


def test_a_run_killed_within_an_epoch_resumes_from_its_last_step_with_a_checkpoint(
    samples, uninterrupted, tmp_path, caplog
):
    with pytest.raises(ConnectionAbortedError):
        run(samples, tmp_path, stop=KilledAfter(2), minutes=0.0)
    with caplog.at_level(logging.INFO):
        assert same(uninterrupted, run(samples, tmp_path))
    assert "resumes from step 1, epoch 1" in caplog.text or "resumes from step 2, epoch 1" in caplog.text


def test_a_stopped_run_without_checkpoints_says_that_it_leaves_none(samples):
    with pytest.raises(StoppedError, match="at step 1, epoch 1; checkpoints are off"):
        run(samples, None, stop=StopAfter(0))


def test_a_run_starts_again_if_both_checkpoints_are_damaged(tmp_path):
    for name in (LATEST, EARLIER):
        (tmp_path / name).write_bytes(b"?")
    assert Checkpoints(tmp_path, {}).newest() is None


def test_another_run_s_checkpoint_is_refused_with_the_differences(samples, tmp_path):
    with pytest.raises(StoppedError):
        run(samples, tmp_path, stop=StopAfter(1))
    with pytest.raises(UserError, match=r"another run: lr 0\.01 → 0\.02, train_images None → 'others'; remove"):
        run(samples, tmp_path, replace(RECIPE, lr=0.02), train_images="others")


def test_training_continues_on_a_full_disk_and_the_previous_checkpoint_stays(
    samples, uninterrupted, tmp_path, monkeypatch, caplog
):
    with pytest.raises(StoppedError):
        run(samples, tmp_path, stop=StopAfter(1))
    older = (tmp_path / LATEST).read_bytes()

    real = Path.open

    def full(path: Path, mode: str = "r", **more):
        if mode == "wb":
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, mode, **more)

    monkeypatch.setattr(Path, "open", full)
    with caplog.at_level(logging.WARNING):
        assert same(uninterrupted, run(samples, tmp_path))
    assert "checkpoint not written" in caplog.text and "No space left on device" in caplog.text
    assert (tmp_path / LATEST).read_bytes() == older and not list(tmp_path.glob(".*"))
    with pytest.raises(OSError, match="No space left"):  # the last checkpoint must be written
        run(samples, tmp_path, stop=StopAfter(3))
    assert (tmp_path / LATEST).read_bytes() == older


def test_training_on_frozen_features_resumes_too(samples, tmp_path):
    recipe = replace(RECIPE, feature_views=2)

    def run_head(folder: Path | None, stop: StopSignal | None = None):
        network, classes = tiny_resnet(), ["cat", "dog"]
        prepared = preparation(network, 32)
        sets = AugmentedDataset(samples, classes, prepared, recipe, 0), ImageDataset(samples, classes, prepared)
        checkpoints = Checkpoints(folder, {}) if folder else None
        state = train(network, *sets, recipe, trainable="head", seed=0, checkpoints=checkpoints, stop=stop)
        return network, state

    complete = run_head(None)
    with pytest.raises(StoppedError):  # 9 batches of features come first, with one request each
        run_head(tmp_path, StopAfter(9 + 4))
    assert same(complete, run_head(tmp_path))


def test_checkpoints_take_at_most_a_fiftieth_of_the_time(tmp_path):
    checkpoints = Checkpoints(tmp_path, {}, minutes=0.0)
    assert checkpoints.due(1) and checkpoints.due()
    checkpoints.cost = 3600.0  # a checkpoint took an hour, so the next is due in two days
    assert not checkpoints.due(1) and not checkpoints.due()
    assert not Checkpoints(tmp_path, {}, epochs=3).due(2)


def test_a_damaged_checkpoint_never_replaces_a_good_one(samples, tmp_path):
    for _ in range(2):
        with pytest.raises(StoppedError):
            run(samples, tmp_path, stop=StopAfter(2))
    good = (tmp_path / EARLIER).read_bytes()
    (tmp_path / LATEST).write_bytes(b"?")
    with pytest.raises(StoppedError):
        run(samples, tmp_path, stop=StopAfter(1))
    assert (tmp_path / EARLIER).read_bytes() == good


def test_unfinished_files_of_a_killed_process_are_removed(samples, tmp_path):
    tmp_path.joinpath(".0123abcd.latest.pt").write_bytes(b"half")
    with pytest.raises(StoppedError):
        run(samples, tmp_path, stop=StopAfter(1))
    assert [path.name for path in tmp_path.glob("*.pt")] == [LATEST] and not list(tmp_path.glob(".*.pt"))
