"""The report's sections, one a question: what the tables answer, with figure, interval, number of images, how to read.

A section without data is None; `unmeasured` says what it would take.
"""

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from shapebias import charts, report_tables
from shapebias.benchmark_kinds import KINDS
from shapebias.categories import CATEGORIES
from shapebias.charts import Chart, Control, observer_rows
from shapebias.findings import (
    ABLE,
    ALL,
    TREATED,
    able,
    answer_findings,
    category_findings,
    change_findings,
    changes,
    condition_findings,
    consistency_findings,
    cost_findings,
    cue_findings,
    likeness_findings,
    melanoma_findings,
    read_out_findings,
    reliance_findings,
    side_finding,
    with_people,
)
from shapebias.report_tables import Grid, Table, csv_of, grid
from shapebias.summaries import PEOPLE, kind_of, observer_names, pool_accuracy, pool_bias, pool_means

# Observers in a matrix of pairs: more would be too small to see, and too much to send around.
LARGEST_MATRIX = 60
MOST_PAIRS = 8000  # of all benchmarks together
NUMBERS = "The numbers are in the table below it."


@dataclass(frozen=True)
class Image:
    """A picture that travels inside the page."""

    data: bytes
    kind: str  # svg+xml or webp
    alt: str = ""

    @property
    def uri(self) -> str:
        # As an image and not inline, so that the ids of several SVG files cannot clash and no script in one runs.
        return f"data:image/{self.kind};base64,{base64.b64encode(self.data).decode()}"

    @property
    def widest(self) -> int | None:
        """Pixels of the page beyond which it would look coarse; None where the file does not say how wide it is."""
        found = (
            re.search(rb'<svg[^>]*?\swidth="([\d.]+)(pt|px)?"', self.data[:5000]) if self.kind == "svg+xml" else None
        )
        if found is None:
            return None
        return round(1.3 * float(found[1]) * (96 / 72 if found[2] == b"pt" else 1))


@dataclass(frozen=True)
class Figure:
    """A picture, the charts that take its place on a screen with JavaScript, and how to read both."""

    image: Image | None
    caption: str
    width: str = "wide"  # or medium, natural
    charts: list[Chart] = field(default_factory=list)


@dataclass(frozen=True)
class Part:
    """What a section says about one benchmark."""

    heading: str = ""
    answers: list[str] = field(default_factory=list)
    warning: str = ""
    figures: list[Figure] = field(default_factory=list)
    grids: list[Grid] = field(default_factory=list)


@dataclass(frozen=True)
class Section:
    """A question and its answers."""

    id: str
    title: str
    parts: list[Part]


@dataclass(frozen=True)
class Study:
    """All that a report is made from. tables: every one of the result tables, empty where nothing was measured."""

    tables: Mapping[str, pd.DataFrame]
    people: pd.DataFrame | None
    figures: Mapping[str, bytes]
    config: Mapping[str, Any]
    looks: charts.Looks

    def figure(self, name: str, alt: str, *, numbers: bool = True) -> Image | None:
        """The SVG of this name, if it was drawn; numbers: whether a table below has them."""
        told = f"{alt}. {NUMBERS}" if numbers else f"{alt}."
        return Image(self.figures[name], "svg+xml", told) if name in self.figures else None

    def kind(self, benchmark: str) -> str:
        """The kind of a benchmark, where a config says it."""
        return str(self.config.get("benchmarks", {}).get(benchmark, {}).get("kind", benchmark))

    def home_made(self, benchmark: str) -> bool:
        """Whether its images were stylized here."""
        images = self.config.get("benchmarks", {}).get(benchmark, {}).get("images")
        return isinstance(images, str) and images in self.config.get("stylized", {})

    def runs_of_several_regimes(self) -> bool:
        return len(self.looks.regimes) > 1


def sections(study: Study) -> list[Section]:
    """All sections that have something to say, in the order of a reader's questions."""
    found = [bias(study), architectures(study), cost(study), likeness(study), inside(study), reliance(study)]
    found += [melanoma(study), answers(study)]
    return [section for section in found if section is not None]


def unmeasured(study: Study) -> list[str]:
    """What else can be measured, and what to add to the config for it."""
    tables, told = study.tables, []
    if tables["shape_bias"].empty:
        told.append("Shape bias: a benchmark of kind cue_conflict.")
    if tables["accuracy"].empty:
        told.append("Accuracy: a benchmark of kind in_test, silhouettes, edges or one of the model-vs-human sets.")
    if tables["error_consistency"].empty or with_people(tables["error_consistency"]).empty:
        told.append("Likeness to people: an observer with people's decisions on a benchmark, pooled as people.")
    if tables["read_out"].empty:
        told.append("Where the bias arises: read_out: true at a benchmark of kind cue_conflict.")
    if tables["reliance"].empty:
        told.append("Reliance without conflict: a benchmark of kind suppressed.")
    if tables["melanoma"].empty:
        told.append("Transfer to melanoma: a benchmark of kind melanoma, and regimes that train on it.")
    return told


# Does SIN training change the bias?


def bias(study: Study) -> Section | None:
    tables, parts = study.tables, []
    moves = changes(tables["shape_bias"], tables["shape_bias_differences"])
    for place, (benchmark, table) in enumerate(tables["shape_bias"].groupby("benchmark", sort=False)):
        name = str(benchmark)
        own, pairs = _of(moves, name), _of(tables["shape_bias_differences"], name)
        figures = [] if place == 0 else [bias_figure(study, name)]  # the first is the headline's
        figures.append(
            Figure(
                study.figure(f"shape_bias_differences.{name}", f"Differences of shape bias on {name}"),
                f"{_images_of_both(pairs)}How to read it: each value is a difference of bias between two observers of "
                "the same images; where its 95 % interval (paired by image) leaves out 0, they differ.",
                "medium",
                difference_charts(name, own, pairs, study),
            )
        )
        pooled = _of(tables["shape_bias_pooled"], name)
        grids = [
            Grid(
                "Bias of each model and regime, all seeds together",
                report_tables.pooled_table(pooled),
                csv_of(f"shape_bias_pooled.{name}", pooled),
            ),
            Grid(
                "Bias, hits and training of every observer",
                report_tables.bias_table(table, _of(tables["cue_accuracy"], name), tables["runs"]),
                csv_of(f"shape_bias.{name}", table),
            ),
            grid(
                "Change of bias in every run" if len(own) else "Difference of bias between every two observers",
                report_tables.changes_table if len(own) else report_tables.differences_table,
                own if len(own) else pairs,
                csv_of(f"shape_bias_differences.{name}", pairs),
            ),
        ]
        warning = WARNING.format(name=name) if study.home_made(name) else ""
        told = [change_findings(tables, name).get(TREATED, ""), side_finding(tables["shape_bias_pooled"], name)]
        parts.append(Part(name, [text for text in told if text], warning, figures, grids))
    title = (
        "Does training on stylized images change the bias?" if TREATED in study.looks.regimes else "Which cue decides?"
    )
    return Section("bias", title, parts) if parts else None


def bias_figure(study: Study, benchmark: str) -> Figure:
    """Where every observer stands on one benchmark."""
    pooled = _of(study.tables["shape_bias_pooled"], benchmark)
    images = _span(_single(_of(study.tables["shape_bias"], benchmark))["conflict_images"])
    seeds = ", and over seeds where there are several" if (pooled["seeds"] > 1).any() else ""
    return Figure(
        study.figure(f"shape_bias.{benchmark}", f"Shape bias of every observer on {benchmark}, with 95 % intervals"),
        f"“{benchmark}”, n = {images} conflict "
        "images. How to read it: left of the dashed line, texture decides more often than shape; right of it, shape "
        f"does. Bars are 95 % intervals over images{seeds}.",
        "medium",
        [bias_chart(benchmark, pooled, study.looks)] if len(pooled) else [],
    )


def _images_of_both(pairs: pd.DataFrame) -> str:
    return f"n = {_span(pairs['conflict_images'])} images seen by both. " if len(pairs) else ""


def difference_charts(benchmark: str, moves: pd.DataFrame, pairs: pd.DataFrame, study: Study) -> list[Chart]:
    """What became of the runs' bias, and how all others differ from each other."""
    found = [change_chart(benchmark, moves, study.looks)] if moves["difference"].notna().any() else []
    who = _of(study.tables["shape_bias"], benchmark)
    kinds = kind_of(who)
    others = list(
        who["observer"][(kinds == "pretrained") | (kinds == (PEOPLE if (kinds == PEOPLE).any() else "person"))]
    )
    known = pairs[pairs["observer_1"].isin(others) & pairs["observer_2"].isin(others)].dropna(subset=["difference"])
    if not 0 < len(known) <= LARGEST_MATRIX**2 / 2:
        return found
    rows = pair_rows(known, study)
    rows["difference"] = known["difference"]
    rows["interval_text"] = [
        report_tables.interval(*pair) for pair in zip(known["ci_low"], known["ci_high"], strict=True)
    ]
    back = charts.turned(rows).assign(difference=-known["difference"])
    back["interval_text"] = [
        report_tables.interval(-high, -low) for low, high in zip(known["ci_low"], known["ci_high"], strict=True)
    ]
    both = pd.concat([rows, back], ignore_index=True)
    both["value_text"] = both["difference"].map(report_tables.fraction)
    both["cell"] = _cells(both["difference"])
    chart = charts.matrix(
        f"shape_bias_differences_of_others.{benchmark}",
        both.assign(images=[*known["conflict_images"]] * 2),
        value=("difference", "row minus column"),
        description=f"Difference of shape bias between every two observers on {benchmark}",
        tooltip=[
            *(("who_1", "observer"), ("who_2", "minus"), ("value_text", "difference")),
            *(("interval_text", "95 % interval, paired"), ("images", "images of both")),
        ],
    )
    return [*found, chart]


WARNING = (
    "Not comparable with published numbers. The images of “{name}” were made here by a stylizing network. The "
    "published stimuli were made in another way, by optimisation (Gatys et al.), from other images. A bias on one "
    "set must not be compared with a bias on the other; compare observers within a set."
)


def bias_chart(benchmark: str, pooled: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Every observer's bias with its interval."""
    rows = observer_rows(pooled)
    rows["interval_text"] = _intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(report_tables.fraction)
    return charts.forest(
        f"shape_bias.{benchmark}",
        rows[["who", "model", "regime", "look", "shape_bias", "ci_low", "ci_high", *_BIAS_NUMBERS]],
        looks,
        value=("shape_bias", "shape bias (0: texture decides, 1: shape decides)"),
        description=f"Shape bias of every observer on {benchmark}",
        reference=0.5,
        tooltip=[
            *(("who", "observer"), ("value_text", "shape bias"), ("interval_text", "95 % interval")),
            *(("shape_hits", "shape hits"), ("texture_hits", "texture hits"), ("conflict_images", "conflict images")),
        ],
    )


_BIAS_NUMBERS = ["value_text", "interval_text", "shape_hits", "texture_hits", "conflict_images"]


# In every architecture?


def architectures(study: Study) -> Section | None:
    tables, parts = study.tables, []
    for benchmark in dict.fromkeys(tables["shape_bias_by_category"]["benchmark"]):
        name = str(benchmark)
        by_category = _of(tables["shape_bias_by_category"], name)
        # What the treatment did is told in the section before.
        statements = [text for regime, text in change_findings(tables, name).items() if regime != TREATED]
        statements += [text for text in [category_findings(tables["shape_bias_by_category"], name)] if text]
        figures, grids = [], []
        people = "" if study.people is None or _has_people(by_category) else PEOPLE_ELSEWHERE
        if pool_bias(by_category, by=["category"])["shape_bias"].notna().any():
            figures.append(
                Figure(
                    study.figure(f"shape_bias_by_category.{name}", f"Shape bias by category on {name}"),
                    f"n = {_span(_single(by_category)['conflict_images'])} conflict images a category for one "
                    "observer. How to read it: each marker is the share of shape among decisions that named the "
                    "shape or the texture, for images whose shape is of that category: the further right, the more "
                    f"the observer goes by shape. A category where no answer named either cue has no marker.{people}",
                    "wide",
                    [category_chart(name, study)],
                )
            )
            pooled = observer_rows(pool_bias(by_category, by=["category"]))
            grids.append(
                Grid(
                    "Bias by category of the shape",
                    wide(pooled, "category"),
                    csv_of(f"shape_bias_by_category.{name}", by_category),
                )
            )
        by_answer = _of(tables["shape_bias_by_answer"], name)
        if len(by_answer):
            pooled = observer_rows(pool_bias(by_answer, by=["category"]))
            grids.append(
                Grid(
                    "Bias by category of the answer (as the study that this repeats grouped it)",
                    wide(pooled, "category"),
                    csv_of(f"shape_bias_by_answer.{name}", by_answer),
                )
            )
        parts.append(Part(name, statements, "", figures, grids))
    title = "In every architecture, and every category?" if study.runs_of_several_regimes() else "In every category?"
    return Section("architectures", title, parts) if parts else None


PEOPLE_ELSEWHERE = " Black diamonds are ten people on the published stimuli: other images, shown for orientation only."


def wide(pooled: pd.DataFrame, row: str) -> Table:
    """One line a category, a column an observer: bias and its interval."""
    cells = [
        report_tables.fraction(bias) + ("" if pd.isna(low) else f" ({report_tables.interval(low, high)})")
        for bias, low, high in zip(pooled["shape_bias"], pooled["ci_low"], pooled["ci_high"], strict=True)
    ]
    spread = pooled.assign(cell=cells).pivot(index=row, columns="who", values="cell")
    spread = spread.reindex(index=list(dict.fromkeys(pooled[row])), columns=list(dict.fromkeys(pooled["who"])))
    lines = [[str(name), *values] for name, *values in spread.fillna(report_tables.MISSING).itertuples()]
    return Table([(row, False), *((str(who), True) for who in spread.columns)], lines)


def change_chart(benchmark: str, moves: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Each run's difference from the baseline of its model."""
    rows = observer_rows(moves)
    rows["interval_text"] = _intervals(rows, "ci_low", "ci_high")
    for column in ("before", "after", "difference"):
        rows[f"{column}_text"] = rows[column].map(report_tables.fraction)
    widest = float(rows[["difference", "ci_low", "ci_high"]].abs().max(axis=None))
    end = min(1.0, round(1.1 * widest, 2)) if widest > 0 else 1.0
    kept = ["who", "model", "regime", "look", "difference", "ci_low", "ci_high", "conflict_images", "interval_text"]
    return charts.forest(
        f"shape_bias_differences.{benchmark}",
        rows[[*kept, "before_text", "after_text", "difference_text"]],
        looks,
        value=("difference", f"change of shape bias (from “{moves['baseline'].iloc[0]}” to the regime named)"),
        description=f"Change of shape bias on {benchmark} against the baseline of the same network",
        reference=0.0,
        domain=(-end, end),
        tooltip=[
            *(("who", "observer"), ("difference_text", "change"), ("interval_text", "95 % interval, paired")),
            *(("before_text", "bias before"), ("after_text", "bias after"), ("conflict_images", "images of both")),
        ],
    )


def category_chart(benchmark: str, study: Study) -> Chart:
    """Bias in each category, by the category of the shape or of the answer."""
    parts, picks = [], []
    for name, label in (("shape_bias_by_category", "of the shape"), ("shape_bias_by_answer", "of the answer")):
        table = _of(study.tables[name], benchmark)
        if len(table):
            pooled = pool_bias(table, by=["category"])
            parts.append(observer_rows(pooled).assign(grouped=name))
            picks.append((name, label))
    rows = pd.concat(parts, ignore_index=True).dropna(subset=["shape_bias"])
    if study.people is not None and not _has_people(rows):
        rows = pd.concat([rows, _reference(study.people)], ignore_index=True)
    rows["interval_text"] = _intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(report_tables.fraction)
    first = rows[rows["grouped"] == "shape_bias_by_category"]
    networks, people = first[first["model"] != PEOPLE], first[first["model"] == PEOPLE]
    sorts = {"by bias": _by_mean(networks if len(networks) else people, "category", "shape_bias")}
    sorts |= {"by name": list(CATEGORIES)}
    if len(people):
        sorts["by people"] = _by_mean(people, "category", "shape_bias")
    return charts.dots(
        f"shape_bias_by_category.{benchmark}",
        rows[
            ["category", "grouped", "who", "model", "regime", "look", "shape_bias", "ci_low", "ci_high", *_BIAS_NUMBERS]
        ],
        study.looks,
        row="category",
        value=("shape_bias", "shape bias (0: texture decides, 1: shape decides)"),
        description=f"Shape bias of every observer in each category on {benchmark}",
        reference=0.5,
        sorts={label: [*names, *(name for name in CATEGORIES if name not in names)] for label, names in sorts.items()},
        picks=[Control("Category", "pick", picks, "grouped")] if len(picks) > 1 else [],
        tooltip=[
            *(("who", "observer"), ("category", "category"), ("value_text", "shape bias")),
            *(("interval_text", "95 % interval"), ("shape_hits", "shape hits"), ("texture_hits", "texture hits")),
            ("conflict_images", "conflict images"),
        ],
    )


def _reference(people: pd.DataFrame) -> pd.DataFrame:
    """People's hits on the published stimuli, as rows of a chart."""
    hits = people["shape_hits"] + people["texture_hits"]
    rows = people.assign(shape_bias=people["shape_hits"] / hits, grouped="shape_bias_by_category", regime="")
    return rows.assign(
        who="people, published stimuli", model=PEOPLE, look=PEOPLE, ci_low=float("nan"), ci_high=float("nan")
    )


# At what cost in accuracy?


def cost(study: Study) -> Section | None:
    tables = study.tables
    accuracy, by_condition, cues = (tables[name] for name in ("accuracy", "accuracy_by_condition", "cue_accuracy"))
    parts = []
    if len(accuracy):
        figure = Figure(
            study.figure("accuracy", "Accuracy of every observer on each benchmark, with 95 % intervals"),
            f"n = {_span(_single(accuracy)['images'])} images a benchmark. How to read it: the share of images named "
            "correctly, with 95 % intervals. By class, an answer is one of the classes that the network was trained "
            "on; by category, one of the 16 categories. Dashed, or grey and upright: guessing.",
            "wide",
            [accuracy_chart(accuracy, study.looks)],
        )
        table = grid("Accuracy of every observer", report_tables.accuracy_table, accuracy, csv_of("accuracy", accuracy))
        parts.append(Part("", cost_findings(accuracy), "", [figure], [table]))
    distorted = by_condition[by_condition["condition"].fillna("").astype(str) != ""]
    if len(distorted):
        shown = distorted["difference"].notna().any()
        figure = Figure(
            study.figure("accuracy_by_condition", "Accuracy of every observer in each condition"),
            f"n = {_span(distorted['images'])} images a condition for one observer. How to read it: from left to "
            "right, images are distorted more; a curve that stays high belongs to an observer that is robust. "
            f"{'Black: people on the same images.' if shown else ''}",
            "wide",
            [condition_chart(distorted, study)],
        )
        table = grid(
            "Accuracy in each condition",
            report_tables.conditions_table,
            distorted,
            csv_of("accuracy_by_condition", by_condition),
        )
        parts.append(Part("Distorted images", condition_findings(by_condition), "", [figure], [table]))
    for benchmark, table in cues.groupby("benchmark", sort=False):
        name = str(benchmark)
        chart = cue_chart(name, table, study.looks) if table["shape_accuracy"].notna().any() else None
        figure = Figure(
            study.figure(f"cue_accuracy.{name}", f"Share of shape and of texture answers on {name}"),
            f"n = {_span(_single(table)['conflict_images'])} conflict images. How to read it: a ratio hides how often "
            "either cue was named at all. The further up, the more answers name the shape; the further right, the "
            "texture; on the diagonal through the origin, bias is one half; at the lower left, answers name neither "
            "(guessing: 6 % each). Bars are 95 % intervals.",
            "medium",
            [chart] if chart else [],
        )
        grids = [
            Grid("Shape and texture answers", report_tables.cue_table(table), csv_of(f"cue_accuracy.{name}", table))
        ]
        ranked = _of(tables["top_k"], name)
        figures = [figure]
        if len(ranked):
            figures.append(
                Figure(
                    study.figure(f"top_k.{name}", f"Shape and texture among the first k classes on {name}"),
                    f"n = {_span(ranked['images'])} images. How to read it: how often the class of the shape, or of "
                    "the texture, is among the first k of all "
                    "classes of the network; where the image names a category only, its best-ranked class. "
                    "Intervals hold 95 %.",
                )
            )
            grids.append(grid("Among the first k", report_tables.top_k_table, ranked, csv_of(f"top_k.{name}", ranked)))
        heading = f"How often conflict images are recognised at all: {name}"
        parts.append(Part(heading, cue_findings(cues, name), "", figures, grids))
    title = "At what cost in accuracy?" if study.runs_of_several_regimes() else "How accurate are they?"
    return Section("cost", title, parts) if parts else None


def accuracy_chart(accuracy: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Every observer's accuracy on every benchmark."""
    rows = observer_rows(pool_accuracy(accuracy))
    rows["interval_text"] = _intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(report_tables.fraction)
    kept = ["benchmark", "unit", "who", "model", "regime", "look", "accuracy", "ci_low", "ci_high", "chance"]
    networks = rows[(rows["model"] != PEOPLE) & (rows["unit"] == "category")]
    names = list(dict.fromkeys(rows["benchmark"]))
    sorts = {
        "as measured": names,
        "by accuracy": _by_mean(networks if len(networks) else rows, "benchmark", "accuracy"),
    }
    sorts["by name"] = sorted(names)
    units = [(unit, unit) for unit in ("category", "class") if (rows["unit"] == unit).any()]
    return charts.dots(
        "accuracy",
        rows[[*kept, "value_text", "interval_text", "images", "correct"]],
        looks,
        row="benchmark",
        value=("accuracy", "accuracy"),
        chance="chance",
        description="Accuracy of every observer on every benchmark",
        sorts={label: [*found, *(name for name in names if name not in found)] for label, found in sorts.items()},
        picks=[Control("Answer by", "pick", units, "unit")],
        tooltip=[
            *(("who", "observer"), ("benchmark", "benchmark"), ("value_text", "accuracy")),
            *(("interval_text", "95 % interval"), ("correct", "correct"), ("images", "images")),
        ],
    )


def condition_chart(distorted: pd.DataFrame, study: Study) -> Chart:
    """Accuracy over the conditions of one benchmark, which the reader picks."""
    bounds = {"accuracy": ("ci_low", "ci_high")}
    pooled = pool_means(distorted, bounds, by=["benchmark", "condition"], first=["images"])
    rows = observer_rows(pooled)
    names: dict[tuple[str, str], tuple[str, int]] = {}  # benchmark, condition → what to call it, its place
    for benchmark, part in distorted.groupby("benchmark", sort=False):
        kind = KINDS.get(study.kind(str(benchmark)))
        met = list(dict.fromkeys(part["condition"].astype(str)))
        known = [condition for condition in (kind.conditions if kind else ()) if condition in met]
        order = [*known, *in_reading_order(name for name in met if name not in known)]
        told = kind.condition_names if kind else {}
        names |= {(str(benchmark), name): (told.get(name, name), place) for place, name in enumerate(order)}
    keys = list(zip(rows["benchmark"], rows["condition"].astype(str), strict=True))
    rows = rows.assign(condition=[names[key][0] for key in keys], place=[names[key][1] for key in keys])
    rows["interval_text"] = _intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(report_tables.fraction)
    kept = ["benchmark", "condition", "place", "who", "model", "regime", "look", "accuracy", "ci_low", "ci_high"]
    benchmarks = [(str(name), str(name)) for name in dict.fromkeys(rows["benchmark"])]
    return charts.lines(
        "accuracy_by_condition",
        rows[[*kept, "value_text", "interval_text", "images"]],
        study.looks,
        x=("condition", "condition"),
        value=("accuracy", "accuracy"),
        ordered=True,
        description="Accuracy of every observer in each condition of a benchmark",
        picks=[Control("Benchmark", "pick", benchmarks, "benchmark")],
        tooltip=[
            *(("who", "observer"), ("condition", "condition"), ("value_text", "accuracy")),
            *(("interval_text", "95 % interval"), ("images", "images")),
        ],
    )


def in_reading_order(conditions: Iterable[str]) -> list[str]:
    """Numbers by their size; names, or numbers among them, as they come."""
    conditions = list(conditions)
    try:
        return sorted(conditions, key=float)
    except ValueError:
        return conditions


def cue_chart(benchmark: str, cues: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Shape answers against texture answers."""
    kinds = kind_of(cues)
    rows = observer_rows(cues[kinds != "person"] if (kinds == PEOPLE).any() else cues)
    for cue in ("shape", "texture"):
        rows[f"{cue}_text"] = rows[f"{cue}_accuracy"].map(report_tables.fraction)
        rows[f"{cue}_interval"] = _intervals(rows, f"{cue}_low", f"{cue}_high")
    rows["coverage_text"] = rows["coverage"].map(report_tables.fraction)
    kept = ["who", "model", "regime", "look", "shape_accuracy", "texture_accuracy", "shape_low", "shape_high"]
    texts = ["shape_text", "shape_interval", "texture_text", "texture_interval", "coverage_text", "conflict_images"]
    return charts.plane(
        f"cue_accuracy.{benchmark}",
        rows[[*kept, "texture_low", "texture_high", *texts]],
        looks,
        description=f"Share of answers that name the texture against those that name the shape on {benchmark}",
        tooltip=[
            *(("who", "observer"), ("shape_text", "shape answers"), ("shape_interval", "95 % interval")),
            *(("texture_text", "texture answers"), ("texture_interval", "95 % interval ")),
            *(("coverage_text", "either"), ("conflict_images", "conflict images")),
        ],
    )


# How human-like are the errors?


def likeness(study: Study) -> Section | None:
    tables = study.tables
    consistency, ranks = tables["error_consistency"], tables["human_likeness"]
    persons = set(tables["shape_bias"].loc[tables["shape_bias"]["model"] == PEOPLE, "observer"])
    persons |= set(tables["accuracy_by_condition"].loc[tables["accuracy_by_condition"]["model"] == PEOPLE, "observer"])
    names = observer_names(everyone(study))
    statements = consistency_findings(consistency, persons, names)
    parts = []
    everything = consistency[consistency["condition"] == ALL]
    matrix = consistency_chart(everything, study) if len(everything) else None
    for benchmark, table in everything.groupby("benchmark", sort=False):
        name = str(benchmark)
        human = with_people(table)
        right = RIGHT_BY_SHAPE if name in set(tables["shape_bias"]["benchmark"]) else ""
        figure = Figure(
            study.figure(f"error_consistency.{name}", f"Error consistency of each pair of observers on {name}"),
            f"n = {_span(table['images'])} images seen by both. How to read it: κ is 0 where two observers err on the "
            "same images no more often than their accuracies make likely, 1 where they err on exactly the same ones. "
            f"Purple: more alike than chance; orange: less.{right}",
            "wide",
            [matrix] if matrix is not None and not parts else [],  # one chart, of whichever benchmark is chosen
        )
        table = grid(
            "Error consistency with people" if len(human) else "Error consistency of every pair",
            report_tables.consistency_table,
            human if len(human) else table,
            csv_of(f"error_consistency.{name}", _of(consistency, name)),
        )
        parts.append(Part(name, [statements[name]] if name in statements else [], "", [figure], [table]))
    if ranks["mean_rank"].notna().any():
        figure = Figure(
            study.figure("human_likeness", "Likeness to people of every network"),
            "How to read it: accuracy; squared difference of accuracy from people (lower is more alike); observed and "
            "error consistency with people (higher is more alike); and the mean of the ranks in these last three, over "
            "benchmarks.",
        )
        table = grid(
            "Ranks of likeness to people", report_tables.likeness_table, ranks, csv_of("human_likeness", ranks)
        )
        parts.append(Part("All benchmarks together", likeness_findings(ranks, names), "", [figure], [table]))
    title = "How human-like are the errors?" if len(with_people(consistency)) else "Which observers err alike?"
    return Section("likeness", title, parts) if parts else None


RIGHT_BY_SHAPE = (
    " On conflict images, to err is to answer anything but the category of the shape, over all images whose shape is "
    "known, also those whose two cues agree."
)


def consistency_chart(everything: pd.DataFrame, study: Study) -> Chart | None:
    """κ of every pair, one benchmark at a time; None for more than a page should carry."""
    if len({*everything["observer_1"], *everything["observer_2"]}) > LARGEST_MATRIX or len(everything) > MOST_PAIRS:
        return None
    rows = pair_rows(everything, study).assign(kappa=everything["kappa"], images=everything["images"])
    rows["value_text"] = everything["kappa"].map(report_tables.fraction)
    rows["cell"] = _cells(everything["kappa"])
    rows["interval_text"] = _intervals(everything, "ci_low", "ci_high")
    rows["observed_text"] = everything["observed"].map(report_tables.fraction)
    rows["expected_text"] = everything["expected"].map(report_tables.fraction)
    both = pd.concat([rows, charts.turned(rows)], ignore_index=True)
    both = both.drop_duplicates(["benchmark", "who_1", "who_2"])  # people with people is its own mirror image
    benchmarks = [(str(name), str(name)) for name in dict.fromkeys(rows["benchmark"])]
    return charts.matrix(
        "error_consistency",
        both,
        value=("kappa", "κ"),
        description="Error consistency of every pair of observers on a benchmark",
        picks=[Control("Benchmark", "pick", benchmarks, "benchmark")],
        tooltip=[
            *(("who_1", "observer"), ("who_2", "with"), ("value_text", "κ"), ("interval_text", "95 % interval")),
            *(("observed_text", "observed"), ("expected_text", "expected"), ("images", "images")),
        ],
    )


def pair_rows(pairs: pd.DataFrame, study: Study) -> pd.DataFrame:
    """benchmark, and for each side of a pair: who, model, regime, and the place among all observers."""
    found = everyone(study)
    named = observer_names(found)
    facts = found.drop_duplicates("observer").set_index("observer")
    places = {name: place for place, name in enumerate(named)}
    rows = pd.DataFrame({"benchmark": pairs["benchmark"]})
    for side in ("1", "2"):
        names = pairs[f"observer_{side}"]
        rows[f"who_{side}"] = [named.get(name, name) for name in names]
        rows[f"model_{side}"] = [str(facts["model"].get(name, name)) for name in names]
        rows[f"regime_{side}"] = ["" if pd.isna(regime) else regime for regime in names.map(facts["regime"])]
        rows[f"place_{side}"] = [places.get(name, len(places)) for name in names]
    return rows


# Where does the bias arise?


def inside(study: Study) -> Section | None:
    read_out = study.tables["read_out"]
    parts = []
    statements = read_out_findings(read_out)
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        name = str(benchmark)
        figure = Figure(
            study.figure(f"read_out.{name}", f"Linear read-out of shape and of texture from each stage on {name}"),
            f"n = {_span(table['images'])} conflict images. How to read it: a linear classifier is fitted to what "
            "each stage of a network puts out, once for the category of the shape and once for that of the texture, "
            "and tested on images that it was not fitted to. What reads out well is there; whether the network uses "
            "it, bias says. Bars are 95 % intervals. Stages are averaged over positions; the pixel baseline (depth 0) "
            "is not.",
            "wide",
            [
                curve_chart(
                    f"read_out.{name}.{cue}", rows, study.looks, x=("depth", "depth in the network"), cue=str(cue)
                )
                for cue, rows in table.dropna(subset=["accuracy"]).groupby("cue", sort=False)
            ],
        )
        whole = grid("Read-out of every stage", report_tables.read_out_table, table, csv_of(f"read_out.{name}", table))
        parts.append(Part(name, [statements[name]] if name in statements else [], "", [figure], [whole]))
    return Section("inside", "Where does the bias arise?", parts) if parts else None


def curve_chart(
    name: str,
    table: pd.DataFrame,
    looks: charts.Looks,
    *,
    x: tuple[str, str],
    cue: str,
    value: str = "accuracy",
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    title: str = "accuracy of the read-out",
) -> Chart:
    """A curve an observer, of one cue."""
    first = ["images", *(["stage"] if "stage" in table else [])]
    pooled = pool_means(table, {value: bounds}, by=[x[0]], first=first)
    rows = observer_rows(pooled)
    rows["interval_text"] = _intervals(rows, *bounds)
    rows["value_text"] = rows[value].map(report_tables.fraction)
    highest = float(rows[[value, bounds[1]]].max(axis=None))
    kept = ["who", "model", "regime", "look", x[0], value, *bounds, "value_text", "interval_text", *first]
    stage = [("stage", "stage")] if "stage" in rows else [(x[0], x[1])]
    return charts.lines(
        name,
        rows[kept],
        looks,
        x=x,
        value=(value, title),
        bounds=bounds,
        highest=max(1.0, highest) if highest > 0 else 1.0,
        description=f"{title.capitalize()} over {x[1]}: {cue}",
        heading=cue.capitalize(),
        tooltip=[
            *(("who", "observer"), *stage, ("value_text", title)),
            *(("interval_text", "95 % interval"), ("images", "images")),
        ],
    )


# What do networks rely on without conflict?


def reliance(study: Study) -> Section | None:
    table = study.tables["reliance"]
    parts = []
    statements = reliance_findings(table)
    for benchmark, rows in table.groupby("benchmark", sort=False):
        name = str(benchmark)
        shown = able(rows).dropna(subset=["relative"])
        figure = Figure(
            # One figure over all benchmarks.
            study.figure("reliance", "Accuracy left when shape, texture or colour is suppressed")
            if not parts
            else None,
            f"n = {_span(rows['images'])} images a strength. How to read it: photographs without any conflict are "
            "shown with one cue suppressed (shape by shuffling patches, texture by smoothing, colour by grey); the "
            "further a curve falls, the more the network relied on that cue. 1 is the accuracy on whole images. Bars "
            f"are 95 % intervals. A network that names less than {100 * ABLE:.0f} % of the whole images has little to "
            "lose: its share says nothing, and the chart leaves it out.",
            "wide",
            [
                curve_chart(
                    f"reliance.{name}.{cue}",
                    part,
                    study.looks,
                    x=("strength", STRENGTHS.get(str(cue), "strength of the suppression")),
                    cue=f"without {cue}",
                    value="relative",
                    bounds=("relative_low", "relative_high"),
                    title="share of accuracy left",
                )
                for cue, part in shown.groupby("cue", sort=False)
            ],
        )
        whole = grid("Accuracy under suppression", report_tables.reliance_table, rows, csv_of(f"reliance.{name}", rows))
        parts.append(Part(name, [statements[name]] if name in statements else [], "", [figure], [whole]))
    return Section("reliance", "What do networks rely on without conflict?", parts) if parts else None


STRENGTHS = {  # cue → what its strength is
    "shape": "patches a side",
    "texture": "sigma of the smoothing, pixels",
    "colour": "fraction of grey",
}


# Does it transfer to melanoma?

NO_DIAGNOSIS = (
    "Melanomas against all other lesions: a test of what features are good for, not of anything fit for diagnosis."
)


def melanoma(study: Study) -> Section | None:
    tables, parts = study.tables, []
    for benchmark, table in tables["melanoma"].groupby("benchmark", sort=False):
        name = str(benchmark)
        figures = [
            Figure(
                study.figure(f"melanoma.{name}", f"How well each run tells melanomas on {name}"),
                f"n = {_span(table['images'])} images, {_span(table['melanoma_images'])} of them melanomas. How to "
                "read it: ROC AUC is the probability that a melanoma is given a higher score than another lesion "
                "(guessing: 0.5). Sensitivity is the share of melanomas that were called one, specificity the share "
                "of other lesions that were not. Bars are 95 % bootstrap intervals over images. The last panel "
                "compares, image by image, with the run of the same model and seed that started from ImageNet "
                "weights alone; where its bar leaves out 0, the start made a difference.",
            ),
            Figure(
                study.figure(f"melanoma_confusion.{name}", f"Confusion matrix of each run on {name}", numbers=False),
                "How to read it: rows are what the images show, columns what they were taken for. A darker cell "
                "holds a larger share of its row.",
                "medium",
            ),
        ]
        grid = Grid(
            "Every measure", report_tables.melanoma_table(table, tables["runs"]), csv_of(f"melanoma.{name}", table)
        )
        parts.append(Part(name, melanoma_findings(table), NO_DIAGNOSIS, figures, [grid]))
    return Section("melanoma", "Does it transfer to melanoma?", parts) if parts else None


# What is answered?


def answers(study: Study) -> Section | None:
    tables, parts = study.tables, []
    for benchmark in dict.fromkeys(tables["shape_bias"]["benchmark"]):
        name = str(benchmark)
        confusion, report = _of(tables["confusion"], name), _of(tables["classification_report"], name)
        figures = [
            Figure(
                study.figure(
                    f"sample_predictions.{name}",
                    f"Conflict images of {name} with answers of some observers",
                    numbers=False,
                ),
                "How to read it: a sample of conflict images, each with both labels and what observers answered.",
            ),
            Figure(
                study.figure(f"confusion.{name}", f"Confusion matrices of {name}", numbers=False),
                f"n = {_span(_single(_of(tables['shape_bias'], name))['conflict_images'])} conflict images. How to "
                "read it: rows are the category of a cue, columns the answer; a dark diagonal by texture is "
                "an observer that goes by texture. The two matrices at the right hold only answers that name one of "
                "the two cues.",
            ),
        ]
        grids = [
            Grid(
                "Precision, recall and F1, mean of the categories",
                report_tables.classification_table(report),
                csv_of(f"classification_report.{name}", report),
            ),
            Grid("All confusions", Table([]), csv_of(f"confusion.{name}", confusion)),
        ]
        parts.append(Part(name, answer_findings(confusion, name), "", figures, grids))
    return Section("answers", "Which answers are given?", parts) if parts else None


# Helpers


def everyone(study: Study) -> pd.DataFrame:
    """Who answered on any benchmark: rows with observer, model, regime and seed."""
    names = ("shape_bias", "accuracy", "accuracy_by_condition")
    return pd.concat([study.tables[name] for name in names], ignore_index=True)


def _of(table: pd.DataFrame, benchmark: str) -> pd.DataFrame:
    return table[table["benchmark"] == benchmark]


def _cells(values: pd.Series) -> list[str]:
    """Short enough to stand in a square of a matrix."""
    return ["" if pd.isna(value) else report_tables.minus(f"{value:.2f}") for value in values]


def _single(table: pd.DataFrame) -> pd.DataFrame:
    """Without people together, who have as many trials on one image as there are persons."""
    return table[kind_of(table) != PEOPLE]


def _has_people(table: pd.DataFrame) -> bool:
    return bool((table["model"] == PEOPLE).any())


def _intervals(rows: pd.DataFrame, low: str, high: str) -> list[str]:
    return [report_tables.interval(*pair) for pair in zip(rows[low], rows[high], strict=True)]


def _span(numbers: pd.Series) -> str:
    """`160` or `80 to 1,280`."""
    known = numbers.dropna()
    if known.empty:
        return "0"
    low, high = f"{int(known.min()):,}", f"{int(known.max()):,}"
    return low if low == high else f"{low} to {high}"


def _by_mean(rows: pd.DataFrame, line: str, value: str) -> list[str]:
    """The lines by their mean value, highest first."""
    means: pd.Series = rows.groupby(line)[value].mean().dropna()
    return list(means.sort_values(ascending=False, kind="stable").index)


def grids_with_rows(grids: Sequence[Grid]) -> list[Grid]:
    """Tables that have rows, or at least a CSV to take."""
    return [grid for grid in grids if grid.table.rows or (grid.csv is not None and grid.csv.rows)]
