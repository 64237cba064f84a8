#!/usr/bin/env python3
"""Write docs/results-photographs16.md from the results of photographs16.yaml and melanoma-small.yaml.

    uv run experiments/photographs16_page.py --study FOLDER --melanoma FOLDER

The folders are those in which the two studies ran. The rows that the page needs are kept in docs/photographs16/, beside
the figure. Without the options, the page is written again from these rows. photographs16_page.md.j2 holds its words.
"""

import argparse
import io
from collections.abc import Mapping
from pathlib import Path

import jinja2
import pandas as pd

from shapebias.cli import Parser, run
from shapebias.errors import UserError

HERE = Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
KEPT = DOCS / "photographs16"
TABLES = ("benchmarks", "shape_bias_pooled", "shape_bias_differences_pooled", "cue_accuracy", "accuracy")
FIGURE = "results/figures/shape_bias.published.png"
STIMULI = "published"  # the benchmark with the published cue conflicts
ACCURACIES = ("in_test", "sin_test", "silhouettes", "edges")  # the benchmarks of accuracy, in the order of the table
INTERVAL = ("ci_low", "ci_high")
Tables = Mapping[str, pd.DataFrame]


# What the page keeps of a study


def study_rows(study: Path) -> dict[str, pd.DataFrame]:
    """Return name → kept rows of the tables, and the costs, from the folder of photographs16.yaml."""
    rows = {}
    for name in TABLES:
        table = pd.read_csv(study / f"results/tables/{name}.csv", dtype=str, keep_default_na=False)
        if name == "shape_bias_differences_pooled":
            regimes = (table["regime_1"] != "") & (table["regime_2"] != "")
            table = table[regimes & (table["model_1"] == table["model_2"])]
        if name.startswith("shape_bias") or name == "cue_accuracy":
            table = table[table["benchmark"] == STIMULI]
        rows[name] = table
    return rows | {"cost": add_up_costs(study / "logs/benchmarks")}


def melanoma_rows(study: Path) -> dict[str, pd.DataFrame]:
    """Return name → the table and the costs from the folder of melanoma-small.yaml."""
    table = pd.read_csv(study / "results/tables/melanoma.csv", dtype=str, keep_default_na=False)
    return {"melanoma": table, "melanoma_cost": add_up_costs(study / "logs/benchmarks")}


def add_up_costs(folder: Path) -> pd.DataFrame:
    """Return rule, number of jobs, their processor seconds and largest memory (MiB), from Snakemake's benchmarks."""
    jobs = [
        pd.read_csv(path, sep="\t").assign(rule=path.relative_to(folder).parts[0].removesuffix(".tsv"))
        for path in sorted(folder.rglob("*.tsv"))
    ]
    rules = pd.concat(jobs).groupby("rule")
    costs = rules.agg(jobs=("s", "size"), cpu_seconds=("cpu_time", "sum"), memory=("max_rss", "max"))
    return costs.round().astype(int).reset_index()


# Numbers in words


def estimate(row: pd.Series, name: str, low: str, high: str) -> str:
    """Return a value and its interval: 0.60 (0.49 to 0.70)."""
    return f"{row[name]:.2f} ({row[low]:.2f} to {row[high]:.2f})"


def change(row: pd.Series, name: str = "difference", low: str = "ci_low", high: str = "ci_high") -> str:
    """Return a difference in words, with its interval; it counts as a change if the interval excludes 0."""
    if row[low] > 0:
        return f"higher by {estimate(row, name, low, high)}"
    if row[high] < 0:
        return f"lower by {estimate(-row[[name, low, high]], name, high, low)}"
    value = f"{row[name]:+.2f}" if round(row[name], 2) else "0.00"
    return f"not measurably different ({value}, {row[low]:.2f} to {row[high]:.2f})".replace("-", "−")


def mean_and_range(values: pd.Series) -> str:
    """Return the mean over seeds and, with several, the lowest and the highest: 0.85 (0.84–0.86)."""
    text = f"{values.mean():.2f}"
    return text if len(values) == 1 else f"{text} ({values.min():.2f}–{values.max():.2f})"


# Rows of the tables


class Results:
    """The kept rows, as the template asks for them. A network that was not trained here has the regime ""."""

    def __init__(self, tables: Tables) -> None:
        self.tables = {
            name: table.fillna({"regime": ""}) if "regime" in table else table for name, table in tables.items()
        }
        self.people = self.pooled("people", "")
        self.conflicts = int(self.people["conflict_images"])
        self.images = self.tables["benchmarks"].set_index("benchmark")["images"].astype(int).to_dict()

    def rows(self, name: str, model: str, regime: str, benchmark: str = STIMULI) -> pd.DataFrame:
        table = self.tables[name]
        chosen = (table["model"] == model) & (table["regime"] == regime) & (table["benchmark"] == benchmark)
        return table[chosen]

    def pooled(self, model: str, regime: str) -> pd.Series:
        (row,) = (row for _, row in self.rows("shape_bias_pooled", model, regime).iterrows())
        return row

    def bias(self, model: str, regime: str) -> str:
        return estimate(self.pooled(model, regime), "shape_bias", *INTERVAL)

    def difference(self, model: str, regime: str, before: str) -> pd.Series:
        """Return the pooled differences `regime` minus `before`, whichever comes first in the table."""
        table = self.tables["shape_bias_differences_pooled"]
        table = table[table["model_1"] == model].set_index(["regime_1", "regime_2"])
        if (regime, before) in table.index:
            return table.loc[(regime, before)]
        row = table.loc[(before, regime)].copy()
        for name, low, high in (
            ("difference", *INTERVAL),
            *((f"{cue}_difference", f"{cue}_difference_low", f"{cue}_difference_high") for cue in ("shape", "texture")),
        ):
            row[name], row[low], row[high] = -row[name], -row[high], -row[low]
        return row

    def bias_change(self, model: str, regime: str, before: str) -> str:
        return change(self.difference(model, regime, before))

    def share_change(self, cue: str, model: str, regime: str, before: str) -> str:
        name = f"{cue}_difference"
        return change(self.difference(model, regime, before), name, f"{name}_low", f"{name}_high")

    def share(self, cue: str, model: str, regime: str) -> str:
        return f"{100 * self.rows('cue_accuracy', model, regime)[f'{cue}_accuracy'].mean():.0f} %"

    def accuracy(self, model: str, regime: str, benchmark: str = "in_test") -> str:
        return mean_and_range(self.rows("accuracy", model, regime, benchmark)["accuracy"])

    def cue_cells(self, model: str, regime: str) -> str:
        """Return bias and shares of both cues, as cells of a row."""
        cues = self.rows("cue_accuracy", model, regime)
        shares = [mean_and_range(cues[f"{cue}_accuracy"]) for cue in ("shape", "texture")]
        return " | ".join([self.bias(model, regime), *shares])

    def accuracy_cells(self, model: str, regime: str) -> str:
        """Return the accuracies on ACCURACIES, as cells of a row."""
        return " | ".join(self.accuracy(model, regime, benchmark) for benchmark in ACCURACIES)

    def minutes(self, name: str = "cost", rule: str = "") -> int:
        """Return the minutes of processor time of a study, or of one of its rules."""
        costs = self.tables[name]
        return round(costs.loc[costs["rule"] == rule if rule else slice(None), "cpu_seconds"].sum() / 60)

    def lesion_rows(self, regime: str) -> list[dict[str, str]]:
        """Return seed, ROC AUC and difference from ImageNet weights of each run that started from a regime."""
        table = self.tables["melanoma"]
        return [
            {
                "seed": f"{row['seed']:.0f}",
                "auc": estimate(row, "auc", "auc_low", "auc_high"),
                "difference": change(row, "auc_difference", "auc_difference_low", "auc_difference_high")
                if pd.notna(row["auc_difference"])
                else "–",
            }
            for _, row in table[table["regime"] == regime].sort_values("seed").iterrows()
        ]

    def clear_lesion_differences(self) -> str:
        """Return how many differences from ImageNet weights have an interval without 0: `0 of the 4`."""
        compared = self.tables["melanoma"].dropna(subset="auc_difference")
        clear = (compared["auc_difference_low"] > 0) | (compared["auc_difference_high"] < 0)
        return f"{clear.sum()} of the {len(compared)}"


def page(tables: Tables) -> str:
    environment = jinja2.Environment(  # noqa: S701 - a page of text
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    template = environment.from_string((HERE / "photographs16_page.md.j2").read_text(encoding="utf-8"))
    return template.render(results=Results(tables)).rstrip() + "\n"


def main() -> None:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", type=Path, help="the folder in which photographs16.yaml ran")
    parser.add_argument("--melanoma", type=Path, help="the folder in which melanoma-small.yaml ran")
    args = parser.parse_args()
    rows = {path.stem: path.read_text(encoding="utf-8") for path in sorted(KEPT.glob("*.csv"))}
    try:
        new = (study_rows(args.study) if args.study else {}) | (melanoma_rows(args.melanoma) if args.melanoma else {})
        rows |= {name: table.to_csv(index=False) for name, table in new.items()}
        text = page({name: pd.read_csv(io.StringIO(table)) for name, table in rows.items()})
        figure = (args.study / FIGURE).read_bytes() if args.study else None
    except (KeyError, ValueError, IndexError) as error:
        raise UserError(
            f"no complete results of photographs16.yaml and melanoma-small.yaml ({type(error).__name__}: {error}); run "
            f"the studies to their end, and give their folders"
        ) from None
    # Nothing is changed before everything has been read.
    KEPT.mkdir(exist_ok=True)
    for name, table in rows.items():
        (KEPT / f"{name}.csv").write_text(table, encoding="utf-8")
    if figure:
        (KEPT / "shape_bias.png").write_bytes(figure)
    (DOCS / "results-photographs16.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
