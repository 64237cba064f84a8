"""The report's tables: rows of the result tables as text to read, and the same rows as CSV to take away."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias.metrics.melanoma import MELANOMA_MEASURES
from shapebias.tables.summaries import PEOPLE, observer_kinds, sort_observers

MISSING = "–"
# A larger CSV stays outside the page, which is to be sent around.
LARGEST_CSV = 200_000  # bytes
MOST_ROWS = 400  # of a table on the page

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class Table:
    """Cells as text, ready to print."""

    columns: list[tuple[str, bool]]  # heading; whether its cells are numbers
    rows: list[list[str]] = field(default_factory=list)

    def without_empty_columns(self) -> "Table":
        """Leave out what no row has, such as training where nothing was trained."""
        kept = [i for i in range(len(self.columns)) if any(row[i] != MISSING for row in self.rows)]
        return Table([self.columns[i] for i in kept], [[row[i] for i in kept] for row in self.rows])


@dataclass(frozen=True)
class Csv:
    """A table to take away: inside the page if it is small, else by the name of its file."""

    name: str
    uri: str | None
    file: str  # among the result tables
    rows: int


@dataclass(frozen=True)
class Grid:
    """A table on the page under its title, and its CSV."""

    title: str
    table: Table
    csv: Csv | None = None
    total: int = 0  # rows there are, where the page shows fewer


def grid(title: str, make: Callable[[pd.DataFrame], Table], rows: pd.DataFrame, csv: Csv | None = None) -> Grid:
    """As many of the rows as a reader may still scroll through, and how many there are; the CSV has all."""
    return Grid(title, make(rows.head(MOST_ROWS)), csv, len(rows) if len(rows) > MOST_ROWS else 0)


def csv_of(name: str, rows: pd.DataFrame) -> Csv:
    """Rows of a result table, all columns at full precision, undefined numbers as NaN.

    name: `<table>`, or `<table>.<benchmark>` for the rows of one benchmark.
    """
    data = rows.to_csv(index=False, na_rep="NaN", lineterminator="\n").encode()
    uri = f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}" if len(data) <= LARGEST_CSV else None
    return Csv(f"{name}.csv", uri, f"{name.partition('.')[0]}.csv", len(rows))


Column = tuple[str, bool, Callable[[Row], str]]  # heading; whether its cells are numbers; row → cell


def words(heading: str, key: str) -> Column:
    return heading, False, lambda row: text(row[key])


def share(heading: str, key: str) -> Column:
    """A fraction, or a κ or a difference: three digits; an undefined one says so."""
    return heading, True, lambda row: fraction(row[key], "undefined")


def whole(heading: str, key: str) -> Column:
    return heading, True, lambda row: count(row[key])


def range_of(low: str = "ci_low", high: str = "ci_high", heading: str = "95 % interval") -> Column:
    return heading, True, lambda row: interval(row[low], row[high])


def who() -> list[Column]:
    """Model, regime and seed; people by their names."""
    named = ("model", False, lambda row: text(row["observer"] if row["model"] == PEOPLE else row["model"]))
    return [named, words("regime", "regime"), whole("seed", "seed")]


def table_of(rows: pd.DataFrame, *columns: Column) -> Table:
    """One line a row; columns that no row has a value for are left out."""
    cells = [[cell(row) for _, _, cell in columns] for row in rows.to_dict("records")]
    return Table([(heading, number) for heading, number, _ in columns], cells).without_empty_columns()


# What each section shows


def pooled_table(pooled: pd.DataFrame) -> Table:
    """Bias of each model and regime over all of its seeds."""
    return table_of(
        sort_observers(pooled.assign(seed=float("nan"))),
        *(words("model", "model"), words("regime", "regime"), whole("seeds", "seeds")),
        *(whole("conflict images", "conflict_images"), whole("shape hits", "shape_hits")),
        *(whole("texture hits", "texture_hits"), share("bias", "shape_bias"), range_of()),
        words("interval over", "interval"),
    )


def bias_table(shape_bias: pd.DataFrame, cue_accuracy: pd.DataFrame, runs: pd.DataFrame) -> Table:
    """Bias, interval, hits and coverage of every observer, beside how it was trained."""
    coverage = cue_accuracy[["benchmark", "observer", "coverage"]]
    training = runs[["observer", "init", "train_on", "trainable", "epochs", "images_seen"]]
    joined = shape_bias.merge(coverage, on=["benchmark", "observer"], how="left")
    joined = sort_observers(joined.merge(training, on="observer", how="left"))
    joined["start"] = joined["init"].mask(observer_kinds(joined) == "pretrained", "not trained here")
    return table_of(
        joined,
        *(*who(), share("bias", "shape_bias"), range_of(), whole("conflict images", "conflict_images")),
        *(whole("shape hits", "shape_hits"), whole("texture hits", "texture_hits"), share_if("coverage")),
        *(words("starts from", "start"), words("trained on", "train_on"), words("trainable", "trainable")),
        *(whole("epochs", "epochs"), words("images seen", "images_seen")),
    )


def changes_table(changes: pd.DataFrame) -> Table:
    """Bias before and after, and the difference with its paired interval (`findings.changes`)."""
    return table_of(
        changes,
        *(words("model", "model"), whole("seed", "seed"), words("from", "baseline"), words("to", "regime")),
        *(share("bias before", "before"), share("bias after", "after"), share("difference", "difference")),
        *(range_of(), whole("images of both", "conflict_images"), words("why undefined", "reason")),
    )


def differences_table(pairs: pd.DataFrame) -> Table:
    """Difference of bias of each pair, with its paired interval."""
    return table_of(
        pairs,
        *(words("observer", "observer_1"), words("minus", "observer_2"), whole("images of both", "conflict_images")),
        *(share("bias", "shape_bias_1"), share("of the other", "shape_bias_2"), share("difference", "difference")),
        *(range_of(), words("why undefined", "reason")),
    )


def cue_table(cue_accuracy: pd.DataFrame) -> Table:
    """How often each cue was answered, which a ratio hides."""
    low_high = {cue: range_of(f"{cue}_low", f"{cue}_high") for cue in ("shape", "texture", "coverage")}
    return table_of(
        sort_observers(cue_accuracy),
        *(*who(), whole("conflict images", "conflict_images")),
        *(share("shape answers", "shape_accuracy"), low_high["shape"]),
        *(share("texture answers", "texture_accuracy"), low_high["texture"]),
        *(share("either", "coverage"), low_high["coverage"]),
        *(share_if("shape_reciprocal_rank", "reciprocal rank of shape"),),
        *(share_if("texture_reciprocal_rank", "of texture"),),
    )


def accuracy_table(accuracy: pd.DataFrame) -> Table:
    """Accuracy and its interval for every observer on every benchmark."""
    return table_of(
        sort_observers(accuracy, leading_columns=["benchmark", "unit"]),
        *(words("benchmark", "benchmark"), words("by", "unit"), *who()),
        *(whole("images", "images"), whole("correct", "correct"), share("accuracy", "accuracy"), range_of()),
        share("chance", "chance"),
    )


def conditions_table(by_condition: pd.DataFrame) -> Table:
    """Accuracy in each condition, and how far from people on the same images."""
    return table_of(
        by_condition,
        *(words("benchmark", "benchmark"), words("condition", "condition"), *who(), whole("images", "images")),
        *(share("accuracy", "accuracy"), range_of(), share("chance", "chance")),
        *(share_if("people_accuracy", "people"), share_if("difference", "minus people")),
        range_of("difference_low", "difference_high", "its 95 % interval"),
    )


def consistency_table(pairs: pd.DataFrame) -> Table:
    """Agreement of errors of each pair."""
    return table_of(
        pairs,
        *(words("benchmark", "benchmark"), words("observer", "observer_1"), words("with", "observer_2")),
        *(whole("images", "images"), share("κ", "kappa"), range_of()),
        *(share("observed", "observed"), share("expected", "expected")),
        *(share("accuracy", "accuracy_1"), share("of the other", "accuracy_2"), words("why undefined", "reason")),
    )


def likeness_table(likeness: pd.DataFrame) -> Table:
    """The toolbox's four measures of likeness to people, and their ranks."""
    return table_of(
        likeness,
        *(
            words("benchmark", "benchmark"),
            *who(),
            share_if("accuracy"),
            share_if("accuracy_difference", "from people"),
        ),
        *(share_if("observed_consistency", "observed consistency"), share_if("error_consistency", "error consistency")),
        ("mean rank", True, lambda row: MISSING if pd.isna(row["mean_rank"]) else f"{row['mean_rank']:.2f}"),
        words("why undefined", "reason"),
    )


def read_out_table(read_out: pd.DataFrame) -> Table:
    """What a linear read-out of each stage gets right."""
    return table_of(
        read_out,
        *(*who(), words("stage", "stage"), share("depth", "depth"), whole("features", "features"), words("cue", "cue")),
        *(whole("images", "images"), share("accuracy", "accuracy"), range_of(), share("chance", "chance")),
        words("why undefined", "reason"),
    )


def reliance_table(reliance: pd.DataFrame) -> Table:
    """Accuracy that is left once a cue is suppressed."""
    return table_of(
        reliance,
        *(words("benchmark", "benchmark"), *who(), words("suppressed", "cue")),
        ("strength", True, lambda row: MISSING if pd.isna(row["strength"]) else f"{row['strength']:g}"),
        *(whole("images", "images"), share("accuracy", "accuracy"), range_of(), share("of the whole", "relative")),
        *(range_of("relative_low", "relative_high"), share("chance", "chance"), words("why undefined", "reason")),
    )


def top_k_table(top_k: pd.DataFrame) -> Table:
    """How often a cue's class is among the first k of all classes."""
    return table_of(
        top_k,
        *(*who(), words("cue", "cue"), words("of", "of"), whole("k", "k"), whole("images", "images")),
        *(whole("hits", "hits"), share("accuracy", "accuracy"), range_of(), share("chance", "chance")),
    )


def classification_table(report: pd.DataFrame) -> Table:
    """Precision, recall and F1 over all categories; single categories are in the CSV."""
    return table_of(
        report[report["category"] == "macro average"],
        *(*who(), words("cue", "cue"), share("precision", "precision"), share("recall", "recall"), share("F1", "f1")),
        *(whole("images", "support"), words("why undefined", "reason")),
    )


def melanoma_table(melanoma: pd.DataFrame, runs: pd.DataFrame) -> Table:
    """Every measure with its interval for every observer, beside what it started from and is compared with."""
    shown = [
        "auc",
        *(name for name in MELANOMA_MEASURES if name != "auc"),
        "auc_difference",
        "balanced_accuracy_difference",
    ]
    measures = []
    for name in shown:
        measures += [
            share_if(name, name.replace("_", " ").replace("auc", "AUC")),
            range_of(f"{name}_low", f"{name}_high"),
        ]
    return table_of(
        sort_observers(melanoma.merge(runs[["observer", "init"]], on="observer", how="left")),
        *(*who(), words("starts from", "init"), *measures, words("compared with", "baseline")),
        *(whole("images", "images"), whole("melanomas", "melanoma_images")),
    )


def rejected_table(rejected: pd.DataFrame) -> Table:
    """Images that were set aside, with the reason."""
    names = ["set", "split", "file", "reason"]
    rows = [[text(value) for value in row] for row in rejected[names].itertuples(index=False)]
    return Table([(name, False) for name in names], rows)


def undefined_table(undefined: pd.DataFrame) -> Table:
    """Numbers that do not exist, with the reason."""
    names = ["table", "benchmark", "observer", "what", "reason"]
    rows = [[text(value) for value in row] for row in undefined[names].itertuples(index=False)]
    return Table([(name, False) for name in names], rows)


def runs_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """When, where and how long each run was trained (records: the `run.json` of each)."""
    stages = list(dict.fromkeys(stage for record in records for stage in record.get("seconds", {})))
    keys = ["model", "regime", "seed"]
    order = sort_observers(pd.DataFrame([[record[key] for key in keys] for record in records], columns=keys)).index
    table = Table(
        [
            *(("model", False), ("regime", False), ("seed", True), ("timm", False), ("started", False)),
            *(("device", False), ("threads", True), ("steps", True), ("kept epoch", True)),
            *((f"{stage}, s", True) for stage in stages),
        ]
    )
    for record in (records[i] for i in order):
        seconds = record.get("seconds", {})
        table.rows.append(
            [
                *(text(record["model"]), text(record["regime"]), count(record.get("seed"))),
                *(text(record.get("timm")), text(record.get("started"))[:16].replace("T", " ")),
                *(text(record.get("device")), count(record.get("threads")), count(record.get("steps"))),
                count(record.get("best_epoch")),
                *(f"{seconds[stage]:,.1f}" if stage in seconds else MISSING for stage in stages),
            ]
        )
    return table


def software(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Commit and versions; several where the runs differ."""
    found: dict[str, dict[str, None]] = {}
    for record in records:
        for name, version in {"commit": record.get("commit"), **record.get("versions", {})}.items():
            found.setdefault(name, {})[text(version)] = None
    return {name: ", ".join(versions) for name, versions in found.items()}


# Cells


def share_if(key: str, heading: str = "") -> Column:
    """A fraction that not every observer has, such as ranks of recorded decisions."""
    return heading or key, True, lambda row: fraction(row[key])


def fraction(value: Any, missing: str = MISSING) -> str:
    return missing if pd.isna(value) else minus(f"{value:.3f}")


def interval(low: Any, high: Any) -> str:
    return MISSING if pd.isna(low) or pd.isna(high) else minus(f"{low:.3f} to {high:.3f}")


def minus(numbers: str) -> str:
    """With the minus sign that charts and figures have."""
    return numbers.replace("-", "−")


def count(value: Any) -> str:
    return MISSING if value is None or pd.isna(value) else f"{int(value):,}"


def text(value: Any) -> str:
    return MISSING if value is None or (not isinstance(value, str) and pd.isna(value)) or value == "" else str(value)
