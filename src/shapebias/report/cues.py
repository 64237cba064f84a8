"""The report's sections on cues: where does the bias arise, and what do networks rely on without conflict?"""

import pandas as pd

from shapebias.report import charts, html_tables
from shapebias.report import wording as words
from shapebias.report.charts import Chart, observer_rows
from shapebias.report.html_tables import csv_of, grid
from shapebias.report.study import Figure, Part, Section, Study, intervals, span
from shapebias.tables.summaries import BASELINE, order_regimes, pool_means

ABLE = 0.5  # accuracy below which what is left of it says little
# What is suppressed, and what is left when its strength is so much.
SUPPRESSION = {
    "shape": lambda strength: f"patches shuffled, {strength:g} a side",
    "texture": lambda strength: f"smoothed at {strength:g} pixels",
    "colour": lambda strength: f"{100 * strength:.0f} % grey",
}

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


def read_out_findings(read_out: pd.DataFrame) -> dict[str, str]:
    """Benchmark → from where on networks hold more texture than shape, and what the treatment changed at the end.

    The pixels (a depth of 0) are no stage of a network: they keep a layout, over which stages are averaged.
    """
    statements = {}
    for benchmark, table in read_out.groupby("benchmark", sort=False):
        stages = table[table["depth"] > 0].dropna(subset=["accuracy"])
        keys = ["observer", "model", "regime", "seed", "depth", "stage"]
        sides = [stages.loc[stages["cue"] == cue, [*keys, "ci_low", "ci_high"]] for cue in ("shape", "texture")]
        pairs = sides[0].merge(sides[1], on=keys, suffixes=("_shape", "_texture"))
        if pairs.empty:
            continue
        above = pairs[pairs["ci_low_texture"] > pairs["ci_high_shape"]]
        first = above.sort_values("depth").groupby("observer")["depth"].first()
        observers = pairs["observer"].nunique()
        several = words.several(pairs)
        if first.empty:
            told = f"texture reads out better than shape at no stage of {words.networks(observers, several)}"
        else:
            low, high = f"{first.min():.2f}", f"{first.max():.2f}"
            told = (
                f"texture reads out better than shape (intervals apart) in {len(first)} of "
                f"{words.networks(observers, several)}, first at a depth of "
                f"{low if low == high else f'{low} to {high}'} (0: the pixels, 1: the last stage)"
            )
        last = stages[stages["depth"] == stages.groupby("observer")["depth"].transform("max")]
        statement = f"On “{benchmark}” (n = {words.count(table['images'])}), {told}."
        changed = [_last_stage(last[last["cue"] == cue], cue) for cue in ("texture", "shape")]
        if all(changed):
            statement += f" What the last stage holds, after {words.treatment(words.TREATED)}: {'; '.join(changed)}."
        statements[str(benchmark)] = statement
    return statements


def _last_stage(rows: pd.DataFrame, cue: str) -> str:
    """Where one cue reads out better or worse after the treatment, with the widest change; "" without both."""
    pooled = pool_means(rows, {"accuracy": ("ci_low", "ci_high")}, ["cue"])
    before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, words.TREATED))
    pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
    if pairs.empty:
        return ""
    higher = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
    lower = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
    rest = len(pairs) - higher - lower
    told = words.counted((higher, "better in"), (lower, "worse in"), (rest, "intervals overlap in"))
    most = pairs.loc[(pairs["accuracy_after"] - pairs["accuracy"]).abs().idxmax()]
    return (
        f"{cue}: {told} of {words.networks(len(pairs))} (most changed: {most['model']} "
        f"{words.bounded(most, 'accuracy')} → {words.bounded(most, 'accuracy', end='_after')})"
    )


def untouched(reliance: pd.DataFrame) -> pd.DataFrame:
    """The accuracy on photographs that nothing was done to: one row a benchmark and observer."""
    weakest = reliance["strength"] == reliance.groupby(["benchmark", "cue"])["strength"].transform("min")
    return reliance[weakest].drop_duplicates(["benchmark", "observer"])


def able(reliance: pd.DataFrame) -> pd.DataFrame:
    """Rows of observers that name at least half of the untouched photographs.

    Below, a share of it says nothing: what is near guessing cannot fall, and may rise by chance.
    """
    found = untouched(reliance)
    found = found[found["accuracy"] >= ABLE]
    known = set(zip(found["benchmark"], found["observer"], strict=True))
    keys = list(zip(reliance["benchmark"], reliance["observer"], strict=True))
    return reliance[[key in known for key in keys]]


def reliance_findings(reliance: pd.DataFrame) -> dict[str, str]:
    """Benchmark → what is left of accuracy where each cue is suppressed most, over networks that had it to lose."""
    statements = {}
    for benchmark, table in reliance.groupby("benchmark", sort=False):
        start, kept = untouched(table), able(table)
        total, few = start["observer"].nunique(), start[start["accuracy"] < ABLE]
        networks = words.networks(total, words.several(start))
        told = []
        for cue, rows in kept.groupby("cue", sort=False):
            strongest = rows[rows["strength"] == rows["strength"].max()].dropna(subset=["relative"])
            if len(strongest):
                how = SUPPRESSION.get(str(cue), lambda strength: f"strength {strength:g}")(rows["strength"].max())
                ends = words.ends(strongest, "relative", "relative_low", "relative_high")
                told.append(f"without {cue} ({how}), {ends}")
        qualified = total - len(few)
        statement = (
            f"On “{benchmark}” (n = {words.count(table['images'])} photographs), {qualified} of {networks} "
            f"{'names' if qualified == 1 else 'name'} at least half of the untouched photographs."
        )
        if told:
            statement += f" Share of this accuracy that is left: {'; '.join(told)}."
        if len(few):
            statement += f" The others are left out, as so little cannot fall much: {_ends_of(few)}."
            gone = [regime for regime in order_regimes(few["regime"].dropna()) if regime not in set(kept["regime"])]
            if gone:
                statement += f" No run of {words.listed(gone)} qualifies."
        statements[str(benchmark)] = statement
    return statements


def _ends_of(few: pd.DataFrame) -> str:
    """Who is left out, with accuracies."""
    ordered = few.sort_values("accuracy", kind="stable")
    names = [f"{words.called(row)} {row['accuracy']:.2f}" for row in words.records(ordered)]
    return words.listed(names)
