"""Training a decoder: the paper's losses, batches independent of the number of processes, exact resuming."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import bad_images, image_folder
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.images.pictures import open_pictures
from shapebias.stylize import decoder_training
from shapebias.stylize.adain import RELUS, make_decoder, random_encoder
from shapebias.stylize.decoder_training import (
    ContentStylePairs,
    DecoderRecipe,
    adain_losses,
    decoder_identity,
    train_decoder,
)
from shapebias.training.checkpoints import Checkpoints

RECIPE = DecoderRecipe(steps=6, batch_size=4, resize=20, size=16, lr=1e-3, seed=1)
CPU = torch.device("cpu")


def encoder() -> torch.nn.Sequential:
    return random_encoder(2, 0, torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)))


@pytest.fixture
def pairs(tmp_path) -> ContentStylePairs:
    content = image_folder(tmp_path / "content", {"cat": 5, "dog": 5}, size=24)
    return ContentStylePairs(open_pictures([content]), open_pictures([image_folder(tmp_path, {"styles": 4})]), RECIPE)


def test_losses_equal_the_paper_s_formulas():
    torch.manual_seed(0)
    f, g = encoder(), make_decoder(2)
    content, style = torch.rand(2, 3, 16, 24), torch.rand(2, 3, 16, 24)

    def features(x: torch.Tensor) -> list[torch.Tensor]:
        return [f[: index + 1](x) for index in RELUS]

    def statistics(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return x.flatten(2).mean(2), (x.flatten(2).var(2) + 1e-5).sqrt()

    x, (mean, std) = features(content)[-1], statistics(features(style)[-1])
    own_mean, own_std = statistics(x)
    target = (x - own_mean[..., None, None]) / own_std[..., None, None] * std[..., None, None] + mean[..., None, None]
    decoded = g(target)
    expected = (
        F.mse_loss(f(decoded), target),
        sum(
            F.mse_loss(a, b)
            for ours, theirs in zip(features(decoded), features(style), strict=True)
            for a, b in zip(statistics(ours), statistics(theirs), strict=True)
        ),
    )
    for ours, theirs in zip(adain_losses(f, g, content, style), expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_pairs_depend_only_on_seed_and_step_and_are_shared_without_overlap(pairs):
    content, style = pairs.batch(3, range(4))
    assert content.shape == style.shape == (4, 3, 16, 16)
    halves = [pairs.batch(3, part) for part in (range(2), range(2, 4))]
    assert torch.equal(content, torch.cat([half[0] for half in halves]))
    assert torch.equal(style, torch.cat([half[1] for half in halves]))
    assert not torch.equal(content, pairs.batch(4, range(4))[0])


def test_the_loss_decreases(pairs):
    recipe = DecoderRecipe(steps=80, batch_size=4, resize=20, size=16, lr=3e-3)
    pairs = ContentStylePairs(pairs.contents.pictures, pairs.styles.pictures, recipe)
    history = train_decoder(encoder(), pairs, recipe, device=CPU).history
    losses = [row["loss"] for row in history]
    assert len(losses) == 80
    assert sum(losses[-20:]) < 0.7 * sum(losses[:20])
    assert history[1]["lr"] == pytest.approx(3e-3 / (1 + 5e-5))


def test_a_row_of_the_history_is_the_mean_of_its_steps(pairs, monkeypatch):
    every_step = train_decoder(encoder(), pairs, RECIPE, device=CPU).history
    monkeypatch.setattr(decoder_training, "HISTORY_ROWS", 2)
    first, second = train_decoder(encoder(), pairs, RECIPE, device=CPU).history
    assert [row["step"] for row in every_step] == [1, 2, 3, 4, 5, 6] and (first["step"], second["step"]) == (3, 6)
    for name in ("content_loss", "style_loss"):
        assert first[name] == pytest.approx(sum(row[name] for row in every_step[:3]) / 3)
        assert second[name] == pytest.approx(sum(row[name] for row in every_step[3:]) / 3)


def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(pairs, tmp_path):
    class KilledError(Exception):
        pass

    def killed_at(step: int):
        def show(steps):
            for current in steps:
                if current == step:
                    raise KilledError
                yield current

        return show

    uninterrupted = train_decoder(encoder(), pairs, RECIPE, device=CPU)
    with pytest.raises(KilledError):
        train_decoder(
            encoder(), pairs, RECIPE, device=CPU, show=killed_at(5), checkpoints=EagerCheckpoints(tmp_path, RECIPE)
        )
    checkpoints = EagerCheckpoints(tmp_path, RECIPE)
    assert (checkpoints.newest() or {})["step"] == 5
    resumed = train_decoder(encoder(), pairs, RECIPE, device=CPU, checkpoints=checkpoints)
    assert resumed.history == uninterrupted.history
    for ours, theirs in zip(resumed.decoder.parameters(), uninterrupted.decoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)


class EagerCheckpoints(Checkpoints):
    """Checkpoints of the decoder of `encoder()`, written completely after every step."""

    def __init__(self, folder: Path, recipe: DecoderRecipe) -> None:
        super().__init__(folder, decoder_identity(encoder(), recipe))

    def due(self, epoch: int | None = None) -> bool:
        return True

    def save(self, content: dict[str, Any], *, wait: bool = True) -> None:
        super().save(content, wait=wait)


def test_a_checkpoint_of_another_recipe_is_refused_with_the_differences(pairs, tmp_path):
    train_decoder(encoder(), pairs, RECIPE, device=CPU, checkpoints=EagerCheckpoints(tmp_path, RECIPE))
    changed_recipe = dataclasses.replace(RECIPE, lr=0.1)
    with pytest.raises(UserError, match=r"checkpoint of another run: lr 0\.001 → 0\.1; remove"):
        train_decoder(
            encoder(), pairs, changed_recipe, device=CPU, checkpoints=EagerCheckpoints(tmp_path, changed_recipe)
        )


def test_a_non_finite_loss_stops_training_before_the_weights_change(pairs):
    broken = encoder()
    with torch.no_grad():
        broken.get_parameter("2.weight")[0, 0, 0, 0] = float("nan")
    with pytest.raises(UserError, match="step 0: content loss nan"):
        train_decoder(broken, pairs, RECIPE, device=CPU)


def test_broken_images_are_skipped_and_too_many_are_an_error(tmp_path):
    content = image_folder(tmp_path / "content", {"cat": 20}, size=24)
    for name, data in bad_images().items():
        (content / "cat" / name).write_bytes(data)
    opened = open_pictures([content])
    pairs = ContentStylePairs(opened, opened, RECIPE, 0.2)
    for step in range(20):
        assert pairs.batch(step, range(4))[0].shape == (4, 3, 16, 16)
    assert {Path(file).name for file, _ in pairs.contents.rejections.rows} == set(bad_images())
    with pytest.raises(UserError, match="of 23 images cannot be used"):
        strict = ContentStylePairs(opened, opened, RECIPE, 0.05)
        for step in range(20):
            strict.batch(step, range(4))
