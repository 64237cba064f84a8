"""Report section on the critical band: the spatial frequencies at which noise disturbs recognition."""

import pandas as pd

from shapebias.report.html_tables import (
    EMPTY_CELL,
    Column,
    Row,
    TextTable,
    build_table,
    csv_download,
    format_interval,
    fraction_column,
    integer_column,
    interval_column,
    make_report_table,
    observer_columns,
    text_column,
)
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection
from shapebias.report.wording import MAX_NAMES, format_estimate, format_image_count, join_names, records
from shapebias.tables.summaries import observer_names

PEOPLE = (
    "For comparison, the published values of people: bandwidth 1.0 octave (mean of the individuals 1.43, standard "
    "deviation 0.54), centre 39.6 cycles per image (Subramanian et al. 2023). They were computed by the published fit, "
    "which the last columns of the table repeat, and not by ours."
)


def critical_band_section(study: StudyResults) -> Section | None:
    """Return the section on the critical band, or None if it was not measured."""
    subsections = []
    for benchmark, rows in study.tables["critical_band"].groupby("benchmark", sort=False):
        report_table = make_report_table(
            "Channel of each observer", format_channel_table, rows, csv_download(f"critical_band.{benchmark}", rows)
        )
        figure = ReportFigure(
            study.figure(f"critical_band.{benchmark}", f"Bandwidth of each observer on {benchmark}"),
            f"n = {format_image_count(rows['images'])} photographs, each with noise of one octave and one strength. "
            "How to read it: noise disturbs an observer in a channel of spatial frequencies. The bandwidth is the "
            "range in which the observer is at least half as sensitive to noise as at the centre of the channel. Bars "
            "are 95 % intervals; one from 0 means that bands an octave apart are too coarse for a lower bound. An "
            "observer is undefined if the data do not identify its bandwidth; the table says why.",
        )
        subsections.append(Subsection(str(benchmark), channel_findings(rows), "", [figure], [report_table]))
    return Section("critical-band", "Which spatial frequencies matter?", subsections) if subsections else None


def channel_findings(rows: pd.DataFrame) -> list[str]:
    """Return sentences on bandwidths, on observers whose bandwidth is not identified, and on people."""
    opening = (
        f"n = {format_image_count(rows['images'])} photographs with noise of one octave, chance "
        f"{rows['chance'].mean():.2f}."
    )
    names = observer_names(rows)
    identified, refused = rows[rows["bandwidth"].notna()], rows[rows["bandwidth"].isna()]
    sentences = [opening]
    if len(identified):
        bounds = ("bandwidth_low", "bandwidth_high")
        ordered = identified.sort_values("bandwidth", kind="stable")
        values = [
            f"{names[row['observer']]} {format_estimate(row, 'bandwidth', '.1f', bounds=bounds)}"
            for row in records(ordered)
        ]
        if len(values) <= MAX_NAMES:
            sentences[0] += f" Bandwidth in octaves: {', '.join(values)}."
        else:
            sentences[0] += f" Bandwidth in octaves, {len(values)} observers: from {values[0]} to {values[-1]}."
    if len(refused):
        reasons = [
            f"{join_names([names[name] for name in part['observer']])} ({reason})"
            for reason, part in refused.groupby("reason", sort=False)
        ]
        sentences.append(f"Not identified, so without a number: {'; '.join(reasons)}.")
    return [*sentences, PEOPLE]


def format_channel_table(rows: pd.DataFrame) -> TextTable:
    """Return the channel of each observer, and the values of the published fit."""
    return build_table(
        rows,
        *(*observer_columns(), integer_column("photographs", "images")),
        *(
            fraction_column("accuracy without noise", "accuracy"),
            interval_column(),
            fraction_column("chance", "chance"),
        ),
        *(_number("bandwidth (octaves)", "bandwidth", ".2f"), _interval("bandwidth")),
        *(_number("centre (cycles per image)", "centre", ".1f"), _interval("centre")),
        *(_number("noise sensitivity", "sensitivity", ".2f"), _interval("sensitivity")),
        text_column("why undefined", "reason"),
        _number("bandwidth by the published fit", "authors_bandwidth", ",.2f"),
        _number("centre by the published fit", "authors_centre", ",.1f"),
        _number("sensitivity by the published fit", "authors_sensitivity", ".2f"),
    )


def _number(heading: str, key: str, digits: str) -> Column:
    return heading, True, lambda row: EMPTY_CELL if pd.isna(row[key]) else f"{row[key]:{digits}}"


def _interval(key: str) -> Column:
    def format_bounds(row: Row) -> str:
        return format_interval(row[f"{key}_low"], row[f"{key}_high"]).replace("inf", "∞")

    return "95 % interval", True, format_bounds
