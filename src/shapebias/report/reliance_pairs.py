"""The part of the report on two cues suppressed at once: a table and a sentence."""

import pandas as pd

from shapebias.evaluation.cue_suppression import PAIRS
from shapebias.report import wording
from shapebias.report.html_tables import (
    Column,
    ReportTable,
    TextTable,
    build_table,
    csv_download,
    fraction_column,
    integer_column,
    interval_column,
    make_report_table,
    observer_columns,
    text_column,
)
from shapebias.tables.summaries import describe_suppression


def reliance_pair_tables(benchmark: str, rows: pd.DataFrame) -> list[ReportTable]:
    """Return the table of pairs of suppressed cues, or no table without rows; rows: of one benchmark."""
    if rows.empty:
        return []
    download = csv_download(f"reliance_pairs.{benchmark}", rows)
    return [make_report_table("Accuracy without two cues at once", format_pair_table, rows, download)]


def reliance_pair_findings(rows: pd.DataFrame) -> list[str]:
    """Return a sentence on the share of accuracy that remains at the strongest strengths of each pair of cues."""
    clauses = []
    for cues, part in rows.groupby("cues", sort=False):
        first, second = part[["strength_1", "strength_2"]].drop_duplicates().max()
        strongest = part[(part["strength_1"] == first) & (part["strength_2"] == second)]
        # The strongest of both may not have been combined. Then the last pair of the table with the first one counts.
        strongest = strongest if len(strongest) else part[part["strength_1"] == first].groupby("observer").tail(1)
        names = PAIRS[str(cues)]
        ways = [
            describe_suppression(name, strongest[f"strength_{place}"].iloc[0]) for place, name in enumerate(names, 1)
        ]
        clauses.append(
            f"{ways[0]} and {ways[1]} {wording.format_extremes(strongest, 'relative', 'relative_low', 'relative_high')}"
        )
    if not clauses:
        return []
    return [
        f"Share of accuracy that remains without two cues at once (n = {wording.format_image_count(rows['images'])}; "
        f"guessing has an accuracy of {rows['chance'].max():.3f}): {'; '.join(clauses)}."
    ]


def format_pair_table(rows: pd.DataFrame) -> TextTable:
    """Return the accuracy that remains under suppression of two cues."""
    return build_table(
        rows,
        *(text_column("benchmark", "benchmark"), *observer_columns()),
        *(strength_column(1), strength_column(2), integer_column("images", "images")),
        *(
            fraction_column("accuracy", "accuracy"),
            interval_column(),
            fraction_column("share that remains", "relative"),
        ),
        *(interval_column("relative_low", "relative_high"), fraction_column("chance", "chance")),
        text_column("why undefined", "reason"),
    )


def strength_column(place: int) -> Column:
    """Return a column with what is done to the photographs for the first (1) or second (2) cue."""
    heading = "first" if place == 1 else "second"
    return (
        f"{heading} suppressed",
        False,
        lambda row: describe_suppression(PAIRS[row["cues"]][place - 1], row[f"strength_{place}"]),
    )
