"""Report section on low-frequency bias: which of two conflicting frequency bands networks follow."""

import pandas as pd

from shapebias.metrics.frequency_bias import GUESSING
from shapebias.report import wording
from shapebias.report.html_tables import (
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
from shapebias.report.label_instruments import instrument_chart
from shapebias.report.study import ReportFigure, Section, StudyResults, Subsection

LOW_BAND, HIGH_BAND = ("low_band_lower", "low_band_upper"), ("high_band_lower", "high_band_upper")


def frequency_bias_section(study: StudyResults) -> Section | None:
    """Return the section on low-frequency bias, or None if it was not measured."""
    subsections = []
    for benchmark, rows in study.tables["frequency_bias"].groupby("benchmark", sort=False):
        name = str(benchmark)
        caption = (
            "How to read it: each image holds the low spatial frequencies of one photograph and the high spatial "
            "frequencies of another. The low-frequency bias is the share of the low band in the answers that name "
            "either band. It is not shape bias, because each band holds both shape and texture. Bars are 95 % "
            "intervals over images. The dashed line is guessing."
        )
        chart = instrument_chart(
            *(f"frequency_bias.{name}", rows, study.encoding, ("low_frequency_bias", "low-frequency bias")),
            *("bias_chance", "conflict_images"),
        )
        table = make_report_table(
            "Low-frequency bias of every network",
            format_frequency_table,
            rows,
            csv_download(f"frequency_bias.{name}", rows),
        )
        findings = frequency_findings(name, study.label_regimes(rows))
        subsections.append(Subsection(name, findings, "", [ReportFigure(None, caption, "wide", [chart])], [table]))
    title = "Do networks follow low or high spatial frequencies?"
    return Section("frequency", title, subsections) if subsections else None


def frequency_findings(benchmark: str, rows: pd.DataFrame) -> list[str]:
    """Return sentences on the low-frequency biases of one benchmark, with chance, n and intervals."""
    count = wording.count_networks(len(rows), wording.has_several_seeds(rows))
    images = wording.format_image_count(rows["conflict_images"])
    biases = wording.format_extremes(rows, "low_frequency_bias", "ci_low", "ci_high")
    low, high = int((rows["ci_low"] > GUESSING).sum()), int((rows["ci_high"] < GUESSING).sum())
    accuracies = [
        f"for the {band} band {wording.format_extremes(rows, f'{band}_band_accuracy', *bounds)}"
        for band, bounds in (("low", LOW_BAND), ("high", HIGH_BAND))
    ]
    return [
        f"On “{benchmark}” (n = {images} images whose bands show two categories), the low-frequency bias of {count} is "
        f"{biases}; guessing gives {GUESSING}. By its interval, {low} of {len(rows)} favour the low band and {high} "
        f"the high band. Accuracy: {', '.join(accuracies)}; chance {rows['chance'].max():.3f} each."
    ]


def format_frequency_table(rows: pd.DataFrame) -> TextTable:
    """Return the low-frequency bias of each network, with hits and accuracies of both bands."""
    return build_table(
        rows,
        *(text_column("benchmark", "benchmark"), *observer_columns()),
        *(integer_column("conflict images", "conflict_images"), integer_column("low hits", "low_hits")),
        *(integer_column("high hits", "high_hits"), fraction_column("low-frequency bias", "low_frequency_bias")),
        *(interval_column(), fraction_column("bias by guessing", "bias_chance")),
        *(fraction_column("accuracy low band", "low_band_accuracy"), interval_column(*LOW_BAND)),
        *(fraction_column("accuracy high band", "high_band_accuracy"), interval_column(*HIGH_BAND)),
        *(fraction_column("coverage", "coverage"), interval_column("coverage_low", "coverage_high")),
        *(fraction_column("chance", "chance"), text_column("why undefined", "reason")),
    )
