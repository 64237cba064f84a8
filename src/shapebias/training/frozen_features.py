"""Features of a frozen backbone: computed once for several augmented views of each image, then used like images."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from shapebias.errors import UserError
from shapebias.networks.device import autocast
from shapebias.networks.models import classifier
from shapebias.training.data_loading import Batch, BatchLoader, BatchPlan, ImageBatches, TrainingStep
from shapebias.training.interruption import StoppedError

LOGIT_TOLERANCE = 1e-4  # between the logits of head and network, relative to the largest logit


class FeatureBatches:
    """The classifier's input for each image: V views of the training images, one view of the validation images.

    Epoch e trains on view e mod V, which has the augmentation of epoch e mod V. Every rank computes its shard of the
    features and keeps the features of all images in memory (float32, [V, images, D]).
    """

    def __init__(
        self,
        network: nn.Module,
        source: ImageBatches,
        stop_requested: Callable[[], bool],
        progress: Callable[[Iterable[int], int, str], Iterable[int]],
    ) -> None:
        self.plan: BatchPlan = source.plan
        self.images, self.steps, self.val_steps = source.images, source.steps, source.val_steps
        self.val_plan = source.val_plan
        backbone = Backbone(network, source, stop_requested)
        passes = [(source.load, len(source.train_set), view) for view in range(self.plan.recipe.feature_views)]
        passes.append((source.load_val, len(source.val_set), 0))
        features = [backbone.features(*passes[k]) for k in progress(range(len(passes)), len(passes), "features")]
        *self.views, self.val_features = features
        device = self.plan.world.device
        self.labels = torch.tensor(self.plan.labels, device=device)
        self.val_labels = torch.tensor(source.val_set.labels, device=device)

    def training(self, epoch: int, start: int = 0) -> Iterator[TrainingStep]:
        view = self.views[epoch % len(self.views)]
        for batch in self.plan.batches(epoch, start):
            parts = [torch.tensor([index for _, index in part]) for part in self.plan.parts(batch)]
            yield self.plan.step(batch, [(view[part], self.labels[part]) for part in parts])

    def validation(self) -> Iterator[Batch]:
        for keys in self.val_plan:
            part = torch.tensor([index for _, index in keys], dtype=torch.int64)
            yield self.val_features[part], self.val_labels[part]


class Backbone:
    """A network up to its classifier, in eval mode, without gradients."""

    def __init__(self, network: nn.Module, source: ImageBatches, stop_requested: Callable[[], bool]) -> None:
        self.network, self.source, self.stop_requested = network.eval(), source, stop_requested
        self.head = classifier(network)

    @torch.no_grad()
    def features(self, load: BatchLoader, count: int, view: int) -> torch.Tensor:
        """Return the features of one view of a set, float32 [images, D].

        Raises StoppedError on all ranks if one rank must stop.
        """
        world = self.source.plan.world
        batches = [[(view, index) for _, index in keys] for keys in self.source.rank_batches(count) if keys]
        features: torch.Tensor | None = None
        stop = False
        for keys, (images, _) in zip(batches, load(batches), strict=True):
            rows = self.classifier_input(images)
            if features is None:
                features = torch.zeros(count, *rows.shape[1:], device=world.device)
            features[torch.tensor([index for _, index in keys])] = rows
            if stop := self.stop_requested():
                break
        if world.sum(torch.tensor([float(stop)], device=world.device)).item():
            raise StoppedError("stopped while features were computed; the same command computes them again")
        assert features is not None, "each rank has at least one image"
        return world.sum(features)

    def classifier_input(self, images: torch.Tensor) -> torch.Tensor:
        """Return the classifier's input for a batch. Raises UserError if the classifier is not the last step."""
        inputs_of_head: list[torch.Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, inputs: inputs_of_head.append(inputs[0]))
        try:
            with autocast(self.source.plan.world.device, self.source.plan.recipe.precision):
                logits = self.network(images)
                head_logits = self.head(inputs_of_head[0]) if len(inputs_of_head) == 1 else None
        finally:
            hook.remove()
        if (
            head_logits is None
            or head_logits.shape != logits.shape
            or (head_logits - logits).abs().max() > LOGIT_TOLERANCE * logits.abs().max()
        ):
            raise UserError(
                f"feature_views: in {type(self.network).__name__} the classifier is not the last step, so its input "
                f"does not determine the output; set feature_views to 0"
            )
        return inputs_of_head[0].float()
