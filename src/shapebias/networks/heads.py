"""Read-outs for networks without a classifier: a head is fitted on the features of labelled photographs.

Prototypes: the category whose mean direction has the largest cosine with the features (nearest class mean, Mensink et
al. 2013, doi.org/10.1109/TPAMI.2013.83). Neighbours: a vote of the photographs with the largest cosines, weighted by
exp(cosine / 0.07), with 20 neighbours (Wu et al. 2018, arXiv 1805.01978; Caron et al. 2021, arXiv 2104.14294). Linear:
a multinomial logistic regression (linear probe, Alain and Bengio 2016, arXiv 1610.01644).

A vote is divided by the category's number of photographs, and the regression weighs photographs in the same way, so
that a category with more photographs is not preferred.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from shapebias.errors import UserError
from shapebias.networks.functions import output_tensor
from shapebias.networks.models import classifier, image_facts

PROTOTYPES, NEIGHBOURS, LINEAR = "prototypes", "neighbours", "linear"
READ_OUTS = (PROTOTYPES, NEIGHBOURS, LINEAR)
MAX_NEIGHBOURS = 20
TEMPERATURE = 0.07
# One penalty serves all stages, networks and cues; none is tuned. For D features of unit variance, C is 30 / D, so that
# logits can be equally large at any width. In trials on small and large networks with values between 10 and 100,
# accuracies differed by 0.02 as a rule and by 0.09 at most. Tuning for each read-out would cost ten times as much.
LOGIT_VARIANCE = 30.0
READ_OUT_TOLERANCE = 1e-4  # of the gradient; accuracies differ by less than 0.01 from those with 1e-6
ITERATIONS = 1000


class FeatureNetwork(nn.Module):
    """A network up to its classifier: images [B, 3, size, size] → features [B, D].

    source: where the features are read. Networks of timm pool them, those of torchvision hand them to their classifier,
    and any other network returns them. Raises UserError if they are not one row per image.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        if hasattr(network, "forward_features") and hasattr(network, "forward_head"):
            self.source = "pooled features (forward_head with pre_logits)"
        elif image_facts(network).get("classifier"):
            self.source = "input of the classifier"
        else:
            self.source = "output of the network"

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        returned = self.read(images)
        features = output_tensor(returned)
        if features is None or features.ndim != 2 or len(features) != len(images) or not features.shape[1]:
            shape = "" if features is None else f" {list(features.shape)}"
            raise UserError(
                f"the {self.source} is a {type(returned).__name__}{shape} for {len(images)} images; a read-out needs "
                f"features [{len(images)}, D]: give a function that returns one row of features for each image"
            )
        return features.float()

    def read(self, images: torch.Tensor) -> Any:
        """Return the features as the network returns them."""
        if self.source.startswith("pooled"):
            maps = self.network.forward_features(images)  # ty: ignore[not-callable]
            return self.network.forward_head(maps, pre_logits=True)  # ty: ignore[not-callable]
        if not self.source.startswith("input"):
            return self.network(images)
        inputs: list[torch.Tensor] = []
        hook = classifier(self.network).register_forward_pre_hook(lambda _, received: inputs.append(received[0]))
        try:
            self.network(images)
        finally:
            hook.remove()
        return inputs[-1].flatten(1)  # SqueezeNet's classifier is a convolution


class ReadOutNetwork(nn.Module):
    """A network whose features a fitted head reads: images [B, 3, size, size] → logits [B, categories]."""

    def __init__(self, features: FeatureNetwork, head: nn.Module) -> None:
        super().__init__()
        self.features, self.head = features, head

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.features(images)
        return self.head.to(features.device)(features)


class PrototypeHead(nn.Module):
    """The cosine of features [B, D] with the mean direction of each category, [B, K]."""

    def __init__(self, directions: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("directions", F.normalize(directions))  # [K, D]

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return F.normalize(features) @ self.get_buffer("directions").T


class NeighbourHead(nn.Module):
    """The logarithm of each category's share of the votes of the nearest photographs, [B, K].

    rows: directions of the photographs [N, D]. votes: the weight of each photograph's vote for each category [N, K].
    """

    def __init__(self, rows: torch.Tensor, votes: torch.Tensor, neighbours: int) -> None:
        super().__init__()
        self.register_buffer("rows", rows)
        self.register_buffer("votes", votes)
        self.neighbours = neighbours

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        nearest = (F.normalize(features) @ self.get_buffer("rows").T).topk(self.neighbours, dim=1)
        weights = (nearest.values / TEMPERATURE).exp()  # [B, k]
        votes = torch.einsum("bk,bkc->bc", weights, self.get_buffer("votes")[nearest.indices])
        return (votes / votes.sum(dim=1, keepdim=True)).clamp_min(torch.finfo(votes.dtype).tiny).log()


def fit_head(kind: str, features: np.ndarray, categories: Sequence[str]) -> tuple[nn.Module, list[str], dict[str, Any]]:
    """Fit a head on photographs. Return it, the categories in the order of its logits, and its settings.

    kind: one of READ_OUTS. features: float32 [N, D]; categories: of each photograph [N].
    The number of neighbours is MAX_NEIGHBOURS, or the number of photographs of the smallest category if it has fewer.
    Raises UserError for photographs of fewer than two categories.
    """
    counts = Counter(categories)
    names = sorted(counts)
    if len(names) < 2:
        raise UserError(f"a read-out needs photographs of two categories or more; these show {names or 'none'}")
    positions = torch.tensor([names.index(category) for category in categories])
    members = F.one_hot(positions, len(names)).float()  # [N, K]
    votes = members / members.sum(dim=0)
    rows = F.normalize(torch.from_numpy(features))
    if kind == PROTOTYPES:
        return PrototypeHead(votes.T @ rows), names, {"similarity": "cosine"}
    if kind == NEIGHBOURS:
        neighbours = min(MAX_NEIGHBOURS, *counts.values())
        settings = {"similarity": "cosine", "neighbours": neighbours, "temperature": TEMPERATURE}
        return NeighbourHead(rows, votes, neighbours), names, settings
    if kind != LINEAR:
        raise UserError(f"unknown read-out {kind!r}; allowed: {', '.join(READ_OUTS)}")
    return linear_head(features, positions.numpy(), len(names)), names, {"C": LOGIT_VARIANCE / features.shape[1]}


def linear_head(features: np.ndarray, positions: np.ndarray, count: int) -> nn.Linear:
    """Return a logistic regression on standardized features as one linear layer; positions: int [N], below `count`."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # the last bits depend on the number of threads
        scaler, probe = linear_probe(features.shape[1], class_weight="balanced").fit(features, positions)
    weight = probe.coef_ / scaler.scale_
    bias = probe.intercept_ - weight @ scaler.mean_
    if count == 2:  # one row: the logit of the second category against the first
        weight, bias = np.concatenate([np.zeros_like(weight), weight]), np.concatenate([np.zeros_like(bias), bias])
    head = nn.Linear(features.shape[1], count)
    head.load_state_dict({"weight": torch.from_numpy(weight), "bias": torch.from_numpy(bias)})
    return head.requires_grad_(False)


def linear_probe(width: int, class_weight: str | None = None) -> Any:
    """Return scikit-learn's logistic regression for `width` standardized features, not fitted."""
    # scikit-learn takes a second to import, and a job that finds its read-outs in a shared folder does without.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = LogisticRegression(
        C=LOGIT_VARIANCE / width, max_iter=ITERATIONS, tol=READ_OUT_TOLERANCE, class_weight=class_weight
    )
    return make_pipeline(StandardScaler(), probe)
