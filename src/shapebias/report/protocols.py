"""Report section on protocols: the range of each network's bias, and the comparisons that hold in all protocols."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shapebias.metrics.protocol_range import REFERENCE
from shapebias.report import html_tables, wording
from shapebias.report.html_tables import csv_download, make_report_table
from shapebias.report.study import Section, StudyResults, Subsection, select_benchmark

MOST_PAIRS = 3  # comparisons that one clause names
NOT_SHOWN = (
    "This does not show which protocol is right. Other normalizations, half precision, other stimuli and other "
    "training runs are not among the protocols. The protocols are no random sample, so a share of protocols is no "
    "probability."
)


def protocols_section(study: StudyResults) -> Section | None:
    """Return the section on protocols, or None if no network was measured under several protocols."""
    subsections = []
    for benchmark, table in study.tables["protocols"].groupby("benchmark", sort=False):
        name = str(benchmark)
        pairs = select_benchmark(study.tables["protocol_pairs"], name)
        ranges = summarize_ranges(table)
        names = study.observer_names()
        statements = [range_statement(ranges, name, names), pair_statement(pairs, names), NOT_SHOWN]
        report_tables = [
            make_report_table(
                "Range of the bias over protocols",
                html_tables.format_protocol_ranges,
                ranges,
                csv_download(f"protocols.{name}", table),
            ),
            make_report_table(
                "In how many protocols a comparison holds",
                html_tables.format_protocol_pairs,
                order_by_stability(pairs).replace({"observer_1": names, "observer_2": names}),
                csv_download(f"protocol_pairs.{name}", pairs),
            ),
        ]
        subsections.append(Subsection(name, list(filter(None, statements)), "", [], report_tables))
    return Section("protocols", "How much of a difference is protocol?", subsections) if subsections else None


def summarize_ranges(protocols: pd.DataFrame) -> pd.DataFrame:
    """Return one row per network of one benchmark, in order.

    The row holds the network's bias under REFERENCE with its interval; protocols, their number; undefined, in how many
    no cue is named; lowest, highest, lowest_under and highest_under, the ends of the range in the others and their
    protocols in words; published, the biases under published protocols in words.
    """
    rows = []
    for _, table in protocols.groupby("observer", sort=False):
        presets = table["presets"].fillna("").str.split("|")
        row = table[presets.map(lambda names: REFERENCE in names)].iloc[0].to_dict()
        defined = table.dropna(subset=["shape_bias"]).sort_values("shape_bias", kind="stable")
        row |= {"protocols": len(table), "undefined": len(table) - len(defined)}
        row |= {"lowest": np.nan, "highest": np.nan, "lowest_under": "", "highest_under": ""}
        if len(defined):
            ends = {"lowest": defined.iloc[0].to_dict(), "highest": defined.iloc[-1].to_dict()}
            row |= {end: protocol["shape_bias"] for end, protocol in ends.items()}
            row |= {f"{end}_under": describe_protocol(protocol) for end, protocol in ends.items()}
        values = zip(presets, table["shape_bias"], strict=True)
        published = [f"{name} {wording.format_bias(bias)}" for names, bias in values for name in names if name]
        published.sort(key=lambda text: (not text.startswith(REFERENCE), text))
        rows.append(row | {"published": ", ".join(published)})
    return pd.DataFrame(rows)


def describe_protocol(row: Mapping[str, Any]) -> str:
    """Return a row of the table of protocols in words, without the axes that do not matter."""
    parts = [row["aggregation"] if row["label_space"] != "first of all classes" else "first of all classes"]
    parts.append("whole image" if row["crop"] == "1.0" else f"crop {row['crop']}")
    parts.append(row["interpolation"])
    parts.append({"yes": "antialiased", "no": "not antialiased"}.get(row["antialias"], ""))
    parts.append("images without conflict count" if row["stimuli"] == "all" else "")
    return ", ".join(part.partition("|")[0] for part in parts if part and (part == parts[0] or "|" not in part))


def order_by_stability(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the pairs of networks; those whose conclusion holds in the smallest share of protocols come first."""
    share = pairs[["higher", "lower", "unclear"]].max(axis=1) / pairs["protocols"]
    return pairs.iloc[np.argsort(share.to_numpy(dtype=float), kind="stable")]


def range_statement(ranges: pd.DataFrame, benchmark: str, names: Mapping[str, str]) -> str:
    """Return a sentence with the interval and the range of each network, or of the widest range among many."""
    interval = ranges["ci_high"] - ranges["ci_low"]
    width = ranges["highest"] - ranges["lowest"]
    wider = int((width > interval).sum())
    values = [
        f"{names.get(row['observer'], row['observer'])} {wording.format_estimate(row, 'shape_bias')}, "
        f"{wording.format_bias(row['lowest'])} to {wording.format_bias(row['highest'])}"
        for row in wording.records(ranges)
    ]
    if len(values) > wording.MAX_NAMES:
        order = np.argsort(-width.fillna(-1).to_numpy())
        values = ["the widest ranges are " + "; ".join(values[place] for place in order[: wording.MAX_NAMES])]
    images = wording.format_image_count(ranges["images"])
    counts = wording.format_image_count(ranges["protocols"])
    return (
        f"On “{benchmark}” (n = {images} conflict images; bias by guessing 0.50), the bias by the protocol of Geirhos "
        f"et al. 2019 with its 95 % interval over images, and the range over {counts} protocols: {'; '.join(values)}. "
        f"The range is wider than the interval for {wider} of {wording.count_networks(len(ranges))}."
    )


def pair_statement(pairs: pd.DataFrame, names: Mapping[str, str]) -> str:
    """Return sentences on the comparisons of networks that hold in all protocols; empty without a pair."""
    if pairs.empty:
        return ""
    direction = np.sign(pairs["difference"]).where((pairs["ci_low"] > 0) | (pairs["ci_high"] < 0), 0)
    agreeing = pairs["higher"].where(direction > 0, pairs["lower"])
    opposed = pairs["lower"].where(direction > 0, pairs["higher"])
    clear = direction != 0
    robust = clear & (agreeing == pairs["protocols"])
    partial = clear & ~robust
    reversed_pairs = clear & (opposed > 0)

    def clause(chosen: pd.Series, signs: pd.Series, counts: pd.Series) -> str:
        texts = []
        for row, sign, count in zip(wording.records(pairs[chosen]), signs[chosen], counts[chosen], strict=True):
            first, second = (names.get(row[key], row[key]) for key in ("observer_1", "observer_2"))
            share = f" in {count} of {row['protocols']}" if count < row["protocols"] else ""
            texts.append(f"{first} {'above' if sign > 0 else 'below'} {second}{share}")
        return f" ({wording.join_names(texts, MOST_PAIRS)})" if texts else ""

    others = pairs[~clear]
    sometimes = int(((others["higher"] > 0) | (others["lower"] > 0)).sum())
    sentences = [
        "A comparison of two networks holds in a protocol if the 95 % interval of the difference in bias, paired by "
        "image, excludes 0",
        f"{int(clear.sum())} of {wording.pluralize(len(pairs), 'pair')} differ under the protocol of Geirhos et al. "
        f"2019: {int(robust.sum())} in all protocols{clause(robust, direction, agreeing)}, {int(partial.sum())} only "
        f"in some{clause(partial, direction, agreeing)}",
        f"Pairs that differ the other way in another protocol: {int(reversed_pairs.sum())}"
        f"{clause(reversed_pairs, -direction, opposed)}",
    ]
    if len(others):
        sentences.append(f"Of the other {wording.pluralize(len(others), 'pair')}, {sometimes} differ in some protocol")
    one_sign = int(((pairs["difference_low"] > 0) | (pairs["difference_high"] < 0)).sum())
    sentences.append(
        f"The difference has the same sign in all protocols, clear or not, for {one_sign} of "
        f"{wording.pluralize(len(pairs), 'pair')}"
    )
    return ". ".join(sentences) + "."
