"""The tables that figures and report are made from: everything that is measured, one row an observer and what of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import TRIALS
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.metrics import accuracy_by_condition, cue_reliance, error_consistency, human_likeness, melanoma
from shapebias.metrics.bias_differences import difference_rows
from shapebias.metrics.classification import (
    classification_table,
    confusion_table,
    top_k_table,
)
from shapebias.metrics.panel import NO_ANSWER, NOT_SHOWN, Panel, pair_trials, parse_pools
from shapebias.metrics.seed_pooling import pooled_difference, pooled_row
from shapebias.metrics.shape_bias import (
    CueCounts,
    accuracy_row,
    bias_rows,
    count_cues,
    cue_accuracy_rows,
    pooled_accuracy_row,
    reciprocal_ranks,
    restrict_to_answer,
)
from shapebias.tables.columns import (
    IMAGE_COLUMNS,
    MELANOMA_TABLE_COLUMNS,
    OBSERVER_COLUMNS,
    PEOPLE,
    RECIPROCAL_RANK_COLUMNS,
    REJECTED_COLUMNS,
    RUN_COLUMNS,
    TABLE_COLUMNS,
    prepend_observer_columns,
)

# Tables of values that may be NaN, without a column of reasons.
TABLES_WITHOUT_REASON = [
    "shape_bias",
    "shape_bias_by_category",
    "shape_bias_by_answer",
    "shape_bias_pooled",
    "accuracy",
    "top_k",
]
NO_CONFLICT = "no image whose shape and texture differ and are both open to the observer"


@dataclass
class BenchmarkAnswers:
    """What was answered on one benchmark.

    kind: of KINDS; who: observer or pool → model, regime, seed, in the order of the tables; trials: those of each
    call; networks: observer → its predictions and their metadata; pools: name → members; people: names of persons.
    """

    kind: str
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: list[pd.DataFrame] = field(default_factory=list)
    networks: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Observer or pool → who is counted for it, in the order of the tables."""
        return {name: self.pools.get(name, [name]) for name in self.identities}

    def image_names(self) -> set[str]:
        """The images that networks saw, as recorded decisions call them."""
        return {stimulus_name(image) for predictions, _ in self.networks.values() for image in predictions["image"]}

    def chance(self, observer: str) -> float:
        """How often guessing among the categories that an observer knows is right."""
        categories = self.networks[observer][1]["answers"] if observer in self.networks else CATEGORIES
        return 1 / len(categories)


@dataclass
class TableBuilder:
    """All tables but those of melanoma and of runs; answers are added one observer or benchmark at a time."""

    benchmarks: dict[str, BenchmarkAnswers] = field(default_factory=dict)
    read_out: list[pd.DataFrame] = field(default_factory=list)

    def add_network(self, benchmark: str, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
        """One network's predictions on one benchmark, as `decisions.read_predictions` reads them.

        Raises UserError where another observer has its name, or where the benchmark is known as one of another kind.
        """
        kind, observer = metadata["benchmark"], metadata["observer"]
        answers = self._answers_to(benchmark, kind, [observer])
        answers.identities[observer] = {key: metadata[key] for key in ("model", "regime", "seed")}
        answers.networks[observer] = (predictions, metadata)
        answers.trials.append(select_trials(predictions, kind))

    def add_decisions(self, benchmark: str, decisions: pd.DataFrame, pools: Iterable[str], kind: str) -> None:
        """Recorded decisions of several observers on a benchmark, as `decisions.read_decisions` reads them.

        pools: NAME=PATTERN, groups of the observers to be counted together, too; the pool called `people` makes its
        members people. Raises UserError where two observers have one name, for a pool without members, and for a kind
        that decisions between categories tell nothing of.
        """
        if not takes_decisions(kind):
            raise UserError(
                f"benchmark {benchmark!r}: decisions on images of kind {kind} tell nothing of what is measured there; "
                f"leave them out, or give the predictions of networks"
            )
        names = sorted(decisions["observer"].unique())
        members = parse_pools(pools, names)
        answers = self._answers_to(benchmark, kind, [*names, *members])
        people = members.get(PEOPLE, [])
        answers.people += people
        answers.pools |= members
        for name in [*names, *members]:
            model = PEOPLE if name in people or name == PEOPLE else name
            answers.identities[name] = {"model": model, "regime": None, "seed": None}
        answers.trials.append(decisions)

    def _answers_to(self, name: str, kind: str, observers: Sequence[str]) -> BenchmarkAnswers:
        if name == human_likeness.ALL:
            raise UserError(f"a benchmark is called {name!r}, as the mean over all is; call it otherwise")
        answers = self.benchmarks.setdefault(name, BenchmarkAnswers(kind))
        if answers.kind != kind:
            raise UserError(
                f"benchmark {name!r}: {observers[0]} answers images of kind {kind}, others of kind {answers.kind}; "
                f"give each kind a benchmark of its own"
            )
        duplicates = set(answers.identities) & set(observers)
        if duplicates:
            raise UserError(
                f"benchmark {name!r}: two observers are called {min(duplicates)!r}; rename one in `observers`"
            )
        return answers

    def tables(self) -> dict[str, pd.DataFrame]:
        """The tables by name, columns in order; also answers.<benchmark> for each of cue conflict."""
        parts_of_table: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLE_COLUMNS}
        parts_of_table["read_out"] = self.read_out
        answer_tables: dict[str, pd.DataFrame] = {}
        for name, answers in self.benchmarks.items():
            measures = KINDS[answers.kind].measures
            if measures == "reliance":
                networks = answers.networks.values()
                parts = {"reliance": pd.concat([cue_reliance.reliance_table(*network) for network in networks])}
            else:
                panel = pair_trials(pd.concat(answers.trials, ignore_index=True))
                parts = measure_all_images(answers, panel)
                if measures == "bias":
                    parts |= measure_conflicts(answers, panel)
                    answer_tables[f"answers.{name}"] = answers_table(panel, answers.identities)
                else:
                    parts["accuracy"] = accuracy_table(answers, panel)
            for table, part in parts.items():
                parts_of_table[table].append(add_identity(part, name, answers.identities))
            parts_of_table["undefined"].append(undefined_table(parts).assign(benchmark=name))
        conditions = concatenate(
            parts_of_table["accuracy_by_condition"], prepend_observer_columns(accuracy_by_condition.CONDITION_COLUMNS)
        )
        consistencies = concatenate(parts_of_table["error_consistency"], TABLE_COLUMNS["error_consistency"])
        undistorted = {name: KINDS[answers.kind].undistorted for name, answers in self.benchmarks.items()}
        undistorted_conditions = {name: condition for name, condition in undistorted.items() if condition}
        parts_of_table["human_likeness"] = [
            human_likeness.human_likeness_table(conditions, consistencies, undistorted_conditions)
        ]
        return {
            name: concatenate(parts_of_table[name], columns) for name, columns in TABLE_COLUMNS.items()
        } | answer_tables


def takes_decisions(kind: str) -> bool:
    """Whether anything is measured from decisions between categories alone on a kind of benchmark."""
    return KINDS[kind].measures in ("bias", "accuracy")


def select_trials(predictions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """One network's answers in the columns of TRIALS, images called as recorded decisions call them."""
    # Photographs of one category are labelled with it as shape and as texture: there is no second cue to tell of.
    trials = predictions if KINDS[kind].measures == "bias" else predictions.assign(texture=None)
    return trials.assign(image=trials["image"].map(stimulus_name))[TRIALS]


def measure_all_images(answers: BenchmarkAnswers, panel: Panel) -> dict[str, pd.DataFrame]:
    """What is measured on each benchmark, whatever its kind."""
    # Predictions of earlier versions hold no ranks.
    networks = [top_k_table(*network) for network in answers.networks.values() if "shape_rank" in network[0]]
    chance = {observer: answers.chance(observer) for observer in panel.observers}
    order = KINDS[answers.kind].conditions
    seeds = {
        (model, regime): [name for name in names if name in panel.observers]
        for (model, regime, kind), names in pooled_groups(answers).items()
        if kind != PEOPLE
    }
    return {
        "top_k": pd.concat(networks) if networks else pd.DataFrame(columns=TABLE_COLUMNS["top_k"]),
        "confusion": confusion_table(panel),
        "classification_report": classification_table(panel),
        "accuracy_by_condition": accuracy_by_condition.condition_table(panel, answers.people, chance, order),
        "error_consistency": error_consistency.consistency_table(panel, answers.people),
        "error_consistency_pooled": error_consistency.pooled_consistency_table(
            panel, answers.people, {group: names for group, names in seeds.items() if names}
        ),
    }


def measure_conflicts(answers: BenchmarkAnswers, panel: Panel) -> dict[str, pd.DataFrame]:
    """What is measured on a benchmark of conflicting cues."""
    counts = count_cues(panel, answers.groups)
    rows: dict[str, list[dict[str, Any]]] = {"shape_bias": add_observer_names(counts, bias_rows(counts))}
    rows["shape_bias_by_category"] = [
        {"category": category} | row
        for category in CATEGORIES
        for row in add_observer_names(counts, bias_rows(counts.select_shape(category)))
    ]
    rows["shape_bias_by_answer"] = [
        {"category": category} | row
        for category in CATEGORIES
        for row in add_observer_names(counts, bias_rows(restrict_to_answer(counts, panel, answers.groups, category)))
    ]
    rows["shape_bias_pooled"] = pooled_rows(answers, counts, rows["shape_bias"])
    rows["shape_bias_differences"] = difference_rows(counts, answers.groups)
    rows["shape_bias_differences_pooled"] = pooled_difference_rows(answers, counts)
    rows["cue_accuracy"] = cue_rows(answers, counts, panel)
    return {table: pd.DataFrame(found) for table, found in rows.items()}


def add_observer_names(counts: CueCounts, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with their observers."""
    return [{"observer": name} | row for name, row in zip(counts.names, rows, strict=True)]


def undefined_table(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Why a value is NaN, for each that is one in the tables that have no column of reasons."""
    rows = []
    for table in TABLES_WITHOUT_REASON:
        for row in parts[table].to_dict("records") if table in parts else ():
            subject, reason = undefined_reason(table, row)
            if reason:
                rows.append({"table": table, "observer": row.get("observer", ""), "what": subject, "reason": reason})
    return pd.DataFrame(rows, columns=TABLE_COLUMNS["undefined"])


def undefined_reason(table: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """What a row is about, beside its observer, and why its value is NaN ("" where it is none)."""
    if table == "accuracy":
        reason = "" if row["images"] else "no image of a category that the observer knows"
        return row["unit"], reason
    if table == "top_k":
        reason = "" if row["chance"] == row["chance"] else "how many classes a category has is not known of all"
        return f"chance of {row['of']}, {row['cue']}, k = {row['k']}", reason
    subject = f"{row['model']} {row['regime']}".strip() if table == "shape_bias_pooled" else row.get("category", "")
    if not np.isnan(row["shape_bias"]):
        return subject, ""
    by_answer = table == "shape_bias_by_answer"
    if not row["conflict_images"]:
        return subject, "no conflict image was answered so" if by_answer else NO_CONFLICT
    counted = "conflict images answered so" if by_answer else "answers to conflict images"
    if table == "shape_bias_pooled":  # whose seeds share their images
        counted = "conflict images' answers"
    return subject, f"none of {row['conflict_images']} {counted} names the shape or the texture"


def pooled_groups(answers: BenchmarkAnswers) -> dict[tuple[str, str, str], list[str]]:
    """(model, regime, kind) → the observers that are counted together, one a seed; persons are only in their pool.

    kind: run, pretrained, people (the pool), or decisions (recorded ones of observers that are no people).
    """
    groups: dict[tuple[str, str, str], list[str]] = {}
    for name, facts in answers.identities.items():
        if name in answers.people:
            continue
        kind = PEOPLE if name == PEOPLE and name in answers.pools else "decisions"
        if name in answers.networks:
            kind = "pretrained" if facts["regime"] is None else "run"
        groups.setdefault((facts["model"], facts["regime"] or "", kind), []).append(name)
    return groups


def pooled_rows(answers: BenchmarkAnswers, counts: CueCounts, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a model and regime over all seeds, a network, people together, recorded observers that are no people."""
    return [
        {"model": model, "regime": regime, "kind": kind, "seeds": len(names) if kind == "run" else 0}
        | pooled_row(counts, rows, [counts.names.index(name) for name in names])
        for (model, regime, kind), names in pooled_groups(answers).items()
    ]


def pooled_difference_rows(answers: BenchmarkAnswers, counts: CueCounts) -> list[dict[str, Any]]:
    """Differences between regimes of one model, over the seeds that both have, and of these from what is no run.

    What is no run is a group of its own, called as its model, or as itself where that does not tell it from others.
    """
    groups = pooled_groups(answers)
    parts: list[tuple[str, str, bool, dict[Any, int]]] = []
    for (model, regime, kind), names in groups.items():
        places = {answers.identities[name]["seed"]: counts.names.index(name) for name in names}
        if kind == "run":
            parts.append((model, regime, True, places))
        else:
            unique = len(names) == 1
            parts += [(model if unique else name, "", False, {None: counts.names.index(name)}) for name in names]
    rows = []
    for first, second in combinations(parts, 2):
        row = {"model_1": first[0], "regime_1": first[1], "model_2": second[0], "regime_2": second[1]}
        sides = [list(part[3].values()) for part in (first, second)]
        if first[2] and second[2]:
            if first[0] != second[0]:
                continue
            seeds = [seed for seed in first[3] if seed in second[3]]
            if not seeds:
                rows.append(row | {"seeds": 0, "interval": "", "reason": "no seed that both have"})
                continue
            sides = [[part[3][seed] for seed in seeds] for part in (first, second)]
        members = [{m for place in side for m in answers.groups[counts.names[place]]} for side in sides]
        if not members[0] & members[1]:
            difference = pooled_difference(counts, *sides)
            rows.append(row | difference | {"seeds": difference["seeds"] if first[2] or second[2] else 0})
    return rows


def cue_rows(answers: BenchmarkAnswers, counts: CueCounts, panel: Panel) -> list[dict[str, Any]]:
    """How often either cue is named, and how near it is to being named."""
    rows = []
    for place, row in enumerate(add_observer_names(counts, cue_accuracy_rows(counts))):
        reason = "" if row["conflict_images"] else NO_CONFLICT
        if row["observer"] in answers.networks:
            predictions, metadata = answers.networks[row["observer"]]
            predictions = predictions.assign(image=predictions["image"].map(stimulus_name))
            ranks = reciprocal_ranks(counts, place, panel, predictions, metadata["answers"])
        else:
            ranks = dict.fromkeys(RECIPROCAL_RANK_COLUMNS, np.nan)
            reason = reason or "no reciprocal ranks: recorded decisions hold no probabilities"
        rows.append(row | ranks | {"reason": reason})
    return rows


def accuracy_table(answers: BenchmarkAnswers, panel: Panel) -> pd.DataFrame:
    """Accuracy over categories, and over classes where the images' classes are among the network's."""
    counts = (panel.shape >= 0)[:, None] & panel.seen & panel.answerable
    rows = []
    for observer in answers.identities:
        if observer in answers.pools:
            row = pooled_accuracy_row(panel, answers.pools[observer], answers.chance(observer))
        else:
            column = panel.observers.index(observer)
            chosen = counts[:, column]
            row = accuracy_row(pd.Series(panel.correct[chosen, column]), answers.chance(observer))
        rows.append({"observer": observer, "unit": "category"} | row)
        if observer in answers.networks:
            predictions, metadata = answers.networks[observer]
            classes = metadata["class_names"]
            with_class = predictions[predictions["shape_class"].isin(classes)]
            if len(with_class):
                row = accuracy_row(with_class["predicted_class"] == with_class["shape_class"], 1 / len(classes))
                rows.append({"observer": observer, "unit": "class"} | row)
    return pd.DataFrame(rows)


def answers_table(panel: Panel, identities: Iterable[str]) -> pd.DataFrame:
    """One row an image: its shape, its texture, and every observer's decision.

    A decision is a category, `none` of an observer that named none of them, or "" of one that did not see the image.
    Raises UserError for an observer that is called as one of the other columns.
    """
    observers = [name for name in identities if name in panel.observers]
    clash = set(observers) & set(IMAGE_COLUMNS)
    if clash:
        raise UserError(f"an observer is called {min(clash)!r}, as a column of answers is; rename it")
    names = np.array([*CATEGORIES, "", "none"], dtype=object)
    assert (NOT_SHOWN, NO_ANSWER) == (-2, -1)  # how the last two are found
    cues = np.array([*CATEGORIES, ""], dtype=object)
    table: dict[str, Any] = {"image": panel.images, "shape": cues[panel.shape], "texture": cues[panel.texture]}
    table |= {name: names[panel.decisions[:, panel.observers.index(name)]] for name in observers}
    return pd.DataFrame(table)


def add_identity(rows: pd.DataFrame, benchmark: str, identities: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Rows of one benchmark with who answered, in the order of `who`; rows about pairs get the benchmark only."""
    rows = rows.assign(benchmark=benchmark)
    if "observer" not in rows:
        return rows
    order = {name: place for place, name in enumerate(identities)}
    rows = rows.iloc[np.argsort(rows["observer"].map(order).to_numpy(), kind="stable")]
    for key in ("model", "regime", "seed"):
        values = ["" if identities[name][key] is None else identities[name][key] for name in rows["observer"]]
        # As objects: numbers beside missing seeds would turn 0 into 0.0.
        rows[key] = pd.Series(values, index=rows.index, dtype=object)
    return rows


def concatenate(frames: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """All rows, columns in order; also where there are none."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame(columns=columns)
    return pd.concat(filled, ignore_index=True)[columns]


def melanoma_table(
    answers: Sequence[tuple[str, pd.DataFrame, dict[str, Any]]], baseline: str | None = None
) -> pd.DataFrame:
    """One row an observer on a benchmark of melanoma, with its differences from ImageNet weights alone.

    answers: (benchmark, predictions, their metadata) of each. baseline: the regime that started from ImageNet weights
    alone; its run of the same model and seed is what others are compared with, and has no differences itself.
    """
    measured = [melanoma.measure_performance(predictions) for _, predictions, _ in answers]
    baselines = {
        (benchmark, metadata["model"], metadata["seed"]): performance
        for performance, (benchmark, _, metadata) in zip(measured, answers, strict=True)
        if metadata["regime"] == baseline
    }
    rows = []
    for one, (benchmark, _, told) in zip(measured, answers, strict=True):
        reference = baselines.get((benchmark, told["model"], told["seed"]))
        has_baseline = reference is not None and reference is not one
        row = {"benchmark": benchmark} | {
            name: "" if told[name] is None else told[name] for name in OBSERVER_COLUMNS[1:]
        }
        row["baseline"] = baseline if has_baseline else ""
        rows.append(row | melanoma.performance_row(one, reference if has_baseline else None))
    return pd.DataFrame(rows, columns=MELANOMA_TABLE_COLUMNS)


def run_table(facts: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a run: what it started from, what it saw, how far it came (facts: the run.json of each)."""
    rows = [
        fact
        | {
            "train_on": "+".join(fact["train_on"]),
            "images_seen": format_image_counts(fact["images_seen"]),
            "lineage": format_lineage(fact["lineage"]),
        }
        for fact in facts
    ]
    return pd.DataFrame(rows, columns=RUN_COLUMNS)


def format_image_counts(images: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in images.items())


def format_lineage(links: list[dict[str, Any]]) -> str:
    """All trainings that weights went through, oldest first: what they started from, epochs, images seen."""
    trainings = [
        f"{link['regime']} ({link['epochs']} epochs of {format_image_counts(link['images_seen'])})" for link in links
    ]
    return " → ".join([links[0]["init"], *trainings])


def rejected_table(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """The images that were set aside, each once."""
    return pd.DataFrame(sorted(set(rows)), columns=REJECTED_COLUMNS)
