"""Report sections on cues: linear read-out of each stage, and reliance on cues without conflict."""

import pandas as pd

from shapebias.report import charts, html_tables, wording
from shapebias.report.charts import Chart, label_observers
from shapebias.report.html_tables import csv_download, make_report_table
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection, format_intervals, format_span
from shapebias.tables.summaries import BASELINE, order_regimes, pool_means

MIN_ACCURACY = 0.5  # below this accuracy, the remaining share means little
# Suppressed cue → description of the suppression at a strength.
SUPPRESSION_NAMES = {
    "shape": lambda strength: f"patches shuffled, {strength:g} a side",
    "texture": lambda strength: f"smoothed at {strength:g} pixels",
    "colour": lambda strength: f"{100 * strength:.0f} % grey",
}

# Where does the bias arise?


def read_out_section(study: StudyResults) -> Section | None:
    """Return the section on the linear read-out, or None if it was not measured."""
    read_out = study.tables["read_out"]
    subsections = []
    statements = read_out_findings(read_out)
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        name = str(benchmark)
        figure = ReportFigure(
            study.figure(f"read_out.{name}", f"Linear read-out of shape and of texture from each stage on {name}"),
            f"n = {format_span(table['images'])} conflict images. How to read it: linear classifiers predict the "
            "category of the shape, and that of the texture, from the output of each stage of a network. They are "
            "tested on images that were not used for fitting. A high accuracy means that the stage holds the "
            "information; the shape bias shows whether the network uses it. Bars are 95 % intervals. The outputs of "
            "stages are averaged over positions; the pixel baseline (depth 0) is not.",
            "wide",
            [
                curve_chart(
                    f"read_out.{name}.{cue}", rows, study.encoding, x=("depth", "depth in the network"), cue=str(cue)
                )
                for cue, rows in table.dropna(subset=["accuracy"]).groupby("cue", sort=False)
            ],
        )
        report_table = make_report_table(
            "Read-out of every stage", html_tables.format_read_out_table, table, csv_download(f"read_out.{name}", table)
        )
        subsections.append(
            Subsection(name, [statements[name]] if name in statements else [], "", [figure], [report_table])
        )
    return Section("inside", "Where does the bias arise?", subsections) if subsections else None


def curve_chart(
    name: str,
    table: pd.DataFrame,
    encoding: charts.Encoding,
    *,
    x: tuple[str, str],
    cue: str,
    value: str = "accuracy",
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    title: str = "accuracy of the read-out",
) -> Chart:
    """Return the chart with one curve per observer for one cue."""
    first = ["images", *(["stage"] if "stage" in table else [])]
    pooled = pool_means(table, {value: bounds}, by=[x[0]], first=first)
    rows = label_observers(pooled)
    rows["interval_text"] = format_intervals(rows, *bounds)
    rows["value_text"] = rows[value].map(html_tables.format_fraction)
    highest = float(rows[[value, bounds[1]]].max(axis=None))
    columns = ["observer_name", "model", "regime", "group", x[0], value, *bounds, "value_text", "interval_text", *first]
    stage = [("stage", "stage")] if "stage" in rows else [(x[0], x[1])]
    return charts.line_chart(
        name,
        rows[columns],
        encoding,
        x=x,
        value=(value, title),
        bounds=bounds,
        highest=max(1.0, highest) if highest > 0 else 1.0,
        description=f"{title.capitalize()} over {x[1]}: {cue}",
        heading=cue.capitalize(),
        tooltip=[
            *(("observer_name", "observer"), *stage, ("value_text", title)),
            *(("interval_text", "95 % interval"), ("images", "images")),
        ],
    )


# What do networks rely on without conflict?


def reliance_section(study: StudyResults) -> Section | None:
    """Return the section on reliance on cues without conflict, or None if it was not measured."""
    table = study.tables["reliance"]
    subsections = []
    statements = reliance_findings(table)
    for benchmark, rows in table.groupby("benchmark", sort=False):
        name = str(benchmark)
        charted = select_accurate_observers(rows).dropna(subset=["relative"])
        figure = ReportFigure(
            # One figure covers all benchmarks.
            study.figure("reliance", "Accuracy that remains when shape, texture or colour is suppressed")
            if not subsections
            else None,
            f"n = {format_span(rows['images'])} images per strength. How to read it: networks see photographs "
            "without conflict, with one cue suppressed (shape by shuffling patches, texture by smoothing, colour by "
            "grey). The further a curve falls, the more the network relies on that cue. A value of 1 is the accuracy "
            "on unsuppressed images. Bars are 95 % intervals. The chart leaves out networks that name less than "
            f"{100 * MIN_ACCURACY:.0f} % of the unsuppressed images correctly, because such a low accuracy cannot "
            "fall much.",
            "wide",
            [
                curve_chart(
                    f"reliance.{name}.{cue}",
                    cue_rows,
                    study.encoding,
                    x=("strength", STRENGTH_TITLES.get(str(cue), "strength of the suppression")),
                    cue=f"without {cue}",
                    value="relative",
                    bounds=("relative_low", "relative_high"),
                    title="share of accuracy that remains",
                )
                for cue, cue_rows in charted.groupby("cue", sort=False)
            ],
        )
        report_table = make_report_table(
            "Accuracy under suppression",
            html_tables.format_reliance_table,
            rows,
            csv_download(f"reliance.{name}", rows),
        )
        subsections.append(
            Subsection(name, [statements[name]] if name in statements else [], "", [figure], [report_table])
        )
    return Section("reliance", "What do networks rely on without conflict?", subsections) if subsections else None


STRENGTH_TITLES = {  # cue → title of the strength axis
    "shape": "patches a side",
    "texture": "sigma of the smoothing, pixels",
    "colour": "fraction of grey",
}


def read_out_findings(read_out: pd.DataFrame) -> dict[str, str]:
    """Return benchmark → sentence on the first stage where texture reads out better than shape, and on the last stage.

    The sentence on the last stage compares networks before and after stylized training. The pixels (depth 0) do not
    count as a stage: their layout is kept, while stages are averaged over positions.
    """
    statements = {}
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        stages = table[table["depth"] > 0].dropna(subset=["accuracy"])
        keys = ["observer", "model", "regime", "seed", "depth", "stage"]
        cue_tables = [stages.loc[stages["cue"] == cue, [*keys, "ci_low", "ci_high"]] for cue in ("shape", "texture")]
        pairs = cue_tables[0].merge(cue_tables[1], on=keys, suffixes=("_shape", "_texture"))
        if pairs.empty:
            continue
        above = pairs[pairs["ci_low_texture"] > pairs["ci_high_shape"]]
        first = above.sort_values("depth").groupby("observer")["depth"].first()
        observers = pairs["observer"].nunique()
        several = wording.has_several_seeds(pairs)
        if first.empty:
            summary = f"texture reads out better than shape at no stage of {wording.count_networks(observers, several)}"
        else:
            low, high = f"{first.min():.2f}", f"{first.max():.2f}"
            summary = (
                f"texture reads out better than shape (intervals do not overlap) in {len(first)} of "
                f"{wording.count_networks(observers, several)}, first at a depth of "
                f"{low if low == high else f'{low} to {high}'} (0: the pixels, 1: the last stage)"
            )
        last = stages[stages["depth"] == stages.groupby("observer")["depth"].transform("max")]
        statement = f"On “{benchmark}” (n = {wording.format_image_count(table['images'])}), {summary}."
        changes = [_last_stage_change(last[last["cue"] == cue], cue) for cue in ("texture", "shape")]
        if all(changes):
            statement += (
                f" Read-out from the last stage after {wording.describe_regime(wording.TREATED)}: {'; '.join(changes)}."
            )
        statements[str(benchmark)] = statement
    return statements


def _last_stage_change(rows: pd.DataFrame, cue: str) -> str:
    """Return a clause on the read-out of one cue after stylized training: better and worse networks, largest change.

    The clause is empty unless both regimes have networks.
    """
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue"])
    before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, wording.TREATED))
    pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
    if pairs.empty:
        return ""
    higher = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    lower = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    rest = len(pairs) - higher - lower
    counts = wording.list_counts(
        (higher, "better in"), (lower, "worse in"), (rest, "not clearly different (intervals overlap) in")
    )
    most = pairs.loc[(pairs["accuracy_after"] - pairs["accuracy"]).abs().idxmax()]
    return (
        f"{cue}: {counts} of {wording.count_networks(len(pairs))} (largest change: {most['model']} "
        f"{wording.format_estimate(most, 'accuracy')} → {wording.format_estimate(most, 'accuracy', suffix='_after')})"
    )


def unsuppressed_accuracy(reliance: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy on unsuppressed photographs: one row per benchmark and observer."""
    weakest = reliance["strength"] == reliance.groupby(["benchmark", "cue"])["strength"].transform("min")
    return reliance[weakest].drop_duplicates(["benchmark", "observer"])


def select_accurate_observers(reliance: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of observers that name at least half of the unsuppressed photographs.

    For other observers, the remaining share means little: accuracy near chance cannot fall, and can rise by chance.
    """
    accurate = unsuppressed_accuracy(reliance)
    accurate = accurate[accurate["accuracy"] >= MIN_ACCURACY]
    accurate_keys = set(zip(accurate["benchmark"], accurate["observer"], strict=True))
    keys = list(zip(reliance["benchmark"], reliance["observer"], strict=True))
    return reliance[[key in accurate_keys for key in keys]]


def reliance_findings(reliance: pd.DataFrame) -> dict[str, str]:
    """Return benchmark → sentences on the accuracy that remains under the strongest suppression of each cue.

    They cover the networks that `select_accurate_observers` selects.
    """
    statements = {}
    for benchmark, table in reliance.groupby("benchmark", sort=False):
        unsuppressed, accurate = unsuppressed_accuracy(table), select_accurate_observers(table)
        total, weak = unsuppressed["observer"].nunique(), unsuppressed[unsuppressed["accuracy"] < MIN_ACCURACY]
        networks = wording.count_networks(total, wording.has_several_seeds(unsuppressed))
        clauses = []
        for cue, rows in accurate.groupby("cue", sort=False):
            strongest = rows[rows["strength"] == rows["strength"].max()].dropna(subset=["relative"])
            if len(strongest):
                suppression = SUPPRESSION_NAMES.get(str(cue), lambda strength: f"strength {strength:g}")(
                    rows["strength"].max()
                )
                extremes = wording.format_extremes(strongest, "relative", "relative_low", "relative_high")
                clauses.append(f"without {cue} ({suppression}), {extremes}")
        qualified = total - len(weak)
        statement = (
            f"On “{benchmark}” (n = {wording.format_image_count(table['images'])} photographs), {qualified} of "
            f"{networks} {'names' if qualified == 1 else 'name'} at least half of the unsuppressed photographs "
            "correctly."
        )
        if clauses:
            statement += f" Share of this accuracy that remains: {'; '.join(clauses)}."
        if len(weak):
            statement += (
                f" The others are left out, because such a low accuracy cannot fall much: {_list_accuracies(weak)}."
            )
            missing = [
                regime for regime in order_regimes(weak["regime"].dropna()) if regime not in set(accurate["regime"])
            ]
            if missing:
                statement += f" No run of {wording.join_names(missing)} qualifies."
        statements[str(benchmark)] = statement
    return statements


def _list_accuracies(weak: pd.DataFrame) -> str:
    """Return the names of networks with their accuracies, lowest first."""
    ordered = weak.sort_values("accuracy", kind="stable")
    names = [f"{wording.network_name(row)} {row['accuracy']:.2f}" for row in wording.records(ordered)]
    return wording.join_names(names)
