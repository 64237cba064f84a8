"""The report's sections on cues: where does the bias arise, and what do networks rely on without conflict?"""

import pandas as pd

from shapebias.report import charts, html_tables
from shapebias.report.charts import Chart, observer_rows
from shapebias.report.cues_findings import ABLE, able, read_out_findings, reliance_findings
from shapebias.report.html_tables import csv_of, grid
from shapebias.report.study import Figure, Part, Section, Study, intervals, span
from shapebias.tables.summaries import pool_means

# Where does the bias arise?


def inside(study: Study) -> Section | None:
    read_out = study.tables["read_out"]
    parts = []
    statements = read_out_findings(read_out)
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        name = str(benchmark)
        figure = Figure(
            study.figure(f"read_out.{name}", f"Linear read-out of shape and of texture from each stage on {name}"),
            f"n = {span(table['images'])} conflict images. How to read it: a linear classifier is fitted to what "
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
        whole = grid("Read-out of every stage", html_tables.read_out_table, table, csv_of(f"read_out.{name}", table))
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
    rows["interval_text"] = intervals(rows, *bounds)
    rows["value_text"] = rows[value].map(html_tables.fraction)
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
            f"n = {span(rows['images'])} images a strength. How to read it: photographs without any conflict are "
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
        whole = grid("Accuracy under suppression", html_tables.reliance_table, rows, csv_of(f"reliance.{name}", rows))
        parts.append(Part(name, [statements[name]] if name in statements else [], "", [figure], [whole]))
    return Section("reliance", "What do networks rely on without conflict?", parts) if parts else None


STRENGTHS = {  # cue → what its strength is
    "shape": "patches a side",
    "texture": "sigma of the smoothing, pixels",
    "colour": "fraction of grey",
}
