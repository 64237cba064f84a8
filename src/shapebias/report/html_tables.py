"""Tables of the report: rows of the result tables as text for the page, and as CSV for download."""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias.metrics.melanoma import MELANOMA_MEASURES
from shapebias.report.wording import typeset_minus
from shapebias.tables.summaries import PEOPLE, observer_kinds, sort_observers

EMPTY_CELL = "–"
# A larger CSV stays outside the page, which must remain small enough to send by mail.
MAX_CSV_BYTES = 150_000  # bytes
MAX_ROWS = 150  # rows of one table on the page

Row = Mapping[Any, Any]


@dataclass(frozen=True)
class TextTable:
    """A table of text cells, ready to print."""

    columns: list[tuple[str, bool]]  # (heading, whether the cells are numbers)
    rows: list[list[str]] = field(default_factory=list)

    def without_empty_columns(self) -> "TextTable":
        """Return the table without columns that are empty in every row, such as training columns without training."""
        nonempty = [i for i in range(len(self.columns)) if any(row[i] != EMPTY_CELL for row in self.rows)]
        return TextTable([self.columns[i] for i in nonempty], [[row[i] for i in nonempty] for row in self.rows])


@dataclass(frozen=True)
class CsvDownload:
    """A CSV file: embedded in the page if it is small, otherwise named as a file of the result tables."""

    name: str
    uri: str | None
    file: str  # name of the file among the result tables
    rows: int


@dataclass(frozen=True)
class ReportTable:
    """A table on the page with its title and its CSV."""

    title: str
    table: TextTable
    csv: CsvDownload | None = None
    total: int = 0  # number of all rows if the page shows fewer, otherwise 0


def make_report_table(
    title: str, make: Callable[[pd.DataFrame], TextTable], rows: pd.DataFrame, csv: CsvDownload | None = None
) -> ReportTable:
    """Return a table of the first MAX_ROWS rows; the CSV holds all rows."""
    return ReportTable(title, make(rows.head(MAX_ROWS)), csv, len(rows) if len(rows) > MAX_ROWS else 0)


def csv_download(name: str, rows: pd.DataFrame) -> CsvDownload:
    """Return rows of a result table as CSV, with all columns at full precision and undefined numbers as NaN.

    name: `<table>`, or `<table>.<benchmark>` for the rows of one benchmark.
    """
    data = rows.to_csv(index=False, na_rep="NaN", lineterminator="\n").encode()
    uri = (
        f"data:text/csv;charset=utf-8;base64,{base64.b64encode(data).decode()}" if len(data) <= MAX_CSV_BYTES else None
    )
    return CsvDownload(f"{name}.csv", uri, f"{name.partition('.')[0]}.csv", len(rows))


Column = tuple[str, bool, Callable[[Row], str]]  # (heading, whether the cells are numbers, row → cell)


def text_column(heading: str, key: str) -> Column:
    """Return a column of texts."""
    return heading, False, lambda row: format_text(row[key])


def fraction_column(heading: str, key: str) -> Column:
    """Return a column of fractions, κ values or differences with three digits; undefined values read `undefined`."""
    return heading, True, lambda row: format_fraction(row[key], "undefined")


def integer_column(heading: str, key: str) -> Column:
    """Return a column of whole numbers."""
    return heading, True, lambda row: format_count(row[key])


def interval_column(low: str = "ci_low", high: str = "ci_high", heading: str = "95 % interval") -> Column:
    """Return a column of intervals; low, high: columns of the bounds."""
    return heading, True, lambda row: format_interval(row[low], row[high])


def observer_columns() -> list[Column]:
    """Return the columns model, regime and seed; a person's name stands in place of the model."""
    name_column = ("model", False, lambda row: format_text(row["observer"] if row["model"] == PEOPLE else row["model"]))
    return [name_column, text_column("regime", "regime"), integer_column("seed", "seed")]


def build_table(rows: pd.DataFrame, *columns: Column) -> TextTable:
    """Return a table with one line per row, without empty columns."""
    cells = [[cell(row) for _, _, cell in columns] for row in rows.to_dict("records")]
    return TextTable([(heading, number) for heading, number, _ in columns], cells).without_empty_columns()


# Tables of the sections


def format_pooled_table(pooled: pd.DataFrame) -> TextTable:
    """Return the bias of each model and regime over all seeds."""
    return build_table(
        sort_observers(pooled.assign(seed=float("nan"))),
        *(text_column("model", "model"), text_column("regime", "regime"), integer_column("seeds", "seeds")),
        *(integer_column("conflict images", "conflict_images"), integer_column("shape hits", "shape_hits")),
        *(integer_column("texture hits", "texture_hits"), fraction_column("bias", "shape_bias"), interval_column()),
        text_column("interval over", "interval"),
    )


def format_bias_table(shape_bias: pd.DataFrame, cue_accuracy: pd.DataFrame, runs: pd.DataFrame) -> TextTable:
    """Return bias, interval, hits, coverage, corrected bias and training of every observer."""
    answers = ["coverage", "corrected_bias", "corrected_low", "corrected_high"]
    coverage = cue_accuracy[["benchmark", "observer", *answers]]
    training = runs[["observer", "init", "train_on", "trainable", "epochs", "images_seen"]]
    joined = shape_bias.merge(coverage, on=["benchmark", "observer"], how="left")
    joined = sort_observers(joined.merge(training, on="observer", how="left"))
    joined["start"] = joined["init"].mask(observer_kinds(joined) == "pretrained", "not trained here")
    return build_table(
        joined,
        *(
            *observer_columns(),
            fraction_column("bias", "shape_bias"),
            interval_column(),
            integer_column("conflict images", "conflict_images"),
        ),
        *(
            integer_column("shape hits", "shape_hits"),
            integer_column("texture hits", "texture_hits"),
            optional_fraction_column("coverage"),
            optional_fraction_column("corrected_bias", "bias, corrected for guessing"),
            interval_column("corrected_low", "corrected_high", "its interval"),
        ),
        *(
            text_column("starts from", "start"),
            text_column("trained on", "train_on"),
            text_column("trainable", "trainable"),
        ),
        *(integer_column("epochs", "epochs"), text_column("images seen", "images_seen")),
    )


def format_changes_table(changes: pd.DataFrame) -> TextTable:
    """Return the bias before and after, and the difference with its paired interval.

    changes: result of `headline.bias_changes`.
    """
    return build_table(
        changes,
        *(
            text_column("model", "model"),
            integer_column("seed", "seed"),
            text_column("from", "baseline"),
            text_column("to", "regime"),
        ),
        *(
            fraction_column("bias before", "before"),
            fraction_column("bias after", "after"),
            fraction_column("difference", "difference"),
        ),
        *(
            interval_column(),
            integer_column("images both saw", "conflict_images"),
            text_column("why undefined", "reason"),
        ),
    )


def format_differences_table(pairs: pd.DataFrame) -> TextTable:
    """Return the difference in bias of each pair with its paired interval."""
    return build_table(
        pairs,
        *(
            text_column("observer", "observer_1"),
            text_column("minus", "observer_2"),
            integer_column("images both saw", "conflict_images"),
        ),
        *(
            fraction_column("bias", "shape_bias_1"),
            fraction_column("bias of the other", "shape_bias_2"),
            fraction_column("difference", "difference"),
        ),
        *(interval_column(), fraction_column("p, corrected", "p_adjusted"), text_column("why undefined", "reason")),
    )


def format_cue_table(cue_accuracy: pd.DataFrame) -> TextTable:
    """Return the shares of answers with the shape, the texture and either cue."""
    low_high = {cue: interval_column(f"{cue}_low", f"{cue}_high") for cue in ("shape", "texture", "coverage")}
    return build_table(
        sort_observers(cue_accuracy),
        *(*observer_columns(), integer_column("conflict images", "conflict_images")),
        *(fraction_column("shape answers", "shape_accuracy"), low_high["shape"]),
        *(fraction_column("texture answers", "texture_accuracy"), low_high["texture"]),
        *(fraction_column("either", "coverage"), low_high["coverage"]),
        *(optional_fraction_column("shape_reciprocal_rank", "reciprocal rank of shape"),),
        *(optional_fraction_column("texture_reciprocal_rank", "of texture"),),
    )


def format_accuracy_table(accuracy: pd.DataFrame) -> TextTable:
    """Return the accuracy of every observer on every benchmark with its interval."""
    return build_table(
        sort_observers(accuracy, leading_columns=["benchmark", "unit"]),
        *(text_column("benchmark", "benchmark"), text_column("by", "unit"), *observer_columns()),
        *(
            integer_column("images", "images"),
            integer_column("correct", "correct"),
            fraction_column("accuracy", "accuracy"),
            interval_column(),
        ),
        fraction_column("chance", "chance"),
    )


def format_accuracy_differences(differences: pd.DataFrame) -> TextTable:
    """Return the difference in accuracy of each pair of runs, with its paired interval and test."""
    return build_table(
        differences,
        *(text_column("benchmark", "benchmark"), text_column("run", "observer_1"), text_column("minus", "observer_2")),
        *(integer_column("images", "images"), fraction_column("difference", "difference"), interval_column()),
        *(integer_column("only the first right", "only_1"), integer_column("only the second right", "only_2")),
        *(fraction_column("p", "p"), fraction_column("p, corrected", "p_adjusted")),
    )


def format_conditions_table(by_condition: pd.DataFrame) -> TextTable:
    """Return the accuracy in each condition and the difference from people on the same images."""
    return build_table(
        by_condition,
        *(
            text_column("benchmark", "benchmark"),
            text_column("condition", "condition"),
            *observer_columns(),
            integer_column("images", "images"),
        ),
        *(fraction_column("accuracy", "accuracy"), interval_column(), fraction_column("chance", "chance")),
        *(
            optional_fraction_column("people_accuracy", "people"),
            optional_fraction_column("difference", "minus people"),
        ),
        interval_column("difference_low", "difference_high", "its 95 % interval"),
    )


def format_consistency_table(pairs: pd.DataFrame) -> TextTable:
    """Return the error consistency of each pair."""
    return build_table(
        pairs,
        *(
            text_column("benchmark", "benchmark"),
            text_column("observer", "observer_1"),
            text_column("with", "observer_2"),
        ),
        *(integer_column("images", "images"), fraction_column("κ", "kappa"), interval_column()),
        *(
            optional_fraction_column("kappa_max", "largest possible κ"),
            optional_fraction_column("copy_probability", "copy probability"),
        ),
        *(fraction_column("observed", "observed"), fraction_column("expected", "expected")),
        *(
            fraction_column("accuracy", "accuracy_1"),
            fraction_column("accuracy of the other", "accuracy_2"),
            text_column("why undefined", "reason"),
        ),
    )


def format_likeness_table(likeness: pd.DataFrame) -> TextTable:
    """Return the four measures of likeness to people from the model-vs-human toolbox, and the mean rank."""
    return build_table(
        likeness,
        *(
            text_column("benchmark", "benchmark"),
            *observer_columns(),
            optional_fraction_column("accuracy"),
            optional_fraction_column("accuracy_difference", "difference from people"),
        ),
        *(
            optional_fraction_column("observed_consistency", "observed consistency"),
            optional_fraction_column("error_consistency", "error consistency"),
        ),
        ("mean rank", True, lambda row: EMPTY_CELL if pd.isna(row["mean_rank"]) else f"{row['mean_rank']:.2f}"),
        interval_column("mean_rank_low", "mean_rank_high", "its 95 % interval"),
        text_column("why undefined", "reason"),
    )


def format_read_out_table(read_out: pd.DataFrame) -> TextTable:
    """Return the accuracy of the linear read-out of each stage."""
    return build_table(
        read_out,
        *(
            *observer_columns(),
            text_column("stage", "stage"),
            fraction_column("depth", "depth"),
            integer_column("features", "features"),
            text_column("cue", "cue"),
        ),
        *(
            integer_column("images", "images"),
            fraction_column("accuracy", "accuracy"),
            interval_column(),
            fraction_column("chance", "chance"),
        ),
        text_column("why undefined", "reason"),
    )


def format_protocol_ranges(ranges: pd.DataFrame) -> TextTable:
    """Return the bias of each network with its interval, and its range over protocols; ranges: `summarize_ranges`."""
    return build_table(
        ranges,
        *(*observer_columns(), fraction_column("bias", "shape_bias"), interval_column()),
        *(fraction_column("lowest", "lowest"), fraction_column("highest", "highest")),
        *(integer_column("protocols", "protocols"), integer_column("without a bias", "undefined")),
        *(text_column("lowest under", "lowest_under"), text_column("highest under", "highest_under")),
        text_column("published protocols", "published"),
    )


def format_protocol_pairs(pairs: pd.DataFrame) -> TextTable:
    """Return in how many protocols one of two networks has the higher bias."""
    return build_table(
        pairs,
        *(text_column("network", "observer_1"), text_column("and", "observer_2")),
        *(integer_column("protocols", "protocols"), integer_column("first higher", "higher")),
        *(integer_column("first lower", "lower"), integer_column("unclear", "unclear")),
        *(fraction_column("difference", "difference"), interval_column()),
        interval_column("difference_low", "difference_high", "range over protocols"),
        text_column("why undefined", "reason"),
    )


def format_reliance_table(reliance: pd.DataFrame) -> TextTable:
    """Return the accuracy that remains under suppression of a cue."""
    return build_table(
        reliance,
        *(text_column("benchmark", "benchmark"), *observer_columns(), text_column("suppressed", "cue")),
        ("strength", True, lambda row: EMPTY_CELL if pd.isna(row["strength"]) else f"{row['strength']:g}"),
        *(
            integer_column("images", "images"),
            fraction_column("accuracy", "accuracy"),
            interval_column(),
            fraction_column("share that remains", "relative"),
        ),
        *(
            interval_column("relative_low", "relative_high"),
            fraction_column("chance", "chance"),
            text_column("why undefined", "reason"),
        ),
    )


def format_top_k_table(top_k: pd.DataFrame) -> TextTable:
    """Return how often the class of a cue is among the first k of all classes."""
    return build_table(
        top_k,
        *(
            *observer_columns(),
            text_column("cue", "cue"),
            text_column("of", "of"),
            integer_column("k", "k"),
            integer_column("images", "images"),
        ),
        *(
            integer_column("hits", "hits"),
            fraction_column("accuracy", "accuracy"),
            interval_column(),
            fraction_column("chance", "chance"),
        ),
    )


def format_classification_table(report: pd.DataFrame) -> TextTable:
    """Return precision, recall and F1, averaged over categories; the CSV holds single categories."""
    return build_table(
        report[report["category"] == "macro average"],
        *(
            *observer_columns(),
            text_column("cue", "cue"),
            fraction_column("precision", "precision"),
            fraction_column("recall", "recall"),
            fraction_column("F1", "f1"),
        ),
        *(integer_column("images", "support"), text_column("why undefined", "reason")),
    )


def format_melanoma_table(melanoma: pd.DataFrame, runs: pd.DataFrame) -> TextTable:
    """Return all melanoma measures of every observer with intervals, initialization and baseline."""
    names = [
        "auc",
        *(name for name in MELANOMA_MEASURES if name != "auc"),
        "auc_difference",
        "balanced_accuracy_difference",
    ]
    measures = []
    for name in names:
        measures += [
            optional_fraction_column(name, name.replace("_", " ").replace("auc", "AUC")),
            interval_column(f"{name}_low", f"{name}_high"),
        ]
    return build_table(
        sort_observers(melanoma.merge(runs[["observer", "init"]], on="observer", how="left")),
        *(*observer_columns(), text_column("starts from", "init"), *measures, text_column("compared with", "baseline")),
        *(integer_column("images", "images"), integer_column("melanomas", "melanoma_images")),
    )


def format_rejected_table(rejected: pd.DataFrame) -> TextTable:
    """Return the rejected images with the reasons."""
    names = ["set", "split", "file", "reason"]
    rows = [[format_text(value) for value in row] for row in rejected[names].itertuples(index=False)]
    return TextTable([(name, False) for name in names], rows)


def format_undefined_table(undefined: pd.DataFrame) -> TextTable:
    """Return the undefined numbers with the reasons."""
    names = ["table", "benchmark", "observer", "what", "reason"]
    rows = [[format_text(value) for value in row] for row in undefined[names].itertuples(index=False)]
    return TextTable([(name, False) for name in names], rows)


def format_runs_table(records: Sequence[Mapping[str, Any]]) -> TextTable:
    """Return date, device and duration of each run; records: the `run.json` of each run."""
    stages = list(dict.fromkeys(stage for record in records for stage in record.get("seconds", {})))
    keys = ["model", "regime", "seed"]
    order = sort_observers(pd.DataFrame([[record[key] for key in keys] for record in records], columns=keys)).index
    table = TextTable(
        [
            *(("model", False), ("regime", False), ("seed", True), ("timm", False), ("started", False)),
            *(("device", False), ("threads", True), ("steps", True), ("best epoch", True)),
            *((f"{stage}, s", True) for stage in stages),
        ]
    )
    for record in (records[i] for i in order):
        seconds = record.get("seconds", {})
        table.rows.append(
            [
                *(format_text(record["model"]), format_text(record["regime"]), format_count(record.get("seed"))),
                *(format_text(record.get("timm")), format_text(record.get("started"))[:16].replace("T", " ")),
                *(
                    format_text(record.get("device")),
                    format_count(record.get("threads")),
                    format_count(record.get("steps")),
                ),
                format_count(record.get("best_epoch")),
                *(f"{seconds[stage]:,.1f}" if stage in seconds else EMPTY_CELL for stage in stages),
            ]
        )
    return table


def software_versions(records: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Return commit, lock file and versions; runs that differ give several versions, separated by commas."""
    versions_by_name: dict[str, dict[str, None]] = {}
    for record in records:
        own = {"commit": record.get("commit"), "uv.lock (SHA-256)": record.get("lock"), **record.get("versions", {})}
        for name, version in own.items():
            versions_by_name.setdefault(name, {})[format_text(version)] = None
    return {name: ", ".join(versions) for name, versions in versions_by_name.items() if {*versions} != {EMPTY_CELL}}


# Cells


def optional_fraction_column(key: str, heading: str = "") -> Column:
    """Return a column of fractions that some observers lack, such as ranks for recorded decisions."""
    return heading or key, True, lambda row: format_fraction(row[key])


def format_fraction(value: Any, missing: str = EMPTY_CELL) -> str:
    """Return a number with three digits, as in `−0.250`."""
    return missing if pd.isna(value) else typeset_minus(f"{value:.3f}")


def format_interval(low: Any, high: Any) -> str:
    """Return an interval with three digits, as in `0.400 to 0.600`."""
    return EMPTY_CELL if pd.isna(low) or pd.isna(high) else typeset_minus(f"{low:.3f} to {high:.3f}")


def format_count(value: Any) -> str:
    """Return a whole number, as in `1,280`."""
    return EMPTY_CELL if value is None or pd.isna(value) else f"{int(value):,}"


def format_text(value: Any) -> str:
    """Return a value as text; EMPTY_CELL stands in place of an empty value."""
    return EMPTY_CELL if value is None or (not isinstance(value, str) and pd.isna(value)) or value == "" else str(value)
