"""The tables that figures and report are made from, one row an observer (and category)."""

import fnmatch
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias import melanoma
from shapebias.bias import accuracy, bias, cue_accuracy
from shapebias.categories import CATEGORIES
from shapebias.errors import UserError

WHO = ["benchmark", "observer", "model", "regime", "seed"]
BIAS = ["conflict_images", "shape_hits", "texture_hits", "shape_bias", "ci_low", "ci_high"]
COLUMNS = {
    "shape_bias": [*WHO, *BIAS],
    "shape_bias_by_category": [*WHO, "category", *BIAS],
    "cue_accuracy": [*WHO, "conflict_images", "shape_accuracy", "texture_accuracy", "coverage"],
    "accuracy": [*WHO, "unit", "images", "correct", "accuracy", "ci_low", "ci_high", "chance"],
}
RUN_COLUMNS = [
    *["observer", "model", "regime", "seed", "timm", "parameters", "init", "train_on", "trainable"],
    *["epochs", "best_epoch", "steps", "images_seen", "val_accuracy", "lineage"],
]
REJECTED_COLUMNS = ["set", "split", "file", "reason"]
MELANOMA_COLUMNS = [*WHO, *melanoma.COLUMNS]
PEOPLE = "people"


@dataclass
class Measured:
    """Rows of the four tables, added one observer and benchmark at a time."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=lambda: {name: [] for name in COLUMNS})

    def add_network(self, benchmark: str, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
        """One network's predictions on one benchmark."""
        who = {"benchmark": benchmark, "observer": metadata["observer"]}
        who |= {key: metadata[key] for key in ("model", "regime", "seed")}
        if metadata["benchmark"] == "cue_conflict":
            self.add_bias(who, predictions)
        else:
            self.add_accuracy(who, predictions, metadata)

    def add_decisions(self, benchmark: str, decisions: pd.DataFrame, pools: dict[str, str]) -> None:
        """Recorded decisions of several observers on a cue-conflict benchmark, and pools of them.

        pools: name → pattern of observers; the pool called `people` makes its members people.
        """
        names = sorted(decisions["observer"].unique())
        measured = {row["observer"] for row in self.rows["shape_bias"] if row["benchmark"] == benchmark}
        twice = measured & {*names, *pools}
        if twice:
            raise UserError(
                f"benchmark {benchmark!r}: two observers are called {min(twice)!r}; rename one in `observers`"
            )
        groups = {name: decisions[decisions["observer"] == name] for name in names}
        people = set()
        for name, pattern in pools.items():
            members = fnmatch.filter(names, pattern)
            if not members:
                raise UserError(f"pool {name}={pattern}: no observer matches; there are {', '.join(names)}")
            groups[name] = decisions[decisions["observer"].isin(members)]
            people |= {*members, name} if name == PEOPLE else set()
        for name, rows in groups.items():
            model = PEOPLE if name in people else name
            self.add_bias(
                {"benchmark": benchmark, "observer": name, "model": model, "regime": None, "seed": None}, rows
            )

    def add_bias(self, who: dict[str, Any], decisions: pd.DataFrame) -> None:
        self.rows["shape_bias"].append(who | bias(decisions))
        self.rows["cue_accuracy"].append(who | cue_accuracy(decisions))
        for category in CATEGORIES:
            part = decisions[decisions["shape"] == category]
            self.rows["shape_bias_by_category"].append(who | {"category": category} | bias(part))

    def add_accuracy(self, who: dict[str, Any], predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
        """Accuracy over categories, and over classes where the images' classes are among the network's."""
        answers = metadata["answers"]
        known = predictions[predictions["shape"].isin(answers)]
        right = known["decision"] == known["shape"]
        self.rows["accuracy"].append(who | {"unit": "category"} | accuracy(right, 1 / len(answers)))
        classes = metadata["class_names"]
        known = predictions[predictions["shape_class"].isin(classes)]
        if len(known):
            right = known["predicted_class"] == known["shape_class"]
            self.rows["accuracy"].append(who | {"unit": "class"} | accuracy(right, 1 / len(classes)))

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name, columns in order."""
        made = {}
        for name, rows in self.rows.items():
            # Without a detour through numbers: a column with missing seeds would turn 0 into 0.0.
            told = [{key: "" if key in WHO and value is None else value for key, value in row.items()} for row in rows]
            made[name] = pd.DataFrame(told, columns=COLUMNS[name]).astype({"seed": object})
        return made


def melanoma_table(
    answers: Sequence[tuple[str, pd.DataFrame, dict[str, Any]]], baseline: str | None = None
) -> pd.DataFrame:
    """One row an observer on a benchmark of melanoma, with its differences from ImageNet weights alone.

    answers: (benchmark, predictions, their metadata) of each. baseline: the regime that started from ImageNet weights
    alone; its run of the same model and seed is what others are compared with, and has no differences itself.
    """
    measured = [melanoma.performance(predictions) for _, predictions, _ in answers]
    baselines = {
        (benchmark, told["model"], told["seed"]): one
        for one, (benchmark, _, told) in zip(measured, answers, strict=True)
        if told["regime"] == baseline
    }
    rows = []
    for one, (benchmark, _, told) in zip(measured, answers, strict=True):
        other = baselines.get((benchmark, told["model"], told["seed"]))
        compared = other is not None and other is not one
        who = {"benchmark": benchmark} | {name: "" if told[name] is None else told[name] for name in WHO[1:]}
        who["baseline"] = baseline if compared else ""
        rows.append(who | melanoma.row(one, other if compared else None))
    return pd.DataFrame(rows, columns=MELANOMA_COLUMNS)


def run_table(facts: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a run: what it started from, what it saw, how far it came (facts: the run.json of each)."""
    rows = [
        fact
        | {
            "train_on": "+".join(fact["train_on"]),
            "images_seen": seen(fact["images_seen"]),
            "lineage": lineage(fact["lineage"]),
        }
        for fact in facts
    ]
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def seen(images: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in images.items())


def lineage(links: list[dict[str, Any]]) -> str:
    """All trainings that weights went through, oldest first: what they started from, epochs, images seen."""
    told = [f"{link['regime']} ({link['epochs']} epochs of {seen(link['images_seen'])})" for link in links]
    return " → ".join([links[0]["init"], *told])


def rejected_table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """The images that were set aside, each once."""
    return pd.DataFrame(sorted(set(rows)), columns=REJECTED_COLUMNS)
