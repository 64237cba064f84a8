"""Map the outputs of a network to the labels of a benchmark: a table class → label, and a rule.

Each instrument brings its own labels. A label has one or more classes of the network: WordNet ids of ILSVRC-2012, or
the names of the network's own classes. A rule turns the logits of a label's classes into the label's score:

- mean: the mean probability of the classes, after a softmax over all classes of the network (Geirhos et al. 2019, arXiv
  1811.12231).
- max: the largest logit of the classes (Doshi et al., NeurIPS 2025, arXiv 2507.00493).
- first_rank: the rank of the best of the classes among all classes of the network (Kim et al. 2026, arXiv 2603.10834).

The 16 categories are such a map with the rule mean; `shapebias.evaluation.observer` computes them in the same way.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from shapebias.csv_tables import read_csv_table
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import ALL_LABELS, Rule

if TYPE_CHECKING:
    import torch

LABEL_MAP_COLUMNS = ("class", "label")
NAMED_ITEMS = 5  # in one message


@dataclass(frozen=True)
class LabelMap:
    """The labels of a benchmark and the classes of each.

    classes: label → its classes, in the order of the labels. rule: see the module. origin: the file, for messages.
    Raises UserError for fewer than two labels, for a label that is called ALL_LABELS or has no classes, and for a class
    with two labels.
    """

    classes: Mapping[str, Sequence[str]]
    rule: Rule
    origin: str

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            names = ", ".join(self.classes) or "none"
            raise UserError(f"{self.origin}: its labels are {names}; a choice needs at least two labels")
        if ALL_LABELS in self.classes:
            raise UserError(
                f"{self.origin}: a label is called {ALL_LABELS!r}, which in the tables means all labels together; "
                f"choose another"
            )
        label_of: dict[str, str] = {}
        for label, names in self.classes.items():
            if not names:
                raise UserError(f"{self.origin}: label {label!r} has no classes; name its classes, or remove the label")
            for name in names:
                if label_of.setdefault(name, label) != label or list(names).count(name) > 1:
                    raise UserError(
                        f"{self.origin}: class {name!r} is listed twice, for {label_of[name]!r} and for {label!r}; "
                        f"keep one of them"
                    )

    @property
    def labels(self) -> list[str]:
        return list(self.classes)

    def positions(self, network_classes: Sequence[str]) -> dict[str, list[int]]:
        """Return label → the network's outputs of its classes, in the network's order.

        network_classes: the names of the network's outputs, in order. Raises UserError for a class that the network
        does not have.
        """
        places = {name: place for place, name in enumerate(network_classes)}
        missing = [name for names in self.classes.values() for name in names if name not in places]
        if missing:
            more = f" and {len(missing) - NAMED_ITEMS} more" if len(missing) > NAMED_ITEMS else ""
            raise UserError(
                f"{self.origin}: class {', '.join(missing[:NAMED_ITEMS])}{more}: not among the {len(places):,} classes "
                f"of the network ({', '.join(list(network_classes)[:3])}, …); give a table class,label with the "
                f"network's own classes (`labels`)"
            )
        return {label: sorted(places[name] for name in names) for label, names in self.classes.items()}

    def require_labels(self, labels: Iterable[str]) -> None:
        """Raise UserError if an image has a label that the map does not have."""
        unknown = sorted(set(labels) - set(self.classes))
        if unknown:
            raise UserError(
                f"{self.origin}: no class for label {', '.join(unknown[:NAMED_ITEMS])}, which images of the benchmark "
                f"have; its labels are {', '.join(self.classes)}"
            )

    def score(self, logits: "torch.Tensor", network_classes: Sequence[str]) -> np.ndarray:
        """Return the score of each label, float64 [B, labels].

        logits: float [B, K], one for each of the network's classes. The score is a probability (mean), a logit (max) or
        a rank from 1 to K (first_rank). Of equal logits, the earlier output ranks higher, as in a network's decision.
        """
        import torch  # takes seconds to import, and reading a map does not need it

        positions = self.positions(network_classes)
        if logits.shape[1:] != (len(network_classes),):
            raise UserError(
                f"{self.origin}: {tuple(logits.shape)} logits, but the network has {len(network_classes):,} classes"
            )
        if self.rule == "mean":
            values = logits.double().softmax(dim=1)
            scores = [values[:, places].mean(dim=1) for places in positions.values()]
        elif self.rule == "max":
            scores = [logits.double()[:, places].amax(dim=1) for places in positions.values()]
        else:
            ranks = rank_classes(logits).double()
            scores = [ranks[:, places].amin(dim=1) for places in positions.values()]
        return torch.stack(scores, dim=1).numpy()

    def decide(self, scores: np.ndarray) -> np.ndarray:
        """Return the label with the best score of each image, object [B]; of equal scores the first label's."""
        best = scores.argmin(axis=1) if self.rule == "first_rank" else scores.argmax(axis=1)
        return np.array(self.labels, dtype=object)[best]


def rank_classes(logits: "torch.Tensor") -> "torch.Tensor":
    """Return the rank of each class among all classes, int64 [B, K]: 1 is the highest logit."""
    return logits.argsort(dim=1, descending=True, stable=True).argsort(dim=1) + 1


def read_label_map(path: Path, rule: Rule) -> LabelMap:
    """Read a map from a CSV file `class,label`, one class a row. Labels keep the order of the file.

    Raises UserError, with the line, for a class that is listed twice, a class without a label, a label without a class,
    and for a file that is no such table; see `LabelMap` too.
    """
    table = read_csv_table(path, LABEL_MAP_COLUMNS)
    rows = list(zip(table.column("class"), table.column("label"), table.lines, strict=True))
    for name, label, line in rows:
        if label and not name:
            raise UserError(f"{path}, line {line}: label {label!r} has no class; name one, or remove the row")
        if name and not label:
            raise UserError(f"{path}, line {line}: class {name!r} has no label; name one, or remove the row")
    table.require_unique("class", "class")
    classes: dict[str, list[str]] = {}
    for name, label, _ in rows:
        classes.setdefault(label, []).append(name)
    return LabelMap(classes, rule, str(path))


def published_label_map(name: str, rule: Rule) -> LabelMap:
    """Return a published map of ILSVRC's classes; name: of a file in resources/, without `.csv`."""
    with resources.as_file(resources.files("shapebias") / "resources" / f"{name}.csv") as path:
        label_map = read_label_map(path, rule)
    return LabelMap(label_map.classes, rule, f"the published labels {name}.csv")


def category_label_map(
    network_classes: Sequence[str], categories: Mapping[str, str] | None = None, rule: Rule = "mean"
) -> LabelMap:
    """Return the map to those of the 16 categories that a network knows.

    categories: class → category of the network's classes (None: ILSVRC's).
    """
    from shapebias.networks.models import category_indices  # imports torch

    indices = category_indices(list(network_classes), None if categories is None else dict(categories))
    classes = {category: [network_classes[place] for place in places] for category, places in indices.items()}
    return LabelMap(classes, rule, "the 16 categories")
