"""Training: parameters that change or stay, early stopping, and reproducibility."""

import copy
import math
from dataclasses import replace

import pytest
import timm
import torch
from helpers import COLOURS, tiny_resnet

from shapebias.errors import UserError
from shapebias.networks.models import preparation
from shapebias.training.data_loading import AugmentedDataset, ImageDataset, TrainingStep
from shapebias.training.distributed import World
from shapebias.training.loop import balanced_weights, image_counts, initial_state, train, train_step, validate
from shapebias.training.recipe import Recipe

RECIPE = Recipe(epochs=2, batch_size=8, optimizer="adamw", lr=0.01, schedule="constant", patience=0)
SWAPPED = {"cat": COLOURS["dog"], "dog": COLOURS["cat"]}


def state_of(network) -> dict[str, torch.Tensor]:
    return copy.deepcopy(network.state_dict())


def trained(samples, recipe: Recipe = RECIPE, *, val=None, trainable="all", seed: int = 0, network=None, **more):
    """Return a tiny network after training, and its state."""
    network, classes = network or tiny_resnet(seed=seed), ["cat", "dog"]
    prepared = preparation(network, 32)
    sets = AugmentedDataset(samples, classes, prepared, recipe, seed), ImageDataset(val or samples, classes, prepared)
    return network, train(network, *sets, recipe, trainable=trainable, seed=seed, **more)


def step_of(images: torch.Tensor, labels: torch.Tensor) -> TrainingStep:
    """Return the step of a full batch on one rank."""
    return TrainingStep([(images, labels)], len(labels), float(len(labels)))


def test_a_network_learns_red_from_blue(colour_samples):
    _, state = trained(colour_samples(16), replace(RECIPE, epochs=5))
    assert state.history[-1]["val_accuracy"] == 1.0
    assert [row["epoch"] for row in state.history] == [1, 2, 3, 4, 5]
    assert (state.step, state.images_seen) == (5 * 4, 5 * 32)
    assert image_counts({"in": range(32)}, 5) == {"in": 160}


def test_two_trainings_are_equal_bit_for_bit_and_another_seed_differs(colour_samples):
    samples = colour_samples()
    (network, first), (repeated, second), (second_seed, _) = (
        trained(samples),
        trained(samples),
        trained(samples, seed=1),
    )
    assert all(
        torch.equal(a, b) for a, b in zip(network.state_dict().values(), repeated.state_dict().values(), strict=True)
    )
    assert first.history == second.history
    assert not torch.equal(network.fc.weight, second_seed.fc.weight)


def test_a_frozen_network_changes_only_its_head(colour_samples):
    before = state_of(tiny_resnet())
    after, _ = trained(colour_samples(), replace(RECIPE, weight_decay=0.1), trainable="head")
    changed = {key for key, value in after.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {"fc.weight", "fc.bias"}  # and not the statistics of batch norm


def test_an_unfrozen_network_changes_everything(colour_samples):
    before = state_of(tiny_resnet())
    after, _ = trained(colour_samples())
    unchanged = {key for key, value in after.state_dict().items() if torch.equal(value, before[key])}
    assert not unchanged


def test_a_loss_that_is_not_a_number_leaves_the_weights_untouched():
    network, recipe = tiny_resnet(), replace(RECIPE, max_norm=1.0)
    state = initial_state(network, recipe, "all", steps_per_epoch=4)
    network.train()
    labels = torch.tensor([0, 1])
    train_step(state, step_of(torch.randn(2, 3, 32, 32), labels), recipe)
    weights = copy.deepcopy(dict(network.named_parameters()))
    with pytest.raises(FloatingPointError, match=r"loss nan.* at step 1"):
        train_step(state, step_of(torch.full((2, 3, 32, 32), math.nan), labels), recipe)
    assert all(torch.equal(value, weights[key]) for key, value in network.named_parameters())
    assert state.step == 1


def test_diverging_training_ends_with_advice(colour_samples):
    with pytest.raises(UserError, match=r"diverged .*lower `lr` \(1e\+30\)"):
        trained(colour_samples(), replace(RECIPE, optimizer="sgd", lr=1e30, epochs=5))


def test_a_validation_loss_that_is_not_a_number_ends_training_with_advice(colour_samples):
    network = tiny_resnet()
    network.register_forward_hook(lambda module, _, logits: logits if module.training else logits * math.nan)
    with pytest.raises(UserError, match="diverged: validation loss nan after epoch 1; lower `lr`"):
        trained(colour_samples(), network=network)


def test_an_error_of_the_network_is_not_mistaken_for_a_batch_that_is_too_small(colour_samples):
    network = tiny_resnet()

    def fail(module: torch.nn.Module, *_: object) -> None:
        if module.training:
            raise ValueError("expected 4 channels")

    network.register_forward_hook(fail)
    with pytest.raises(ValueError, match=r"^expected 4 channels$"):
        trained(colour_samples(), network=network)


@pytest.mark.parametrize(
    ("images", "changes"), [(8, {"batch_size": 1}), (8, {"batch_size": 2, "accumulate": 2}), (7, {"batch_size": 2})]
)
def test_batch_norm_of_single_images_is_refused(colour_samples, images, changes):
    """Images of 32 px end in maps of 1 × 1; batches of two leave one of seven images alone."""
    with pytest.raises(
        UserError, match=rf"batch_size {changes['batch_size']} .* single image at a time, .* batch norm"
    ):
        trained(colour_samples(4)[:images], replace(RECIPE, **changes))


def test_single_images_train_a_network_without_batch_norm(colour_samples):
    _, state = trained(colour_samples(2), replace(RECIPE, batch_size=1), network=vit())
    assert state.step == 8


def test_training_stops_after_the_patience_and_keeps_its_best_epoch(colour_samples):
    # The validation images have swapped colours, so the validation loss rises as the network learns.
    samples, val = colour_samples(16), colour_samples(16, colours=SWAPPED)
    recipe = replace(RECIPE, epochs=9, patience=2, lr=0.003)
    network, state = trained(samples, recipe, val=val)
    losses = [row["val_loss"] for row in state.history]
    best = losses.index(min(losses))
    assert state.best_epoch == best + 1
    assert len(losses) == state.epoch == state.best_epoch + 2 < 9
    # A run that ends at the best epoch has the same weights.
    shorter, _ = trained(samples, replace(recipe, epochs=state.best_epoch), val=val)
    pairs = zip(network.state_dict().values(), shorter.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_without_patience_training_runs_all_its_epochs(colour_samples):
    _, state = trained(colour_samples(), replace(RECIPE, epochs=6, lr=0.003), val=colour_samples(colours=SWAPPED))
    assert state.epoch == 6


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    """Return the learning rate of every step."""
    network = tiny_resnet()
    state, rates = initial_state(network, recipe, "all", steps_per_epoch), []
    images, labels = torch.randn(2, 3, 32, 32), torch.tensor([0, 1])
    network.train()
    for _ in range(recipe.epochs * steps_per_epoch):
        train_step(state, step_of(images, labels), recipe)
        rates.append(state.optimizer.param_groups[0]["lr"])
    return rates


def test_warm_up_rises_linearly_and_a_cosine_falls_to_zero():
    rates = learning_rates(
        replace(RECIPE, lr=1.0, optimizer="sgd", schedule="cosine", epochs=4, warmup_epochs=1, max_norm=1e-9), 4
    )
    assert rates[:4] == pytest.approx([0.01, 0.01 + 0.99 / 4, 0.01 + 2 * 0.99 / 4, 0.01 + 3 * 0.99 / 4])
    # cos 45° at a quarter of the 16 steps, cos 90° at the half, cos 135° at three quarters
    assert [rates[4], rates[8], rates[12]] == pytest.approx([(1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])
    assert 0 < rates[15] < 0.01


def test_the_step_schedule_divides_the_learning_rate_by_ten_at_each_step():
    rates = learning_rates(
        replace(RECIPE, lr=0.1, schedule="step", epochs=6, step_epochs=2, optimizer="sgd", max_norm=1e-9), 2
    )
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 4 + [0.001] * 4)


def test_a_constant_rate_is_constant_after_its_warm_up():
    assert learning_rates(replace(RECIPE, lr=0.01, epochs=2), 3) == pytest.approx([0.01] * 6)
    warmed = learning_rates(replace(RECIPE, lr=0.01, epochs=3, warmup_epochs=1), 2)
    assert warmed == pytest.approx([0.0001, (0.0001 + 0.01) / 2, 0.01, 0.01, 0.01, 0.01])


def test_validation_is_the_mean_over_images_not_over_batches():
    network = torch.nn.Flatten()  # the images are the logits
    sure, torn = torch.tensor([[[[100.0, 0.0]]]]), torch.tensor([[[[0.0, 0.0]]]])
    batches = [(sure.repeat(3, 1, 1, 1), torch.tensor([0, 0, 0])), (torn, torch.tensor([1]))]
    loss, accuracy = validate(network, batches, RECIPE)
    assert loss == pytest.approx(math.log(2) / 4)
    assert accuracy == 3 / 4


def test_a_rank_without_a_validation_image_adds_nothing_to_the_mean():
    network, images, labels = tiny_resnet().eval(), torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 1, 1])
    batches = [(images, labels), (images[:0], labels[:0])]
    assert validate(network, batches, RECIPE) == validate(network, batches[:1], RECIPE)


def test_an_unknown_optimizer_is_refused_by_name():
    with pytest.raises(UserError, match="'adamx'"):
        initial_state(tiny_resnet(), replace(RECIPE, optimizer="adamx"), "all", 1)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"crop_scale": (1.0, 0.4)}, "crop_scale 1 0.4"),
        ({"crop_scale": (0.0, 1.0)}, "crop_scale 0 1"),
        ({"epochs": 0}, "epochs 0"),
        ({"warmup_epochs": 3}, "warmup_epochs 3"),
        ({"max_norm": -1.0}, "max_norm -1"),  # it would reverse the gradients
        ({"label_smoothing": 1.0}, "label_smoothing 1"),
        ({"momentum": -0.5}, "momentum -0.5"),
        ({"lr": math.nan}, "lr nan"),
        ({"layer_decay": 0.0}, "layer_decay 0"),
        ({"feature_views": -1}, "feature_views -1"),
    ],
)
def test_invalid_hyperparameters_are_refused_by_name(wrong, named):
    with pytest.raises(UserError, match=named):
        replace(RECIPE, **wrong).validate()


def test_more_ranks_than_validation_images_are_refused(colour_samples):
    with pytest.raises(UserError, match="5 ranks share 4 validation images"):
        trained(colour_samples(8), val=colour_samples(2), world=World(0, 5))


# Accumulation, class weights, precision


def vit() -> torch.nn.Module:
    """Return a network without batch norm, because each part of a batch would have its own statistics."""
    torch.manual_seed(0)
    return timm.create_model(
        "vit_tiny_patch16_224", num_classes=2, img_size=32, patch_size=8, depth=2, embed_dim=24, num_heads=3
    )


def test_accumulation_in_parts_gives_the_same_history(colour_samples):
    samples = colour_samples()
    full, parts = (trained(samples, replace(RECIPE, accumulate=accumulate), network=vit())[1] for accumulate in (1, 3))
    for row, part_row in zip(full.history, parts.history, strict=True):
        assert row == pytest.approx(part_row, rel=1e-5)


def test_class_weights_are_inverse_to_counts_and_equal_the_study_s_for_isic():
    assert balanced_weights([0, 1, 1, 1]).tolist() == [0.75, 0.25]
    assert balanced_weights([0] * 374 + [1] * 1626).tolist() == pytest.approx([0.813, 0.187])
    assert balanced_weights([0, 1, 1, 2, 2, 2, 2]).tolist() == pytest.approx([4 / 7, 2 / 7, 1 / 7])


def test_the_weighted_loss_of_a_step_equals_torch_s(colour_samples):
    network, weights = tiny_resnet(), torch.tensor([0.8, 0.2])
    images, labels = torch.randn(4, 3, 32, 32), torch.tensor([0, 1, 1, 1])
    step = TrainingStep([(images[:3], labels[:3]), (images[3:], labels[3:])], 4, 0.8 + 3 * 0.2)
    network.eval()  # in train mode, each part would have its own batch statistics
    expected = torch.nn.functional.cross_entropy(network(images), labels, weights).item()
    state = initial_state(network, RECIPE, "all", 1)
    loss, right = train_step(state, step, RECIPE, class_weights=weights)
    assert loss / step.weight == pytest.approx(expected)
    assert (state.loss, state.weight, state.right) == (loss, step.weight, right)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_half_precision_learns_and_keeps_float32_weights(colour_samples, precision):
    network, state = trained(colour_samples(16), replace(RECIPE, epochs=9, precision=precision))
    assert state.history[-1]["val_accuracy"] == 1.0
    assert {value.dtype for value in network.parameters()} == {torch.float32}
    assert state.scaler.is_enabled() == (precision == "fp16")


def test_gradients_that_overflow_in_fp16_are_skipped_and_the_scale_is_lowered():
    network, recipe = tiny_resnet(), replace(RECIPE, precision="fp16")
    state = initial_state(network, recipe, "all", steps_per_epoch=4)
    network.train()
    weights = copy.deepcopy(dict(network.named_parameters()))
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**120)
    step = step_of(torch.randn(2, 3, 32, 32), torch.tensor([0, 1]))
    train_step(state, step, recipe)
    assert all(torch.equal(value, weights[key]) for key, value in network.named_parameters())
    assert state.scaler.get_scale() == 2.0**119
    state.scaler = torch.amp.GradScaler("cpu", init_scale=1.0)
    with pytest.raises(FloatingPointError):  # the scale is already at its minimum
        train_step(state, step_of(torch.full((2, 3, 32, 32), math.inf), torch.tensor([0, 1])), recipe)


def test_gradients_are_clipped_to_their_norm():
    network, recipe = tiny_resnet(), replace(RECIPE, optimizer="momentum", weight_decay=0.0, max_norm=0.5)
    state = initial_state(network, replace(recipe, lr=1.0), "all", steps_per_epoch=4)
    before = torch.cat([p.detach().flatten() for p in network.parameters()])
    network.train()
    train_step(state, step_of(100 * torch.randn(8, 3, 32, 32), torch.tensor([0, 1] * 4)), recipe)
    moved = torch.cat([p.detach().flatten() for p in network.parameters()]) - before
    assert moved.norm().item() == pytest.approx(0.5, rel=1e-4)


# Layer groups


def test_layer_groups_have_their_own_learning_rates_in_a_constant_schedule():
    network = vit()
    state = initial_state(network, replace(RECIPE, lr=1.0, layer_decay=0.5), "all", steps_per_epoch=4)
    train_step(state, step_of(torch.randn(2, 3, 32, 32), torch.tensor([0, 1])), RECIPE)
    rates = {id(p): group["lr"] for group in state.optimizer.param_groups for p in group["params"]}
    named = {name: rates[id(p)] for name, p in network.named_parameters()}
    assert (named["head.weight"], named["blocks.1.mlp.fc1.weight"], named["blocks.0.mlp.fc1.weight"]) == (1, 0.5, 0.25)
    assert named["patch_embed.proj.weight"] == 0.125


def test_layer_decay_without_layer_groups_is_refused():
    with pytest.raises(UserError, match=r"layer_decay 0\.5: Linear has no layer groups"):
        initial_state(torch.nn.Linear(2, 2), replace(RECIPE, layer_decay=0.5), "all", 1)


def test_norms_biases_and_the_parameters_that_timm_lists_are_not_decayed():
    network = vit()
    state = initial_state(network, replace(RECIPE, weight_decay=0.1), "all", steps_per_epoch=4)
    decayed = {id(p) for group in state.optimizer.param_groups if group["weight_decay"] for p in group["params"]}
    names = {name for name, p in network.named_parameters() if id(p) in decayed}
    assert "blocks.0.attn.qkv.weight" in names and "head.weight" in names
    assert not any("bias" in name or "norm" in name for name in names) and not {"pos_embed", "cls_token"} & names


def test_only_the_last_layer_groups_may_learn(colour_samples):
    before = state_of(tiny_resnet())
    after, _ = trained(colour_samples(), trainable=2)
    changed = {key for key, value in after.state_dict().items() if not torch.equal(value, before[key])}
    assert {key.split(".")[0] for key in changed} == {"layer4", "fc"}
    assert "layer4.0.bn1.running_mean" in changed
