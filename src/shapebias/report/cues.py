"""Report sections on cues: linear read-out of each stage, and reliance on cues without conflict."""

import pandas as pd

from shapebias.config.regimes import Regimes
from shapebias.report import charts, html_tables, wording
from shapebias.report.charts import Chart
from shapebias.report.encoding import IDENTITY, Encoding, label_observers
from shapebias.report.html_tables import csv_download, make_report_table
from shapebias.report.reliance_pairs import reliance_pair_findings, reliance_pair_tables
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection, format_intervals, format_span
from shapebias.tables.summaries import describe_suppression, drop_repeated_features, pool_means

CUES = ("shape", "texture")

# Where does the bias arise?


def read_out_section(study: StudyResults) -> Section | None:
    """Return the section on the linear read-out, or None if it was not measured."""
    read_out = study.tables["read_out"]
    read_out = drop_repeated_features(read_out) if len(read_out) else read_out
    subsections = []
    statements = read_out_findings(read_out, study.regimes)
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        name = str(benchmark)
        figure = ReportFigure(
            study.figure(f"read_out.{name}", f"Linear read-out of shape and of texture from each stage on {name}"),
            f"n = {format_span(table['images'])} conflict images. How to read it: linear classifiers predict the "
            "category of the shape, and that of the texture, from the output of each stage of a network. They are "
            "tested on images that were not used for fitting. A high accuracy means that the stage holds the "
            "information; the shape bias shows whether the network uses it. Bars and "
            "bands are 95 % intervals. The outputs of "
            "stages are averaged over positions; the pixels (depth 0) keep their positions, so no line joins them. "
            "Runs that train the head alone keep the features of the run that they start from, and are left out.",
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
    encoding: Encoding,
    *,
    x: tuple[str, str],
    cue: str,
    value: str = "accuracy",
    bounds: tuple[str, str] = ("ci_low", "ci_high"),
    title: str = "accuracy of the read-out",
) -> Chart:
    """Return the chart with one curve per observer for one cue."""
    first = ["images", "chance", *(["stage"] if "stage" in table else [])]
    pooled = pool_means(table, {value: bounds}, by=[x[0]], first=first)
    rows = label_observers(pooled, encoding)
    rows["interval_text"] = format_intervals(rows, *bounds)
    rows["value_text"] = rows[value].map(html_tables.format_fraction)
    highest = float(rows[[value, bounds[1]]].max(axis=None))
    columns = [*IDENTITY, x[0], value, *bounds, "value_text", "interval_text", *first]
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
        apart=0 if x[0] == "depth" else None,
        tooltip=[
            *(("observer_name", "observer"), *stage, ("value_text", title)),
            *(("interval_text", "95 % interval"), ("images", "images")),
        ],
    )


# What do networks rely on without conflict?


def reliance_section(study: StudyResults) -> Section | None:
    """Return the section on reliance on cues without conflict, or None if it was not measured."""
    single, pairs = study.tables["reliance"], study.tables["reliance_pairs"]
    subsections = []
    for benchmark in dict.fromkeys([*single["benchmark"], *pairs["benchmark"]]):
        name = str(benchmark)
        rows, pair_rows = (table[table["benchmark"] == benchmark] for table in (single, pairs))
        statements = [*reliance_findings(rows, study.regimes), *reliance_pair_findings(study.label_regimes(pair_rows))]
        figures, tables = [], reliance_pair_tables(name, pair_rows)
        if len(rows):
            # One figure covers all benchmarks.
            figures = [reliance_figure(study, name, rows, with_image=not subsections)]
            download = csv_download(f"reliance.{name}", rows)
            tables.insert(
                0, make_report_table("Accuracy without one cue", html_tables.format_reliance_table, rows, download)
            )
        subsections.append(Subsection(name, statements, "", figures, tables))
    return Section("reliance", "What do networks rely on without conflict?", subsections) if subsections else None


def reliance_figure(study: StudyResults, benchmark: str, rows: pd.DataFrame, *, with_image: bool) -> ReportFigure:
    """Return the figure of the accuracy without one cue, and its charts; rows: of one benchmark."""
    alt = "Accuracy that remains when shape, texture or colour is suppressed"
    return ReportFigure(
        study.figure("reliance", alt) if with_image else None,
        f"n = {format_span(rows['images'])} images per strength. How to read it: networks see {study.regimes.noun} "
        f"without conflict, with one cue taken away: {describe_cues(rows['cue'])}. The further a curve falls, the more "
        "the network relies on that cue. Bars are "
        f"95 % intervals. The dashed line is chance, {float(rows['chance'].mean()):.2f}.",
        "wide",
        [
            curve_chart(
                f"reliance.{benchmark}.{cue}",
                cue_rows,
                study.encoding,
                x=("strength", STRENGTH_TITLES.get(str(cue), "strength of the suppression")),
                cue=CHART_HEADINGS.get(str(cue), f"without {cue}"),
                title="accuracy",
            )
            for cue, cue_rows in rows.dropna(subset=["accuracy"]).groupby("cue", sort=False)
        ],
    )


STRENGTH_TITLES = {  # cue → title of the strength axis
    "shape": "patches a side, shuffled",
    "texture": "σ of the smoothing, pixels",
    "colour": "share of grey",
    "rotation": "patches a side, rotated",
    "gaussian": "σ of the blur, pixels",
    "non_local_means": "h of non-local means, grey levels",
    "channels": "channels shuffled (1)",
}
CHART_HEADINGS = {  # suppression → heading of its chart, unless that is `without <cue>`
    "rotation": "without shape: patches rotated",
    "gaussian": "without texture: blurred",
    "non_local_means": "without texture: non-local means",
    "channels": "without colour: channels shuffled",
}
WAYS = {  # cue → how each suppression takes it away
    "shape": {"shape": "shuffling patches", "rotation": "rotating patches"},
    "texture": {"texture": "smoothing surfaces", "gaussian": "blurring", "non_local_means": "non-local means"},
    "colour": {"colour": "mixing with grey", "channels": "shuffling channels"},
}


def describe_cues(suppressions: pd.Series) -> str:
    """Return how each cue is taken away, as in `shape by shuffling patches, colour by mixing with grey`."""
    shown = set(suppressions)
    ways = {cue: [way for name, way in names.items() if name in shown] for cue, names in WAYS.items()}
    return ", ".join(f"{cue} by {' or by '.join(names)}" for cue, names in ways.items() if names)


def read_out_findings(read_out: pd.DataFrame, regimes: Regimes) -> dict[str, str]:
    """Return benchmark → sentences on which cue reads out better from the pixels and from the last stage.

    The last stage is described for the networks of the treatment and of its baseline, or for all networks if there is
    no treatment. A cue reads out better where the intervals do not overlap.
    """
    statements = {}
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        keys, values = (
            ["observer", "model", "regime", "seed", "depth", "stage"],
            ["accuracy", "ci_low", "ci_high", "chance"],
        )
        stages = table.dropna(subset=["accuracy"])
        shape, texture = (stages.loc[stages["cue"] == cue, [*keys, *values]] for cue in CUES)
        pairs = shape.merge(texture, on=keys, suffixes=("_shape", "_texture"))
        if pairs.empty:
            continue
        treatment = regimes.treatment
        last = pairs[(pairs["depth"] > 0) & (pairs["depth"] == pairs.groupby("observer")["depth"].transform("max"))]
        clauses = _pixel_clauses(pairs[pairs["depth"] == 0])
        for regime in (str(regimes.baseline(treatment)), treatment) if treatment else ("",):
            rows = last[last["regime"] == regime] if treatment else last
            if len(rows):
                trained = f" after {regimes.describe_training(regime)}" if treatment else ""
                clauses.append(f"the last stage{trained} gives {_better_cues(rows)}")
        images = wording.format_image_count(table["images"])
        chances = [f"{pairs[f'chance_{cue}'].mean():.2f}" for cue in CUES]
        chance = chances[0] if chances[0] == chances[1] else f"{chances[0]} for the shape, {chances[1]} for the texture"
        statement = f"On “{benchmark}” (n = {images}; chance {chance}), {'; '.join(clauses)}."
        changes = [_last_stage_change(stages[stages["cue"] == cue], cue, regimes) for cue in ("texture", "shape")]
        if treatment and all(changes):
            training = regimes.describe_training(treatment)
            statement += f" Read-out from the last stage after {training}: {'; '.join(changes)}."
        statements[str(benchmark)] = statement
    return statements


def _pixel_clauses(pixels: pd.DataFrame) -> list[str]:
    """Return a clause on the accuracy of both cues from the pixels, which are the same for all networks of one size."""
    if pixels.empty:
        return []
    shape, texture = (
        wording.format_estimate(pixels.iloc[0], f"accuracy_{cue}", bounds=(f"ci_low_{cue}", f"ci_high_{cue}"))
        for cue in CUES
    )
    return [f"the pixels themselves give the shape with an accuracy of {shape} and the texture with {texture}"]


def _better_cues(rows: pd.DataFrame) -> str:
    """Return in how many networks the texture, the shape or neither reads out more accurately."""
    texture = int((rows["ci_low_texture"] > rows["ci_high_shape"]).sum())
    shape = int((rows["ci_low_shape"] > rows["ci_high_texture"]).sum())
    several = wording.has_several_seeds(rows)
    parts = ((texture, "the texture more accurately"), (shape, "the shape more accurately"))
    counts = [f"{text} in {count}" for count, text in parts if count]
    rest = len(rows) - texture - shape
    counts += [f"both about equally (intervals overlap) in {rest}"] if rest else []
    return f"{wording.join_names(counts)} of {wording.count_networks(len(rows), several)}"


def _last_stage_change(rows: pd.DataFrame, cue: str, regimes: Regimes) -> str:
    """Return a clause on the read-out of one cue after the treatment: better and worse networks, largest change.

    The clause is empty unless both regimes have networks.
    """
    if regimes.treatment is None:
        return ""
    rows = rows[rows["depth"] == rows.groupby("observer")["depth"].transform("max")]
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue"])
    names = (regimes.baseline(regimes.treatment), regimes.treatment)
    before, after = (pooled[pooled["regime"] == regime] for regime in names)
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


def reliance_findings(rows: pd.DataFrame, regimes: Regimes) -> list[str]:
    """Return sentences on the accuracy of every network under the strongest suppression of each cue of one benchmark.

    One sentence for each regime, and one for networks not trained here.
    """
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue", "strength"], ["images", "chance"])
    opening = f"n = {wording.format_image_count(rows['images'])} {regimes.noun}, chance {pooled['chance'].mean():.2f}."
    sentences = []
    for regime, table in pooled.groupby("regime", sort=False):
        networks = f"After {regimes.describe_training(str(regime))}" if regime else "Networks not trained here"
        clauses = []
        for cue, part in table.groupby("cue", sort=False):
            weakest, strongest = part["strength"].min(), part["strength"].max()
            before, after = (part[part["strength"] == strength]["accuracy"] for strength in (weakest, strongest))
            if not clauses:
                clauses.append(f"untouched {_span(before)}")
            clauses.append(f"{describe_suppression(str(cue), strongest)} {_span(after)}")
        count = wording.count_networks(table["model"].nunique())
        sentences.append(f"{networks}, accuracies of {count}: {'; '.join(clauses)}.")
    return [f"{opening} {sentences[0]}", *sentences[1:]] if sentences else []


def _span(values: pd.Series) -> str:
    low, high = f"{values.min():.2f}", f"{values.max():.2f}"
    return low if low == high else f"{low} to {high}"
