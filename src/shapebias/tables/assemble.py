"""Assemble the tables for figures and report: every measured value, with one row per observer and subject."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import TRIALS
from shapebias.evaluation.stimulus_names import published_conflicts, stimulus_name
from shapebias.metrics import (
    accuracy_by_condition,
    configural_shape,
    critical_band,
    cue_reliance,
    error_consistency,
    frequency_bias,
    human_likeness,
    laion_c,
    melanoma,
    protocol_range,
    refined_bias,
)
from shapebias.metrics.accuracy_differences import compare_accuracies
from shapebias.metrics.answer_cautions import answer_cautions
from shapebias.metrics.bias_differences import SHARE_COLUMNS, difference_rows
from shapebias.metrics.classification import (
    tabulate_classification,
    tabulate_confusion,
    tabulate_top_k,
)
from shapebias.metrics.many_tests import adjust_for_discoveries, adjust_for_many_tests
from shapebias.metrics.panel import NO_ANSWER, NOT_SHOWN, Panel, pair_trials, parse_pools
from shapebias.metrics.readable_cues import readable_cues
from shapebias.metrics.seed_pooling import IMAGES, pooled_difference, pooled_row, undefined_difference
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
    BENCHMARK_COLUMNS,
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
DIFFERENCE_COLUMNS = ["difference", "ci_low", "ci_high", *SHARE_COLUMNS, "reason"]
PUBLISHED = "published"  # the origin of a benchmark
InstrumentTable = Callable[[pd.DataFrame, dict[str, Any]], pd.DataFrame]
# Measure → the function that makes its table of one network's predictions and metadata. The table has its name.
INSTRUMENTS: Mapping[str, InstrumentTable] = {
    "reliance": cue_reliance.tabulate_reliance,
    "configural_shape": configural_shape.tabulate_configural_shape,
    "refined_bias": refined_bias.tabulate_refined_bias,
    "frequency_bias": frequency_bias.tabulate_frequency_bias,
    "laion_c": laion_c.tabulate_laion_c,
}
FEWEST_PUBLISHED = 100  # a smaller set could bear names of published stimuli by chance
NO_CONFLICT = "no image whose shape and texture differ and are both open to the observer"


@dataclass
class BenchmarkAnswers:
    """The answers to one benchmark.

    kind: a name of KINDS.
    identities: observer or pool → model, regime and seed, in the order of the tables.
    trials: one table per added file.
    networks: observer → its predictions and their metadata.
    pools: name → members.
    people: names of persons.
    """

    kind: str
    identities: dict[str, dict[str, Any]] = field(default_factory=dict)
    trials: list[pd.DataFrame] = field(default_factory=list)
    networks: dict[str, tuple[pd.DataFrame, dict[str, Any]]] = field(default_factory=dict)
    pools: dict[str, list[str]] = field(default_factory=dict)
    people: list[str] = field(default_factory=list)

    @property
    def groups(self) -> dict[str, list[str]]:
        """Observer or pool → its members (for an observer, itself), in the order of the tables."""
        return {name: self.pools.get(name, [name]) for name in self.identities}

    def image_names(self) -> set[str]:
        """Return the images that networks saw, by their names in recorded decisions."""
        return {stimulus_name(image) for predictions, _ in self.networks.values() for image in predictions["image"]}

    def chance(self, observer: str) -> float:
        """Return the accuracy of guessing among the categories that an observer knows."""
        categories = self.networks[observer][1]["answers"] if observer in self.networks else CATEGORIES
        return 1 / len(categories)


@dataclass
class TableBuilder:
    """Builds all tables except those of melanoma and of runs, from answers added one file at a time."""

    benchmarks: dict[str, BenchmarkAnswers] = field(default_factory=dict)
    read_out: list[pd.DataFrame] = field(default_factory=list)
    protocols: dict[str, list[tuple[pd.DataFrame, dict[str, Any]]]] = field(default_factory=dict)

    def add_network(self, benchmark: str, predictions: pd.DataFrame, metadata: dict[str, Any]) -> None:
        """Add one network's predictions on one benchmark, as `decisions.read_predictions` returns them.

        Predictions of labels of a kind's own are as `decisions.read_raw_predictions` returns them.

        Raises UserError if another observer has the same name, or if the benchmark already has another kind.
        """
        kind, observer = metadata["benchmark"], metadata["observer"]
        answers = self._answers_to(benchmark, kind, [observer])
        answers.identities[observer] = {key: metadata[key] for key in ("model", "regime", "seed")}
        answers.networks[observer] = (predictions, metadata)
        if KINDS[kind].rule is None:
            answers.trials.append(select_trials(predictions, kind))

    def add_decisions(self, benchmark: str, decisions: pd.DataFrame, pools: Iterable[str], kind: str) -> None:
        """Add recorded decisions of several observers on a benchmark, as `decisions.read_decisions` returns them.

        pools: NAME=PATTERN, groups of observers that also get a pooled row. Members of the pool `people` are people.
        Raises UserError if two observers have one name, for a pool without members, and for a kind of benchmark that
        decisions between categories cannot measure.
        """
        if not KINDS[kind].takes_decisions:
            raise UserError(
                f"benchmark {benchmark!r}: nothing can be measured from decisions on images of kind {kind}; "
                f"leave the decisions out, or give predictions of networks"
            )
        names = sorted(decisions["observer"].unique())
        if PEOPLE in names:
            raise UserError(
                f"benchmark {benchmark!r}: an observer is called {PEOPLE!r}, the name of all people together; rename "
                f"the observer, and pool people as {PEOPLE}=PATTERN"
            )
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
            raise UserError(f"a benchmark is called {name!r}, the name of the mean over all benchmarks; rename it")
        answers = self.benchmarks.setdefault(name, BenchmarkAnswers(kind))
        if answers.kind != kind:
            raise UserError(
                f"benchmark {name!r}: {observers[0]} answers images of kind {kind}, other observers those of kind "
                f"{answers.kind}; give each kind a separate benchmark"
            )
        duplicates = set(answers.identities) & set(observers)
        if duplicates:
            raise UserError(
                f"benchmark {name!r}: two observers are called {min(duplicates)!r}; rename one in `observers`, or "
                f"with --observer of scripts/evaluate.py"
            )
        return answers

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return the tables by name, and a table answers.<benchmark> for each benchmark of cue conflict."""
        parts_of_table: dict[str, list[pd.DataFrame]] = {name: [] for name in TABLE_COLUMNS}
        parts_of_table["read_out"] = self.read_out
        parts_of_table |= tabulate_all_protocols(self.protocols)
        answer_tables: dict[str, pd.DataFrame] = {}
        benchmark_rows: list[dict[str, Any]] = []
        likeness: dict[str, human_likeness.ResampledLikeness] = {}
        for name, answers in self.benchmarks.items():
            measures = KINDS[answers.kind].measures
            if measures in INSTRUMENTS:
                tabulate: dict[str, InstrumentTable] = {measures: INSTRUMENTS[measures]}
                if measures == "reliance":
                    tabulate["reliance_pairs"] = cue_reliance.tabulate_reliance_pairs
                parts = {
                    table: pd.concat([make_table(*network) for network in answers.networks.values()])
                    for table, make_table in tabulate.items()
                }
            elif measures == "critical_band":
                parts = {"critical_band": tabulate_channels(answers)}
            else:
                panel = pair_trials(pd.concat(answers.trials, ignore_index=True))
                omitted = KINDS[answers.kind].omitted
                if resampled := human_likeness.resample_likeness(panel, answers.people, omitted, name):
                    likeness[name] = resampled
                parts = measure_all_images(answers, panel)
                if measures == "bias":
                    parts |= measure_conflicts(answers, panel)
                    answer_tables[f"answers.{name}"] = tabulate_answers(panel, answers.identities)
                else:
                    parts["accuracy"] = tabulate_accuracy(answers, panel)
                    parts["accuracy_differences"] = pd.DataFrame(compare_accuracies(panel, regime_pairs(answers)))
                accuracy_by_condition.forget_image_weights()
            benchmark_rows.append(describe_benchmark(name, answers, parts))
            for table, part in parts.items():
                parts_of_table[table].append(add_identity(part, name, answers.identities))
            parts_of_table["undefined"].append(tabulate_undefined(parts).assign(benchmark=name))
        conditions = concatenate(
            parts_of_table["accuracy_by_condition"], prepend_observer_columns(accuracy_by_condition.CONDITION_COLUMNS)
        )
        consistencies = concatenate(parts_of_table["error_consistency"], TABLE_COLUMNS["error_consistency"])
        all_omitted = {name: KINDS[answers.kind].omitted for name, answers in self.benchmarks.items()}
        parts_of_table["human_likeness"] = [
            human_likeness.tabulate_human_likeness(conditions, consistencies, all_omitted, likeness)
        ]
        parts_of_table["benchmarks"] = [pd.DataFrame(benchmark_rows, columns=BENCHMARK_COLUMNS)]
        if differences := parts_of_table["accuracy_differences"]:
            joined = pd.concat(differences, ignore_index=True)
            if len(joined):
                parts_of_table["accuracy_differences"] = [joined.assign(p_adjusted=adjust_for_many_tests(joined["p"]))]
        return {
            name: concatenate(parts_of_table[name], columns) for name, columns in TABLE_COLUMNS.items()
        } | answer_tables


def tabulate_all_protocols(
    files: Mapping[str, Sequence[tuple[pd.DataFrame, dict[str, Any]]]],
) -> dict[str, list[pd.DataFrame]]:
    """Return the parts of the tables on protocols; files: benchmark → decisions and metadata of each network.

    Raises UserError if a benchmark has two files of one network.
    """
    parts: dict[str, list[pd.DataFrame]] = {"protocols": [], "protocol_pairs": []}
    for benchmark, networks in files.items():
        answers = [protocol_range.read_protocol_answers(*network) for network in networks]
        names = [network.observer for network in answers]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise UserError(
                f"benchmark {benchmark!r}: two files of decisions under all protocols are of {repeated[0]!r}; remove "
                f"one of them"
            )
        identities = {
            facts["observer"]: {key: facts[key] for key in ("model", "regime", "seed")} for _, facts in networks
        }
        tables = [protocol_range.tabulate_protocols(network) for network in answers]
        parts["protocols"] += [add_identity(table, benchmark, identities) for table in tables]
        parts["protocol_pairs"].append(protocol_range.compare_protocols(answers).assign(benchmark=benchmark))
    return parts


def select_trials(predictions: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return one network's answers in the columns TRIALS, with the image names of recorded decisions."""
    # A photograph's category is its label for both shape and texture, so there is no second cue.
    trials = predictions if KINDS[kind].measures == "bias" else predictions.assign(texture=None)
    return trials.assign(image=trials["image"].map(stimulus_name))[TRIALS]


def tabulate_channels(answers: BenchmarkAnswers) -> pd.DataFrame:
    """Return the spatial-frequency channel of each observer of a benchmark of kind `critical_band`."""
    trials = pd.concat(answers.trials, ignore_index=True)
    chance = {name: answers.chance(name) for name in trials["observer"].unique()}
    return critical_band.tabulate_critical_band(trials, chance)


def measure_all_images(answers: BenchmarkAnswers, panel: Panel) -> dict[str, pd.DataFrame]:
    """Compute the tables that every benchmark of answers has, whatever its kind."""
    # Predictions of earlier versions hold no ranks.
    networks = [tabulate_top_k(*network) for network in answers.networks.values() if "shape_rank" in network[0]]
    chance = {observer: answers.chance(observer) for observer in panel.observers}
    order = KINDS[answers.kind].conditions
    seeds = {
        (model, regime): [name for name in names if name in panel.observers]
        for (model, regime, kind), names in pooled_groups(answers).items()
        if kind != PEOPLE
    }
    return {
        "top_k": pd.concat(networks) if networks else pd.DataFrame(columns=TABLE_COLUMNS["top_k"]),
        "confusion": tabulate_confusion(panel),
        "classification_report": tabulate_classification(panel),
        "accuracy_by_condition": accuracy_by_condition.tabulate_conditions(panel, answers.people, chance, order),
        "error_consistency": add_pair_cautions(
            error_consistency.tabulate_consistency(panel, answers.people), answer_cautions(panel, chance)
        ),
        "error_consistency_pooled": add_group_cautions(
            error_consistency.tabulate_pooled_consistency(
                panel, answers.people, {group: names for group, names in seeds.items() if names}
            ),
            seeds,
            answer_cautions(panel, chance),
        ),
    }


def add_pair_cautions(pairs: pd.DataFrame, cautions: Mapping[str, str]) -> pd.DataFrame:
    """Return the pairs with a column `caution`: why κ is not interpretable, or ""."""
    sides = (pairs[f"observer_{side}"].map(lambda name: cautions.get(name, "")) for side in (1, 2))
    return pairs.assign(caution=["; ".join(filter(None, texts)) for texts in zip(*sides, strict=True)])


def add_group_cautions(
    rows: pd.DataFrame, seeds: Mapping[tuple[str, str], Sequence[str]], cautions: Mapping[str, str]
) -> pd.DataFrame:
    """Return the rows of each model and regime with the cautions about any of their seeds.

    seeds: (model, regime) → observers.
    """
    texts = [
        "; ".join(cautions[name] for name in seeds[model, regime or ""] if name in cautions)
        for model, regime in zip(rows["model"], rows["regime"], strict=True)
    ]
    return rows.assign(caution=texts)


def measure_conflicts(answers: BenchmarkAnswers, panel: Panel) -> dict[str, pd.DataFrame]:
    """Compute the tables of a benchmark of conflicting cues."""
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
    rows["shape_bias_differences"] = add_adjusted_p(difference_rows(counts, answers.groups))
    rows["shape_bias_differences_pooled"] = pooled_difference_rows(answers, counts, rows["shape_bias_differences"])
    rows["cue_accuracy"] = cue_rows(answers, counts, panel)
    return {table: pd.DataFrame(table_rows) for table, table_rows in rows.items()}


def add_adjusted_p(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with p adjusted for their number, `p_adjusted` (`adjust_for_discoveries`)."""
    adjusted = adjust_for_discoveries([row["p"] for row in rows])
    return [row | {"p_adjusted": float(value)} for row, value in zip(rows, adjusted, strict=True)]


def add_observer_names(counts: CueCounts, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with the name of each observer."""
    return [{"observer": name} | row for name, row in zip(counts.names, rows, strict=True)]


def tabulate_undefined(parts: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """List the reasons for NaN values in the tables that have no column of reasons."""
    rows = []
    for table in TABLES_WITHOUT_REASON:
        for row in parts[table].to_dict("records") if table in parts else ():
            subject, reason = undefined_reason(table, row)
            if reason:
                rows.append({"table": table, "observer": row.get("observer", ""), "what": subject, "reason": reason})
    return pd.DataFrame(rows, columns=TABLE_COLUMNS["undefined"])


def undefined_reason(table: str, row: Mapping[str, Any]) -> tuple[str, str]:
    """Return the subject of a row, in addition to its observer, and why its value is NaN ("" if it is not NaN)."""
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
    denominator = "conflict images answered so" if by_answer else "answers to conflict images"
    if table == "shape_bias_pooled":  # seeds share their images
        denominator = "conflict images' answers"
    return subject, f"none of {row['conflict_images']} {denominator} names the shape or the texture"


def pooled_groups(answers: BenchmarkAnswers) -> dict[tuple[str, str, str], list[str]]:
    """Return (model, regime, kind) → the observers to pool, one per seed. Persons count only in the pool `people`.

    kind: run, pretrained, people (the pool), or decisions (recorded decisions of observers that are not people).
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
    """Return one row per group of `pooled_groups`: a model and regime over all seeds, a network, or all people."""
    return [
        {"model": model, "regime": regime, "kind": kind, "seeds": len(names) if kind == "run" else 0}
        | pooled_row(counts, rows, [counts.names.index(name) for name in names])
        for (model, regime, kind), names in pooled_groups(answers).items()
    ]


def pooled_difference_rows(
    answers: BenchmarkAnswers, counts: CueCounts, differences: Sequence[dict[str, Any]]
) -> list[dict[str, Any]]:
    """Return differences in pooled bias between groups.

    differences: those of single observers (`difference_rows`), which are also those of groups with one member.

    Two regimes of one model are compared over the seeds that both have. Runs are also compared with each observer that
    is not a run. Such an observer is a separate group. It has the name of its model, or its own name if several such
    observers share a model.
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
    rows_of_pairs: dict[tuple[str, ...], dict[str, Any]] = {
        (row["observer_1"], row["observer_2"]): row for row in differences if not row["reason"]
    }
    rows = []
    for first, second in combinations(parts, 2):
        row = {"model_1": first[0], "regime_1": first[1], "model_2": second[0], "regime_2": second[1]}
        sides = [list(part[3].values()) for part in (first, second)]
        if first[2] and second[2]:
            if first[0] != second[0]:
                continue
            seeds = [seed for seed in first[3] if seed in second[3]]
            if not seeds:
                rows.append(row | undefined_difference("no seed that both have"))
                continue
            sides = [[part[3][seed] for seed in seeds] for part in (first, second)]
        members = [{m for place in side for m in answers.groups[counts.names[place]]} for side in sides]
        if not members[0] & members[1]:
            single = rows_of_pairs.get(tuple(counts.names[place] for side in sides for place in side))
            difference = (
                {name: single[name] for name in DIFFERENCE_COLUMNS} | {"seeds": 1, "interval": IMAGES}
                if single
                else pooled_difference(counts, *sides)
            )
            rows.append(row | difference | {"seeds": difference["seeds"] if first[2] or second[2] else 0})
    return rows


def cue_rows(answers: BenchmarkAnswers, counts: CueCounts, panel: Panel) -> list[dict[str, Any]]:
    """Return how often either cue is named, and the mean reciprocal rank of each cue."""
    rows, chance = [], [answers.chance(name) for name in counts.names]
    for place, row in enumerate(add_observer_names(counts, cue_accuracy_rows(counts, chance))):
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


def tabulate_accuracy(answers: BenchmarkAnswers, panel: Panel) -> pd.DataFrame:
    """Return accuracy over categories, and over classes for images whose class the network knows."""
    counts = (panel.shape >= 0)[:, None] & panel.seen & panel.answerable
    rows = []
    for observer in answers.identities:
        if observer in answers.pools:
            row = pooled_accuracy_row(panel, answers.pools[observer], answers.chance(observer))
        else:
            column = panel.observers.index(observer)
            mask = counts[:, column]
            row = accuracy_row(pd.Series(panel.correct[mask, column]), answers.chance(observer))
        rows.append({"observer": observer, "unit": "category"} | row)
        if observer in answers.networks:
            predictions, metadata = answers.networks[observer]
            classes = metadata["class_names"]
            with_class = predictions[predictions["shape_class"].isin(classes)]
            if len(with_class):
                row = accuracy_row(with_class["predicted_class"] == with_class["shape_class"], 1 / len(classes))
                rows.append({"observer": observer, "unit": "class"} | row)
    return pd.DataFrame(rows)


def describe_benchmark(name: str, answers: BenchmarkAnswers, parts: Mapping[str, pd.DataFrame]) -> dict[str, Any]:
    """Return the row of a benchmark: its kind, its images, who made them, and which cues an observer can read.

    origin: `stylized here` if this tool stylized the images, `published` if all have names of the published
    cue-conflict stimuli, else "" (unknown). The cues are those of `readable_cues`, for benchmarks of conflicting cues.
    """
    images = {image for trials in answers.trials for image in trials["image"]}
    images |= {image for predictions, _ in answers.networks.values() for image in predictions["image"]}
    networks = [predictions for predictions, _ in answers.networks.values()]
    stylized = any("style" in predictions and predictions["style"].notna().any() for predictions in networks)
    row = {"benchmark": name, "kind": answers.kind, "images": len({stimulus_name(image) for image in images})}
    if KINDS[answers.kind].measures != "bias":
        return row | {"origin": "stylized here" if stylized else ""}
    published = len(images) >= FEWEST_PUBLISHED and {stimulus_name(image) for image in images} <= published_conflicts()
    row["origin"] = "stylized here" if stylized else PUBLISHED if published else ""
    return row | readable_cues(parts["cue_accuracy"].to_dict("records"))


def regime_pairs(answers: BenchmarkAnswers) -> list[tuple[str, str]]:
    """Return every pair of runs of one model and seed in two regimes."""
    runs = [(name, answers.identities[name]) for name in answers.networks if answers.identities[name]["regime"]]
    return [
        (name_1, name_2)
        for (name_1, facts_1), (name_2, facts_2) in combinations(runs, 2)
        if (facts_1["model"], facts_1["seed"]) == (facts_2["model"], facts_2["seed"])
    ]


def tabulate_answers(panel: Panel, identities: Iterable[str]) -> pd.DataFrame:
    """Return one row per image: its shape, its texture, and every observer's decision.

    A decision is a category, `none` if the observer named no category, or "" if the observer did not see the image.
    Raises UserError if an observer has the name of another column.
    """
    observers = [name for name in identities if name in panel.observers]
    clash = set(observers) & set(IMAGE_COLUMNS)
    if clash:
        raise UserError(f"an observer is called {min(clash)!r}, the name of a column of answers; rename the observer")
    names = np.array([*CATEGORIES, "", "none"], dtype=object)
    assert (NOT_SHOWN, NO_ANSWER) == (-2, -1)  # negative positions find the last two names
    cues = np.array([*CATEGORIES, ""], dtype=object)
    table: dict[str, Any] = {"image": panel.images, "shape": cues[panel.shape], "texture": cues[panel.texture]}
    table |= {name: names[panel.decisions[:, panel.observers.index(name)]] for name in observers}
    return pd.DataFrame(table)


def add_identity(rows: pd.DataFrame, benchmark: str, identities: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
    """Add benchmark, model, regime and seed to the rows of one benchmark, and sort them in the order of `identities`.

    Rows about pairs of observers get the benchmark only.
    """
    rows = rows.assign(benchmark=benchmark)
    if "observer" not in rows:
        return rows
    order = {name: place for place, name in enumerate(identities)}
    rows = rows.iloc[np.argsort(rows["observer"].map(order).to_numpy(), kind="stable")]
    for key in ("model", "regime", "seed"):
        values = ["" if identities[name][key] is None else identities[name][key] for name in rows["observer"]]
        # The dtype is object, because integers beside missing seeds would become floats (0.0 for 0).
        rows[key] = pd.Series(values, index=rows.index, dtype=object)
    return rows


def concatenate(frames: Sequence[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    """Concatenate tables, with the columns in order. Without any rows, return an empty table with these columns."""
    filled = [frame for frame in frames if len(frame)]
    if not filled:
        return pd.DataFrame(columns=columns)
    return pd.concat(filled, ignore_index=True)[columns]


def tabulate_melanoma(
    answers: Sequence[tuple[str, pd.DataFrame, dict[str, Any]]], baseline: str | None = None
) -> pd.DataFrame:
    """Return one row per observer on a benchmark of melanoma, with its differences from the baseline.

    answers: (benchmark, predictions, metadata) of each observer.
    baseline: the regime that started from ImageNet weights alone. A run is compared with the baseline run of the same
    model and seed. A baseline run has no differences.
    """
    performances = [melanoma.measure_performance(predictions) for _, predictions, _ in answers]
    baselines = {
        (benchmark, metadata["model"], metadata["seed"]): performance
        for performance, (benchmark, _, metadata) in zip(performances, answers, strict=True)
        if metadata["regime"] == baseline
    }
    rows = []
    for performance, (benchmark, _, metadata) in zip(performances, answers, strict=True):
        reference = baselines.get((benchmark, metadata["model"], metadata["seed"]))
        has_baseline = reference is not None and reference is not performance
        row = {"benchmark": benchmark} | {
            name: "" if metadata[name] is None else metadata[name] for name in OBSERVER_COLUMNS[1:]
        }
        row["baseline"] = baseline if has_baseline else ""
        rows.append(row | melanoma.performance_row(performance, reference if has_baseline else None))
    return pd.DataFrame(rows, columns=MELANOMA_TABLE_COLUMNS)


def tabulate_runs(facts: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one row per run: its initial weights, its images and its results; facts: the run.json of each run."""
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
    """Describe the history of some weights: initial weights, then epochs and images of each training, oldest first."""
    trainings = [
        f"{link['regime']} ({link['epochs']} epochs of {format_image_counts(link['images_seen'])})" for link in links
    ]
    return " → ".join([links[0]["init"], *trainings])


def tabulate_rejected(rows: list[tuple[str, str, str, str]]) -> pd.DataFrame:
    """Return the rejected images, each once."""
    return pd.DataFrame(sorted(set(rows)), columns=REJECTED_COLUMNS)
