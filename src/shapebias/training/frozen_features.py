"""Features of a frozen backbone: computed once for some augmented views of each image, then trained on like images."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from shapebias.errors import UserError
from shapebias.networks.device import autocast
from shapebias.networks.models import classifier
from shapebias.training.data_loading import Batch, ImageFeed, Loader, Plan, Step
from shapebias.training.interruption import StoppedError

TOLERANCE = 1e-4  # of logits, relative to the largest: what the classifier makes of its input against the network


class FeatureFeed:
    """What the classifier is given of each image: V views of the training images, one of the validation images.

    Epoch e trains on view e mod V, augmented as epoch e mod V would augment images. Every rank computes its part of
    the features and holds all of them (float32, [V, images, D]).
    """

    def __init__(
        self,
        network: nn.Module,
        feed: ImageFeed,
        stopped: Callable[[], bool],
        show: Callable[[Iterable[int], int, str], Iterable[int]],
    ) -> None:
        self.plan: Plan = feed.plan
        self.images, self.steps, self.rounds = feed.images, feed.steps, feed.rounds
        self.val_plan = feed.val_plan
        backbone = Backbone(network, feed, stopped)
        wanted = [(feed.load, len(feed.train_set), view) for view in range(self.plan.recipe.feature_views)]
        wanted.append((feed.load_val, len(feed.val_set), 0))
        made = [backbone.features(*wanted[k]) for k in show(range(len(wanted)), len(wanted), "features")]
        *self.views, self.val_features = made
        device = self.plan.ranks.device
        self.labels = torch.tensor(self.plan.labels, device=device)
        self.val_labels = torch.tensor(feed.val_set.labels, device=device)

    def training(self, epoch: int, start: int = 0) -> Iterator[Step]:
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

    def __init__(self, network: nn.Module, feed: ImageFeed, stopped: Callable[[], bool]) -> None:
        self.network, self.feed, self.stopped = network.eval(), feed, stopped
        self.head = classifier(network)

    @torch.no_grad()
    def features(self, load: Loader, count: int, view: int) -> torch.Tensor:
        """Its input for one view of a set: float32 [images, D]; raises StoppedError, on all ranks alike."""
        ranks = self.feed.plan.ranks
        plan = [[(view, index) for _, index in keys] for keys in self.feed.own_part(count) if keys]
        found: torch.Tensor | None = None
        stopping = False
        for keys, (images, _) in zip(plan, load(plan), strict=True):
            rows = self.of(images)
            if found is None:
                found = torch.zeros(count, *rows.shape[1:], device=ranks.device)
            found[torch.tensor([index for _, index in keys])] = rows
            if stopping := self.stopped():
                break
        if ranks.sum(torch.tensor([float(stopping)], device=ranks.device)).item():
            raise StoppedError("stopped while features were computed; the same command computes them anew")
        assert found is not None, "a set holds no fewer images than there are ranks"
        return ranks.sum(found)

    def of(self, images: torch.Tensor) -> torch.Tensor:
        """The classifier's input for some images; raises UserError where the classifier is not the last step."""
        caught: list[torch.Tensor] = []
        hook = self.head.register_forward_pre_hook(lambda _, inputs: caught.append(inputs[0]))
        try:
            with autocast(self.feed.plan.ranks.device, self.feed.plan.recipe.precision):
                logits = self.network(images)
                again = self.head(caught[0]) if len(caught) == 1 else None
        finally:
            hook.remove()
        if (
            again is None
            or again.shape != logits.shape
            or (again - logits).abs().max() > TOLERANCE * logits.abs().max()
        ):
            raise UserError(
                f"feature_views: in {type(self.network).__name__} the classifier is not the last step, so its input "
                f"says not all; set feature_views to 0"
            )
        return caught[0].float()
