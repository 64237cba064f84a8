"""The report's sections on the bias: does SIN training change it, and in every architecture?"""

import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.report import charts, html_tables
from shapebias.report.charts import Chart, Control, observer_rows
from shapebias.report.headline import category_findings, change_findings, changes, side_finding
from shapebias.report.html_tables import Grid, Table, csv_of, grid
from shapebias.report.study import (
    LARGEST_MATRIX,
    Figure,
    Part,
    Section,
    Study,
    by_mean,
    cells,
    has_people,
    intervals,
    of_benchmark,
    pair_rows,
    single,
    span,
)
from shapebias.report.wording import TREATED
from shapebias.tables.summaries import PEOPLE, observer_kinds, pool_bias

# Does SIN training change the bias?


def bias(study: Study) -> Section | None:
    tables, parts = study.tables, []
    moves = changes(tables["shape_bias"], tables["shape_bias_differences"])
    for place, (benchmark, table) in enumerate(tables["shape_bias"].groupby("benchmark", sort=False)):
        name = str(benchmark)
        own, pairs = of_benchmark(moves, name), of_benchmark(tables["shape_bias_differences"], name)
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
        pooled = of_benchmark(tables["shape_bias_pooled"], name)
        grids = [
            Grid(
                "Bias of each model and regime, all seeds together",
                html_tables.pooled_table(pooled),
                csv_of(f"shape_bias_pooled.{name}", pooled),
            ),
            Grid(
                "Bias, hits and training of every observer",
                html_tables.bias_table(table, of_benchmark(tables["cue_accuracy"], name), tables["runs"]),
                csv_of(f"shape_bias.{name}", table),
            ),
            grid(
                "Change of bias in every run" if len(own) else "Difference of bias between every two observers",
                html_tables.changes_table if len(own) else html_tables.differences_table,
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
    pooled = of_benchmark(study.tables["shape_bias_pooled"], benchmark)
    images = span(single(of_benchmark(study.tables["shape_bias"], benchmark))["conflict_images"])
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
    return f"n = {span(pairs['conflict_images'])} images seen by both. " if len(pairs) else ""


def difference_charts(benchmark: str, moves: pd.DataFrame, pairs: pd.DataFrame, study: Study) -> list[Chart]:
    """What became of the runs' bias, and how all others differ from each other."""
    found = [change_chart(benchmark, moves, study.looks)] if moves["difference"].notna().any() else []
    who = of_benchmark(study.tables["shape_bias"], benchmark)
    kinds = observer_kinds(who)
    others = list(
        who["observer"][(kinds == "pretrained") | (kinds == (PEOPLE if (kinds == PEOPLE).any() else "person"))]
    )
    known = pairs[pairs["observer_1"].isin(others) & pairs["observer_2"].isin(others)].dropna(subset=["difference"])
    if not 0 < len(known) <= LARGEST_MATRIX**2 / 2:
        return found
    rows = pair_rows(known, study)
    rows["difference"] = known["difference"]
    rows["interval_text"] = [
        html_tables.interval(*pair) for pair in zip(known["ci_low"], known["ci_high"], strict=True)
    ]
    back = charts.turned(rows).assign(difference=-known["difference"])
    back["interval_text"] = [
        html_tables.interval(-high, -low) for low, high in zip(known["ci_low"], known["ci_high"], strict=True)
    ]
    both = pd.concat([rows, back], ignore_index=True)
    both["value_text"] = both["difference"].map(html_tables.fraction)
    both["cell"] = cells(both["difference"])
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
    rows["interval_text"] = intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(html_tables.fraction)
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
        by_category = of_benchmark(tables["shape_bias_by_category"], name)
        # What the treatment did is told in the section before.
        statements = [text for regime, text in change_findings(tables, name).items() if regime != TREATED]
        statements += [text for text in [category_findings(tables["shape_bias_by_category"], name)] if text]
        figures, grids = [], []
        people = "" if study.people is None or has_people(by_category) else PEOPLE_ELSEWHERE
        if pool_bias(by_category, by=["category"])["shape_bias"].notna().any():
            figures.append(
                Figure(
                    study.figure(f"shape_bias_by_category.{name}", f"Shape bias by category on {name}"),
                    f"n = {span(single(by_category)['conflict_images'])} conflict images a category for one "
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
        by_answer = of_benchmark(tables["shape_bias_by_answer"], name)
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
        html_tables.fraction(bias) + ("" if pd.isna(low) else f" ({html_tables.interval(low, high)})")
        for bias, low, high in zip(pooled["shape_bias"], pooled["ci_low"], pooled["ci_high"], strict=True)
    ]
    spread = pooled.assign(cell=cells).pivot(index=row, columns="who", values="cell")
    spread = spread.reindex(index=list(dict.fromkeys(pooled[row])), columns=list(dict.fromkeys(pooled["who"])))
    lines = [[str(name), *values] for name, *values in spread.fillna(html_tables.MISSING).itertuples()]
    return Table([(row, False), *((str(who), True) for who in spread.columns)], lines)


def change_chart(benchmark: str, moves: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Each run's difference from the baseline of its model."""
    rows = observer_rows(moves)
    rows["interval_text"] = intervals(rows, "ci_low", "ci_high")
    for column in ("before", "after", "difference"):
        rows[f"{column}_text"] = rows[column].map(html_tables.fraction)
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
        table = of_benchmark(study.tables[name], benchmark)
        if len(table):
            pooled = pool_bias(table, by=["category"])
            parts.append(observer_rows(pooled).assign(grouped=name))
            picks.append((name, label))
    rows = pd.concat(parts, ignore_index=True).dropna(subset=["shape_bias"])
    if study.people is not None and not has_people(rows):
        rows = pd.concat([rows, _reference(study.people)], ignore_index=True)
    rows["interval_text"] = intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["shape_bias"].map(html_tables.fraction)
    first = rows[rows["grouped"] == "shape_bias_by_category"]
    networks, people = first[first["model"] != PEOPLE], first[first["model"] == PEOPLE]
    sorts = {"by bias": by_mean(networks if len(networks) else people, "category", "shape_bias")}
    sorts |= {"by name": list(CATEGORIES)}
    if len(people):
        sorts["by people"] = by_mean(people, "category", "shape_bias")
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
