"""The report's sections on accuracy: at what cost does the bias change, and does it transfer to melanoma?"""

from collections.abc import Iterable

import pandas as pd

from shapebias.evaluation.benchmarks import KINDS
from shapebias.report import charts, html_tables
from shapebias.report import wording as words
from shapebias.report.charts import Chart, Control, observer_rows
from shapebias.report.html_tables import Grid, csv_of, grid
from shapebias.report.study import Figure, Part, Section, Study, by_mean, intervals, of_benchmark, single, span
from shapebias.tables.summaries import BASELINE, PEOPLE, observer_kinds, pool_accuracy, pool_means

MOST_STATEMENTS = 4  # in a row, that a reader still reads

# At what cost in accuracy?


def cost(study: Study) -> Section | None:
    tables = study.tables
    accuracy, by_condition, cues = (tables[name] for name in ("accuracy", "accuracy_by_condition", "cue_accuracy"))
    parts = []
    if len(accuracy):
        figure = Figure(
            study.figure("accuracy", "Accuracy of every observer on each benchmark, with 95 % intervals"),
            f"n = {span(single(accuracy)['images'])} images a benchmark. How to read it: the share of images named "
            "correctly, with 95 % intervals. By class, an answer is one of the classes that the network was trained "
            "on; by category, one of the 16 categories. Dashed, or grey and upright: guessing.",
            "wide",
            [accuracy_chart(accuracy, study.looks)],
        )
        table = grid("Accuracy of every observer", html_tables.accuracy_table, accuracy, csv_of("accuracy", accuracy))
        parts.append(Part("", cost_findings(accuracy), "", [figure], [table]))
    distorted = by_condition[by_condition["condition"].fillna("").astype(str) != ""]
    if len(distorted):
        shown = distorted["difference"].notna().any()
        figure = Figure(
            study.figure("accuracy_by_condition", "Accuracy of every observer in each condition"),
            f"n = {span(distorted['images'])} images a condition for one observer. How to read it: from left to "
            "right, images are distorted more; a curve that stays high belongs to an observer that is robust. "
            f"{'Black: people on the same images.' if shown else ''}",
            "wide",
            [condition_chart(distorted, study)],
        )
        table = grid(
            "Accuracy in each condition",
            html_tables.conditions_table,
            distorted,
            csv_of("accuracy_by_condition", by_condition),
        )
        parts.append(Part("Distorted images", condition_findings(by_condition), "", [figure], [table]))
    for benchmark, table in cues.groupby("benchmark", sort=False):
        name = str(benchmark)
        chart = cue_chart(name, table, study.looks) if table["shape_accuracy"].notna().any() else None
        figure = Figure(
            study.figure(f"cue_accuracy.{name}", f"Share of shape and of texture answers on {name}"),
            f"n = {span(single(table)['conflict_images'])} conflict images. How to read it: a ratio hides how often "
            "either cue was named at all. The further up, the more answers name the shape; the further right, the "
            "texture; on the diagonal through the origin, bias is one half; at the lower left, answers name neither "
            "(guessing: 6 % each). Bars are 95 % intervals.",
            "medium",
            [chart] if chart else [],
        )
        grids = [Grid("Shape and texture answers", html_tables.cue_table(table), csv_of(f"cue_accuracy.{name}", table))]
        ranked = of_benchmark(tables["top_k"], name)
        figures = [figure]
        if len(ranked):
            figures.append(
                Figure(
                    study.figure(f"top_k.{name}", f"Shape and texture among the first k classes on {name}"),
                    f"n = {span(ranked['images'])} images. How to read it: how often the class of the shape, or of "
                    "the texture, is among the first k of all "
                    "classes of the network; where the image names a category only, its best-ranked class. "
                    "Intervals hold 95 %.",
                )
            )
            grids.append(grid("Among the first k", html_tables.top_k_table, ranked, csv_of(f"top_k.{name}", ranked)))
        heading = f"How often conflict images are recognised at all: {name}"
        parts.append(Part(heading, cue_findings(cues, name), "", figures, grids))
    title = "At what cost in accuracy?" if study.runs_of_several_regimes() else "How accurate are they?"
    return Section("cost", title, parts) if parts else None


def accuracy_chart(accuracy: pd.DataFrame, looks: charts.Looks) -> Chart:
    """Every observer's accuracy on every benchmark."""
    rows = observer_rows(pool_accuracy(accuracy))
    rows["interval_text"] = intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(html_tables.fraction)
    kept = ["benchmark", "unit", "who", "model", "regime", "look", "accuracy", "ci_low", "ci_high", "chance"]
    networks = rows[(rows["model"] != PEOPLE) & (rows["unit"] == "category")]
    names = list(dict.fromkeys(rows["benchmark"]))
    sorts = {
        "as measured": names,
        "by accuracy": by_mean(networks if len(networks) else rows, "benchmark", "accuracy"),
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
    rows["interval_text"] = intervals(rows, "ci_low", "ci_high")
    rows["value_text"] = rows["accuracy"].map(html_tables.fraction)
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
    kinds = observer_kinds(cues)
    rows = observer_rows(cues[kinds != "person"] if (kinds == PEOPLE).any() else cues)
    for cue in ("shape", "texture"):
        rows[f"{cue}_text"] = rows[f"{cue}_accuracy"].map(html_tables.fraction)
        rows[f"{cue}_interval"] = intervals(rows, f"{cue}_low", f"{cue}_high")
    rows["coverage_text"] = rows["coverage"].map(html_tables.fraction)
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
                f"n = {span(table['images'])} images, {span(table['melanoma_images'])} of them melanomas. How to "
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
            "Every measure", html_tables.melanoma_table(table, tables["runs"]), csv_of(f"melanoma.{name}", table)
        )
        parts.append(Part(name, melanoma_findings(table), NO_DIAGNOSIS, figures, [grid]))
    return Section("melanoma", "Does it transfer to melanoma?", parts) if parts else None


def cost_findings(accuracy: pd.DataFrame) -> list[str]:
    """What the treatment costs or gains on each benchmark: claimed where 95 % intervals lie apart.

    Both regimes were measured on the same images, but the table counts them one by one: intervals that overlap do not
    say that there is no difference.
    """
    by_category = accuracy[accuracy["unit"] == "category"]
    if by_category.empty:
        return []
    statements = []
    for benchmark, table in by_category.groupby("benchmark", sort=False):
        pooled = pool_accuracy(table)
        before, after = (pooled[pooled["regime"] == regime] for regime in (BASELINE, words.TREATED))
        pairs = before.merge(after, on="model", suffixes=("", "_after")).dropna(subset=["ci_low", "ci_low_after"])
        if pairs.empty:
            continue
        worse = int((pairs["ci_high_after"] < pairs["ci_low"]).sum())
        better = int((pairs["ci_low_after"] > pairs["ci_high"]).sum())
        guessing = pd.Series(True, index=pairs.index)
        for end in ("", "_after"):
            guessing &= pairs[f"ci_low{end}"] <= pairs["chance"]
            guessing &= pairs[f"ci_high{end}"] >= pairs["chance"]
        guessed = int((guessing & ~_apart(pairs)).sum())
        told = words.counted(
            (worse, "less accurate in"),
            (better, "more accurate in"),
            (len(pairs) - worse - better - guessed, "intervals overlap in"),
            (guessed, "at chance before and after in"),
        )
        ordered = pairs.assign(moved=pairs["accuracy_after"] - pairs["accuracy"]).sort_values("moved")
        shown = pairs if len(pairs) <= words.MOST_NAMES else ordered.iloc[[0, -1]]
        values = [
            f"{row['model']} {words.bounded(row, 'accuracy')} → {words.bounded(row, 'accuracy', end='_after')}"
            for row in words.records(shown)
        ]
        joined = "; ".join(values) if len(pairs) <= words.MOST_NAMES else f"from {values[0]} to {values[1]}"
        statements.append(
            f"On “{benchmark}”, after {words.treatment(words.TREATED)}: {told} of {words.networks(len(pairs))} "
            f"({joined})."
        )
    if len(statements) > MOST_STATEMENTS:
        rest = len(statements) - MOST_STATEMENTS
        statements = [*statements[:MOST_STATEMENTS], f"The other {rest} benchmarks are in the table below."]
    return statements


def _apart(pairs: pd.DataFrame) -> pd.Series:
    """Whether the intervals of before and after have nothing in common."""
    return (pairs["ci_high_after"] < pairs["ci_low"]) | (pairs["ci_low_after"] > pairs["ci_high"])


def cue_findings(cue_accuracy: pd.DataFrame, benchmark: str) -> list[str]:
    """How often each cue, and either of them, is named: the lowest and the highest of networks, and people."""
    table = cue_accuracy[cue_accuracy["benchmark"] == benchmark].dropna(subset=["coverage"])
    table = table.rename(columns={"coverage": "coverage_accuracy"})
    if table.empty:
        return []
    cues = {"shape": "the shape", "texture": "the texture", "coverage": "either"}
    pooled = pool_means(table, {f"{cue}_accuracy": (f"{cue}_low", f"{cue}_high") for cue in cues}, ["benchmark"])
    networks, people = pooled[pooled["kind"] != PEOPLE], pooled[pooled["kind"] == PEOPLE]
    told = [
        f"{what} {words.ends(networks, f'{cue}_accuracy', f'{cue}_low', f'{cue}_high')}" for cue, what in cues.items()
    ]
    images = table.loc[observer_kinds(table) != PEOPLE, "conflict_images"]
    statement = f"Share of answers that name a cue (n = {words.count(images)} conflict images): {'; '.join(told)}."
    if networks.empty:
        statement = ""
    if len(people):
        shares = [
            f"{what} {words.bounded(people.iloc[0], f'{cue}_accuracy', bounds=(f'{cue}_low', f'{cue}_high'))}"
            for cue, what in cues.items()
        ]
        statement += f" People: {'; '.join(shares)}."
    return [statement.strip()]


def condition_findings(by_condition: pd.DataFrame) -> list[str]:
    """Against people on the same images, over all distorted benchmarks."""
    compared = by_condition[by_condition["model"] != PEOPLE].dropna(subset=["difference_low", "difference_high"])
    if compared.empty:
        return []
    worse, better = int((compared["difference_high"] < 0).sum()), int((compared["difference_low"] > 0).sum())
    return [
        f"Against people on the same {words.count(compared['images'])} images, networks are less accurate in {worse:,} "
        f"of {len(compared):,} comparisons (an observer in a condition each), more accurate in {better:,}; in the "
        f"others the 95 % interval of the difference holds 0. It reaches {words.furthest(compared)}."
    ]


def melanoma_findings(melanoma: pd.DataFrame) -> list[str]:
    """One statement for each benchmark of melanoma: what was another start worth against ImageNet weights alone?

    A difference is claimed only where its 95 % interval leaves out 0.
    """
    statements = []
    for benchmark, table in melanoma.groupby("benchmark", sort=False):
        compared = table.dropna(subset=["auc_difference"])
        clauses = []
        for regime, runs in compared.groupby("regime", sort=False):
            higher, lower = int((runs["auc_difference_low"] > 0).sum()), int((runs["auc_difference_high"] < 0).sum())
            parts = ((higher, "higher"), (lower, "lower"), (len(runs) - higher - lower, "not measurably different"))
            told = words.listed([f"{what} in {count}" for count, what in parts if count])
            clauses.append(f"{told} of {len(runs)} {'run' if len(runs) == 1 else 'runs'} of {regime}")
        if clauses:
            statements.append(f"On “{benchmark}”, against ImageNet weights alone, ROC AUC is {'; '.join(clauses)}.")
        else:
            statements.append(
                f"On “{benchmark}”, no run has one beside it that started from ImageNet weights alone, so nothing "
                f"says what its start was worth."
            )
    return statements
