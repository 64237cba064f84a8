"""The section on the atlas: the networks of the study among published observers of the cue conflicts."""

import pandas as pd

from shapebias.evaluation.published import SOURCES
from shapebias.metrics.bootstrap import LEVEL
from shapebias.report.html_tables import (
    TextTable,
    build_table,
    csv_download,
    fraction_column,
    integer_column,
    interval_column,
    make_report_table,
    optional_fraction_column,
    text_column,
)
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection
from shapebias.report.wording import MAX_NAMES, format_estimate, network_name, pluralize, records
from shapebias.tables.atlas import OWN, POOLED

LIMITS = (
    "Each source asked in its own way: sizes of the images, prompts, and how answers became categories differ. So a "
    "difference between observers of two sources is also one of protocol. The observers are those with "
    "published answers, not a sample; a rank among them says nothing about networks in general."
)


def atlas_section(study: StudyResults) -> Section | None:
    """Return the section on the atlas, or None if the study names no published observers."""
    atlas, differences = (study.tables[name] for name in ("atlas", "atlas_differences"))
    if atlas.empty:
        return None
    single = atlas[atlas["kind"] != POOLED]
    figure = ReportFigure(
        study.figure("atlas", f"Shape bias of {len(single)} observers, in groups, with 95 % intervals"),
        f"n = {len(single)} observers. How to read it: each point is an observer, with its 95 % interval over the "
        "images that it saw; black lines are all people of a group together. Guessing has a bias of 0.5.",
    )
    tables = [
        make_report_table("Groups", format_groups, describe_groups(atlas)),
        make_report_table("Every observer", format_atlas, study.label_regimes(atlas), csv_download("atlas", atlas)),
        make_report_table(
            "Differences, paired by image",
            format_atlas_differences,
            differences,
            csv_download("atlas_differences", differences),
        ),
    ]
    statements = [*own_statements(study.label_regimes(atlas), differences), *source_statements(atlas)]
    return Section("atlas", "Among published observers", [Subsection("", statements, LIMITS, [figure], tables)])


def own_statements(atlas: pd.DataFrame, differences: pd.DataFrame) -> list[str]:
    """Return sentences on each network of the study: its bias, its rank, and how many observers differ measurably."""
    single = atlas[atlas["kind"] != POOLED]
    own = single[single["group"] == OWN]
    if own.empty:
        return [
            "No network of this study answered the published cue conflicts, so published observers stand alone here."
        ]
    statements = []
    for row in records(own)[:MAX_NAMES]:
        pairs = differences[
            (differences["observer_1"] == row["observer"]) & differences["observer_2"].isin(single["observer"])
        ]
        compared, measurable = pairs["difference"].notna(), pairs["p_adjusted"] < 1 - LEVEL
        above, below = ((pairs["difference"][measurable] * sign > 0).sum() for sign in (1, -1))
        rank = f"{row['rank']:g} [{row['rank_low']:g}, {row['rank_high']:g}] of {single['rank'].notna().sum()}"
        statements.append(
            f"{network_name(row)}: shape bias {format_estimate(row, 'shape_bias')}, rank {rank}. Its bias is "
            f"measurably higher than that of {above} of the published observers and lower than that of {below}; "
            f"{compared.sum() - above - below} cannot be told from it (paired by image; false discovery rate 5 %)."
        )
        if not compared.all():
            statements[-1] += f" {len(pairs) - compared.sum()} cannot be compared with it; the table says why."
    if len(own) > MAX_NAMES:
        statements.append(f"{len(own) - MAX_NAMES} more networks of this study are in the table.")
    return statements


def source_statements(atlas: pd.DataFrame) -> list[str]:
    """Return sentences on each source: its number of observers, its citation and the licence of the answers."""
    published = atlas[(atlas["kind"] != POOLED) & (atlas["group"] != OWN)]
    statements = []
    for (source, licence), part in published.groupby(["source", "licence"], sort=False):
        citation = SOURCES[source].citation if source in SOURCES else str(source)
        statements.append(f"{pluralize(len(part), 'observer')} from {citation}. Licence of their answers: {licence}.")
    return statements


def describe_groups(atlas: pd.DataFrame) -> pd.DataFrame:
    """Return one row per group: its observers, their lowest, median and highest bias, and the bias of pooled people."""
    pooled = atlas[atlas["kind"] == POOLED].set_index("group")
    rows = []
    for group, part in atlas[atlas["kind"] != POOLED].groupby("group", sort=False):
        bias = part["shape_bias"]
        row = {"group": group, "observers": len(part), "low": bias.min(), "median": bias.median(), "high": bias.max()}
        row |= {"images": part["conflict_images"].median()}
        row |= {key: pooled[key].get(group, float("nan")) for key in ("shape_bias", "ci_low", "ci_high")}
        rows.append(row)
    return pd.DataFrame(rows)


def format_groups(groups: pd.DataFrame) -> TextTable:
    """Return the groups with the range of their members' biases."""
    return build_table(
        groups,
        *(text_column("group", "group"), integer_column("observers", "observers")),
        integer_column("conflict images of the median observer", "images"),
        *(
            fraction_column("lowest bias", "low"),
            fraction_column("median", "median"),
            fraction_column("highest", "high"),
        ),
        *(optional_fraction_column("shape_bias", "all together"), interval_column()),
    )


def format_atlas(atlas: pd.DataFrame) -> TextTable:
    """Return every observer with bias, hits, coverage and rank."""
    return build_table(
        atlas,
        *(text_column("group", "group"), text_column("observer", "name"), fraction_column("bias", "shape_bias")),
        *(interval_column(), integer_column("conflict images", "conflict_images")),
        *(integer_column("shape hits", "shape_hits"), integer_column("texture hits", "texture_hits")),
        *(
            fraction_column("coverage", "coverage"),
            interval_column("coverage_low", "coverage_high", "interval of the coverage"),
        ),
        ("rank", True, lambda row: "–" if pd.isna(row["rank"]) else f"{row['rank']:g}"),
        (
            "interval of the rank",
            True,
            lambda row: "–" if pd.isna(row["rank"]) else f"{row['rank_low']:g} to {row['rank_high']:g}",
        ),
        *(text_column("source", "source"), text_column("licence", "licence")),
    )


def format_atlas_differences(differences: pd.DataFrame) -> TextTable:
    """Return the differences in bias with their paired intervals and corrected p."""
    return build_table(
        differences,
        *(text_column("observer", "observer_1"), text_column("minus", "observer_2")),
        integer_column("images both saw", "conflict_images"),
        *(fraction_column("bias", "shape_bias_1"), fraction_column("bias of the other", "shape_bias_2")),
        *(fraction_column("difference", "difference"), interval_column()),
        *(fraction_column("p, corrected", "p_adjusted"), text_column("why undefined", "reason")),
    )
