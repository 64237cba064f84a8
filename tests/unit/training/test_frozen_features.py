"""Frozen backbones: features that are computed once train the same head as images, but faster."""

from dataclasses import replace

import pytest
import timm
import torch
from helpers import tiny_resnet
from torch import nn

from shapebias.errors import UserError
from shapebias.networks.models import classifier, preparation
from shapebias.training.data_loading import AugmentedDataset, BatchPlan, ImageBatches, ImageDataset
from shapebias.training.frozen_features import Backbone
from shapebias.training.interruption import StoppedError
from shapebias.training.loop import TrainState, train
from shapebias.training.recipe import Recipe

RECIPE = Recipe(epochs=4, batch_size=6, optimizer="sgd", lr=0.1, schedule="constant", patience=0)


def head_of(samples, recipe: Recipe) -> tuple[nn.Module, TrainState]:
    network, classes = tiny_resnet(), ["cat", "dog"]
    prepared = preparation(network, 32)
    sets = AugmentedDataset(samples, classes, prepared, recipe, 0), ImageDataset(samples, classes, prepared)
    return classifier(network), train(network, *sets, recipe, trainable="head", seed=0)


def test_one_view_per_epoch_gives_the_losses_of_training_on_images(colour_samples):
    samples = colour_samples()
    (image_head, image_state), (feature_head, feature_state) = (
        head_of(samples, replace(RECIPE, feature_views=views)) for views in (0, 4)
    )
    assert [row["epoch"] for row in feature_state.history] == [1, 2, 3, 4]
    for row, feature_row in zip(image_state.history, feature_state.history, strict=True):
        assert row == pytest.approx(feature_row, rel=1e-5)
    torch.testing.assert_close(image_head.weight, feature_head.weight, rtol=1e-4, atol=1e-6)


def test_features_and_images_reach_the_same_optimum_of_a_convex_problem(colour_samples):
    # The cross entropy of a linear layer with weight decay has exactly one minimum. Without augmentation and with all
    # images in one batch, both heads must reach it; the gradient of loss and decay is zero there.
    recipe = Recipe(epochs=60, batch_size=16, lr=3.0, weight_decay=0.05, schedule="constant", patience=0, flip=False)
    recipe = replace(recipe, optimizer="momentum", momentum=0.0, crop_scale=(1.0, 1.0))
    samples = colour_samples()
    heads = [head_of(samples, replace(recipe, feature_views=views))[0] for views in (0, 1)]
    torch.testing.assert_close(heads[0].weight, heads[1].weight, rtol=1e-3, atol=1e-5)
    network, classes = tiny_resnet(), ["cat", "dog"]
    prepared = preparation(network, 32)
    pictures = AugmentedDataset(samples, classes, prepared, recipe, 0)
    source = ImageBatches(pictures, ImageDataset(samples, classes, prepared), BatchPlan(pictures.labels, recipe, 0))
    features = Backbone(network, source, lambda: False).features(source.load, len(pictures), 0)
    head = heads[1]
    loss = nn.functional.cross_entropy(head(features), torch.tensor(pictures.labels))
    weight = head.get_parameter("weight")
    [gradient] = torch.autograd.grad(loss, [weight])
    torch.testing.assert_close(gradient, -recipe.weight_decay * weight, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "kwargs"),
    [
        ("resnet10t", {}),
        ("convnext_atto", {}),
        ("vit_tiny_patch16_224", {"img_size": 64, "depth": 2}),
        ("mobilenetv3_small_050", {}),
    ],
)
def test_features_are_the_input_of_the_classifier(name, kwargs, colour_samples):
    torch.manual_seed(0)
    network = timm.create_model(name, num_classes=2, **kwargs).eval()
    pictures = AugmentedDataset(colour_samples(2), ["cat", "dog"], preparation(network, 64), RECIPE, 0)
    source = ImageBatches(pictures, pictures, BatchPlan(pictures.labels, replace(RECIPE, batch_size=4), 0))
    backbone = Backbone(network, source, lambda: False)
    images, _ = source.load([[(0, 0), (0, 1), (0, 2), (0, 3)]]).__next__()
    with torch.no_grad():
        torch.testing.assert_close(classifier(network)(backbone.classifier_input(images)), network(images))


def test_a_network_with_steps_after_its_classifier_is_refused(colour_samples):
    class Doubled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = tiny_resnet()

        def get_classifier(self) -> nn.Module:
            return classifier(self.network)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return 2 * self.network(images)

    pictures = AugmentedDataset(colour_samples(2), ["cat", "dog"], preparation(tiny_resnet(), 32), RECIPE, 0)
    source = ImageBatches(pictures, pictures, BatchPlan(pictures.labels, replace(RECIPE, batch_size=4), 0))
    with pytest.raises(UserError, match="in Doubled the classifier is not the last step"):
        Backbone(Doubled(), source, lambda: False).features(source.load, 4, 0)


def test_frozen_weights_and_statistics_do_not_change(colour_samples):
    network, classes = tiny_resnet(), ["cat", "dog"]
    before = {name: value.clone() for name, value in network.state_dict().items()}
    prepared, recipe = preparation(network, 32), replace(RECIPE, feature_views=2)
    samples = colour_samples()
    sets = AugmentedDataset(samples, classes, prepared, recipe, 0), ImageDataset(samples, classes, prepared)
    train(network, *sets, recipe, trainable="head", seed=0)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"fc.weight", "fc.bias"}


def test_a_stop_ends_the_computation_of_features(colour_samples):
    pictures = AugmentedDataset(colour_samples(2), ["cat", "dog"], preparation(tiny_resnet(), 32), RECIPE, 0)
    source = ImageBatches(pictures, pictures, BatchPlan(pictures.labels, replace(RECIPE, batch_size=1), 0))
    requests = iter([False, True])  # the third batch is never computed
    backbone = Backbone(tiny_resnet(), source, lambda: next(requests))
    with pytest.raises(StoppedError, match="the same command computes them again"):
        backbone.features(source.load, len(pictures), 0)
    assert list(requests) == []


def test_feature_views_are_refused_if_the_backbone_learns(colour_samples):
    network, samples = tiny_resnet(), colour_samples()
    prepared, recipe = preparation(network, 32), replace(RECIPE, feature_views=2)
    sets = (
        AugmentedDataset(samples, ["cat", "dog"], prepared, recipe, 0),
        ImageDataset(samples, ["cat", "dog"], prepared),
    )
    with pytest.raises(UserError, match="feature_views 2 needs trainable: head, not 'all'"):
        train(network, *sets, recipe, trainable="all", seed=0)
