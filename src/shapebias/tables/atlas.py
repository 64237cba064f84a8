"""The atlas: the networks of a study among published observers, on the published cue-conflict stimuli."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.published import NETWORK, PERSON
from shapebias.evaluation.published_answers import OBSERVER_FACTS, read_published
from shapebias.metrics.bias_differences import difference_rows
from shapebias.metrics.many_tests import adjust_for_discoveries
from shapebias.metrics.panel import NO_ANSWER, Panel, pair_trials
from shapebias.metrics.shape_bias import (
    TAILS,
    CueCounts,
    bias_rows,
    count_cues,
    cue_accuracy_rows,
    ratio_with_prior,
)
from shapebias.tables.columns import ATLAS_COLUMNS, ATLAS_DIFFERENCE_COLUMNS

OWN = "this study"
POOLED = "pooled people"  # the kind of a row of all people of a group
CHANCE = 1 / 16  # of either cue among the 16 categories


def tabulate_atlas(
    folders: Mapping[str, Path], own_trials: Sequence[pd.DataFrame] = (), own: Sequence[Mapping[str, Any]] = ()
) -> dict[str, pd.DataFrame]:
    """Return the tables `atlas` and `atlas_differences`.

    folders: as in `read_published`. own_trials: trials of the study's networks on the published stimuli. own: the
    identity of each of these networks: observer, model, regime and seed.

    atlas has one row per observer and one per group of people (pooled), with ATLAS_COLUMNS. other_answers counts trials
    answered with another category than the two cues, and no_category those answered with none of the 16 categories, or
    not at all. rank 1 has the highest shape bias of all single observers; its interval covers 95 % of resamples of the
    images. Such intervals are somewhat too narrow among observers that hardly differ.

    atlas_differences compares each network of the study with every observer and group, or without such networks every
    two groups of people, on the images that both saw. p_adjusted controls the false discovery rate over the table.

    Raises UserError for a network with the name of a published observer or of a group, besides `read_published`.
    """
    trials, facts = read_published(folders)
    names = [str(row["observer"]) for row in own]
    own_facts = [
        dict(zip(OBSERVER_FACTS, (name, name, OWN, NETWORK, OWN, "yours"), strict=True)) | dict(row)
        for name, row in zip(names, own, strict=True)
    ]
    observers = pd.concat([pd.DataFrame(own_facts, columns=[*OBSERVER_FACTS, "model", "regime", "seed"]), facts])
    refuse_taken_names(names, {*facts["observer"], *facts["group"]})
    panel = pair_trials(pd.concat([*own_trials, trials], ignore_index=True))
    pools = {
        str(group): list(part["observer"])
        for group, part in observers[observers["kind"] == PERSON].groupby("group", sort=False)
    }
    groups = {name: [name] for name in observers["observer"]} | pools
    counts = count_cues(panel, groups)
    atlas = pd.DataFrame(atlas_rows(counts, panel, observers, groups)).sort_values(
        ["shape_bias", "observer"], ascending=[False, True], kind="stable"
    )
    # Rows of a group stay together: the study first, then groups by their pooled bias.
    order = {name: place for place, name in enumerate(order_groups(atlas))}
    atlas = atlas.iloc[np.argsort(atlas["group"].map(order).to_numpy(), kind="stable")]
    return {
        "atlas": atlas.reindex(columns=ATLAS_COLUMNS).reset_index(drop=True),
        "atlas_differences": compare_with_atlas(counts, groups, names, list(pools), observers),
    }


def refuse_taken_names(own: Sequence[str], taken: Collection[str]) -> None:
    """Raise UserError if a network of the study has the name of a published observer or of a group of them."""
    if shared := [name for name in own if name in taken]:
        raise UserError(
            f"the network {shared[0]!r} has the name of a published observer, or of a group of them; give it another"
        )


def atlas_rows(
    counts: CueCounts, panel: Panel, observers: pd.DataFrame, groups: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Return one row per single observer and pooled group, in the order of `groups`."""
    facts = observers.set_index("observer").to_dict("index")
    biases, cues = bias_rows(counts), cue_accuracy_rows(counts, [CHANCE] * len(counts.names))
    single = [place for place, name in enumerate(counts.names) if name in facts]
    ranks = dict(zip(single, rank_rows(counts, single), strict=True))
    answered = panel.decisions[counts.images] != NO_ANSWER
    rows = []
    for place, (name, bias, cue) in enumerate(zip(counts.names, biases, cues, strict=True)):
        columns = [panel.observers.index(member) for member in groups[name]]
        no_category = int((panel.conflict[counts.images][:, columns] & ~answered[:, columns]).sum())
        row = {"observer": name} | facts.get(name, {"name": name, "group": name, "kind": POOLED})
        if name not in facts:
            members = [facts[member] for member in groups[name]]
            for key in ("source", "licence"):
                row[key] = "; ".join(dict.fromkeys(member[key] for member in members))
        row |= {"members": len(columns)} | bias
        row |= {key: cue[key] for key in ("coverage", "coverage_low", "coverage_high", "chance")}
        row |= {"other_answers": bias["conflict_images"] - bias["shape_hits"] - bias["texture_hits"] - no_category}
        row |= {"no_category": no_category}
        rows.append(row | ranks.get(place, dict.fromkeys(("rank", "rank_low", "rank_high"), np.nan)))
    return rows


def rank_rows(counts: CueCounts, rows: Sequence[int]) -> list[dict[str, float]]:
    """Return the rank of each row by shape bias, 1 for the highest, with the interval of its rank over images.

    Rows without a hit have no rank. Equal biases share the mean of their ranks.
    """
    shape, hits = (cells[list(rows)].sum(axis=1) for cells in (counts.shape_hits, counts.hits))
    has_hits = hits > 0
    with np.errstate(invalid="ignore"):
        ranks = pd.Series(np.where(has_hits, -shape / hits, np.nan)).rank().to_numpy()
    resampled = ratio_with_prior(counts.resampled.shape[list(rows)], counts.resampled.hits[list(rows)])[has_hits]
    places = np.empty(resampled.shape, dtype=np.int32)
    np.put_along_axis(places, np.argsort(-resampled, axis=0), np.arange(1, len(resampled) + 1)[:, None], axis=0)
    bounds = np.full((len(ranks), 2), np.nan)
    bounds[has_hits] = np.quantile(places, TAILS, axis=1, method="inverted_cdf").T
    # The prior moves the resampled bias of few hits towards 0.5, so the rank itself may lie outside.
    low, high = np.fmin(bounds[:, 0], ranks), np.fmax(bounds[:, 1], ranks)
    return [
        {"rank": float(rank), "rank_low": float(first), "rank_high": float(last)}
        for rank, first, last in zip(ranks, low, high, strict=True)
    ]


def order_groups(atlas: pd.DataFrame) -> list[str]:
    """Return the groups: this study, then people and after them networks, each by their bias over all hits."""
    single = atlas[atlas["kind"] != POOLED]
    hits = single.groupby("group")[["shape_hits", "texture_hits"]].sum()
    bias = (hits["shape_hits"] / hits.sum(axis=1)).fillna(0)
    kinds = single.groupby("group")["kind"].first()
    return sorted(bias.index, key=lambda name: (name != OWN, kinds[name] != PERSON, -bias[name], name))


def compare_with_atlas(
    counts: CueCounts,
    groups: Mapping[str, Sequence[str]],
    own: Sequence[str],
    pools: Sequence[str],
    observers: pd.DataFrame,
) -> pd.DataFrame:
    """Return the table `atlas_differences`, see `tabulate_atlas`."""
    if own:
        pairs = [(name, other) for name in own for other in counts.names if other not in own]
    else:
        pairs = [(first, second) for place, first in enumerate(pools) for second in pools[place + 1 :]]
    rows = pd.DataFrame(difference_rows(counts, groups, pairs), columns=ATLAS_DIFFERENCE_COLUMNS)
    group_of = dict(zip(observers["observer"], observers["group"], strict=True)) | {name: name for name in pools}
    rows["group_2"] = rows["observer_2"].map(group_of)
    return rows.assign(p_adjusted=adjust_for_discoveries(rows["p"].tolist()))[ATLAS_DIFFERENCE_COLUMNS]
