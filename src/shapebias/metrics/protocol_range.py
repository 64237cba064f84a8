"""Shape bias under all protocols of a network's decisions, and the comparisons of networks that hold in all of them.

The sampling interval of a bias says how it could vary with other images. It does not cover the choice of the protocol
(see `evaluation.protocols`). Source of the idea: the multiverse analysis of Steegen et al., Perspectives on
Psychological Science 2016.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.metrics.bias_differences import difference_rows
from shapebias.metrics.bootstrap import image_weights
from shapebias.metrics.panel import category_codes
from shapebias.metrics.shape_bias import CueCounts, bias_rows

REFERENCE = "geirhos2019"
VIEW_COLUMNS = ["crop", "interpolation", "antialias"]
AXES = ["aggregation", "label_space", *VIEW_COLUMNS]
CONFLICTS, ALL_STIMULI = "conflicts", "all"
PROTOCOL_COLUMNS = [*AXES, "stimuli", "ties", "presets", "combinations", "images", "shape_hits", "texture_hits"]
PROTOCOL_COLUMNS += ["shape_bias", "ci_low", "ci_high"]
PROTOCOL_PAIR_COLUMNS = ["observer_1", "observer_2", "protocols", "higher", "lower", "unclear"]
PROTOCOL_PAIR_COLUMNS += ["difference", "ci_low", "ci_high", "difference_low", "difference_high", "reason"]


@dataclass(frozen=True)
class ProtocolAnswers:
    """One network's decisions under all protocols.

    images: names [I].
    shape, texture: int8 [I], positions in CATEGORIES (-1: unknown).
    answerable: bool [I], whether the network knows the categories of both cues.
    decisions: column → int8 [I], positions in CATEGORIES or -1.
    protocols: the axes of each protocol, its preset ("" for none) and the column of its decisions.
    """

    observer: str
    images: np.ndarray
    shape: np.ndarray
    texture: np.ndarray
    answerable: np.ndarray
    decisions: Mapping[str, np.ndarray]
    protocols: Sequence[Mapping[str, Any]]

    @property
    def has_agreeing_images(self) -> bool:
        """Whether there are images whose shape and texture have one category."""
        return bool((self.answerable & (self.shape == self.texture)).any())


def read_protocol_answers(table: pd.DataFrame, metadata: Mapping[str, Any]) -> ProtocolAnswers:
    """Return the answers in a table of `measure_protocols`; metadata: its facts and those of the network.

    Raises UserError for an image that is answered twice, and for a missing column.
    """
    columns = dict.fromkeys(protocol["column"] for protocol in metadata["protocols"])
    if missing := [name for name in ("image", "shape", "texture", *columns) if name not in table]:
        raise UserError(
            f"observer {metadata['observer']!r}: the decisions under all protocols lack the column {missing[0]!r}; "
            f"evaluate the network again"
        )
    images = table["image"].map(stimulus_name)
    if images.duplicated().any():
        raise UserError(
            f"observer {metadata['observer']!r} answers image {images[images.duplicated()].iloc[0]!r} twice under each "
            f"protocol; give each image once, one benchmark at a time"
        )
    shape, texture = category_codes(table["shape"]), category_codes(table["texture"])
    known = category_codes(pd.Series(metadata["answers"], dtype=object))
    return ProtocolAnswers(
        observer=metadata["observer"],
        images=images.to_numpy(dtype=object),
        shape=shape,
        texture=texture,
        answerable=np.isin(shape, known) & np.isin(texture, known),
        decisions={column: category_codes(table[column]) for column in columns},
        protocols=metadata["protocols"],
    )


@dataclass(frozen=True)
class Stimuli:
    """The images that count, in the order of `count_cues`: a stratum's images are neighbours.

    images: names [I]. shape: int8 [I], positions in CATEGORIES. weights: float32 [I, R], see `image_weights`.
    rows: for each network, the images of its answers that count, as positions in its answers and in `images`.
    """

    images: np.ndarray
    shape: np.ndarray
    weights: np.ndarray
    rows: Mapping[str, tuple[np.ndarray, np.ndarray]]


def align_images(networks: Sequence[ProtocolAnswers], stimuli: str) -> Stimuli:
    """Align the images of some networks.

    stimuli: `conflicts` leaves out images whose shape and texture agree; `all` keeps them.
    Raises UserError if two networks label an image differently.
    """
    labels: dict[str, tuple[int, int]] = {}
    for network in networks:
        for image, *cues in zip(network.images, network.shape.tolist(), network.texture.tolist(), strict=True):
            if labels.setdefault(image, (cues[0], cues[1])) != (cues[0], cues[1]):
                raise UserError(
                    f"image {image!r} has different labels for {network.observer} and another network; give the "
                    f"answers of one benchmark at a time"
                )
    counted = {image: cues for image, cues in labels.items() if stimuli == ALL_STIMULI or cues[0] != cues[1]}
    images = sorted(counted, key=lambda image: (counted[image][0], image))
    index, rows = pd.Index(images, dtype=object), {}
    for network in networks:
        places = index.get_indexer(pd.Index(network.images, dtype=object))
        used = np.flatnonzero(network.answerable & (places >= 0))
        rows[network.observer] = used, places[used]
    names = np.array(images, dtype=object)
    shape = np.array([counted[image][0] for image in images], dtype=np.int8)
    return Stimuli(names, shape, image_weights(names), rows)


def count_decisions(
    stimuli: Stimuli, names: Sequence[str], decisions: Sequence[tuple[ProtocolAnswers, str]]
) -> CueCounts:
    """Count the hits of some decisions. A correct answer to an image whose cues agree is a hit of both cues.

    names: of the rows of the counts. decisions: of each row, a network's answers and the column of its decisions.
    """
    cells = np.zeros((3, len(names), len(stimuli.images)), dtype=np.int32)
    for row, (network, column) in enumerate(decisions):
        used, places = stimuli.rows[network.observer]
        named = network.decisions[column][used]
        trials = np.ones(len(used))
        cells[:, row, places] = trials, named == network.shape[used], named == network.texture[used]
    return CueCounts(list(names), np.arange(len(stimuli.images)), stimuli.shape, *cells, stimuli.weights)


def tabulate_protocols(answers: ProtocolAnswers) -> pd.DataFrame:
    """Return the shape bias under each protocol that can differ from the others; columns: PROTOCOL_COLUMNS.

    A row stands for all combinations of the axes with the same decisions by construction; `combinations` is their
    number, and an axis without influence on them lists its values, separated by |. presets: the published protocols
    among them, separated by |. stimuli: whether images whose shape and texture agree count, see `align_images`;
    without such images there is no second value. images: the images that count. Intervals: as in `bias_rows`.
    """
    columns = list(answers.decisions)
    rows = []
    for stimuli in (CONFLICTS, ALL_STIMULI) if answers.has_agreeing_images else (CONFLICTS,):
        aligned = align_images([answers], stimuli)
        counts = count_decisions(aligned, columns, [(answers, column) for column in columns])
        for column, row in zip(columns, bias_rows(counts), strict=True):
            protocols = [protocol for protocol in answers.protocols if protocol["column"] == column]
            presets = [protocol["preset"] for protocol in protocols if protocol["preset"]]
            grid = [protocol for protocol in protocols if not protocol["preset"]]
            values: dict[str, Any] = {axis: _join(protocol[axis] for protocol in grid or protocols) for axis in AXES}
            values |= {"stimuli": stimuli, "ties": _join(protocol["ties"] for protocol in protocols)}
            values |= {"presets": "|".join(presets) if stimuli == CONFLICTS else "", "combinations": len(grid)}
            rows.append(values | {"images": row.pop("conflict_images")} | row)
    table = pd.DataFrame(rows)
    table.insert(0, "observer", answers.observer)
    return table[["observer", *PROTOCOL_COLUMNS]]


def _join(values: Iterable[Any]) -> str:
    """Return the different values of an axis as text, separated by |."""
    texts = [("yes" if value else "no") if isinstance(value, bool) else f"{value}" for value in values]
    return "|".join(dict.fromkeys(texts))


def describe_range(table: pd.DataFrame) -> str:
    """Return a table of `tabulate_protocols` in words."""
    biases = table["shape_bias"]
    if biases.isna().any():
        undefined = f"{int(biases.isna().sum())} of {len(table)} protocols"
        return f"{table['observer'].iloc[0]}: no range over protocols, because under {undefined} no cue is named"
    span = f"{biases.min():.3f} to {biases.max():.3f}"
    return f"{table['observer'].iloc[0]}: shape bias {span} under {len(table)} protocols"


def compare_protocols(networks: Sequence[ProtocolAnswers]) -> pd.DataFrame:
    """Return for each two networks in how many protocols one has the higher bias; columns: PROTOCOL_PAIR_COLUMNS.

    Both networks are measured under the same protocol, on the same images. protocols: the number of protocols that can
    differ for this pair. higher, lower: in how many the 95 % interval of the difference, paired by image, lies above 0
    and below 0; unclear: in how many it contains 0 or is undefined. difference, ci_low, ci_high: under REFERENCE, the
    protocol of Geirhos et al. 2019. difference_low, difference_high: the range of the difference over the protocols;
    NaN, with a reason, if it is undefined in one of them.
    The intervals are not corrected for the number of protocols: the protocols share all images, and a conclusion must
    hold in each of them to count as robust.
    """
    names = [network.observer for network in networks]
    tables = [_columns_by_protocol(network) for network in networks]
    kinds = (CONFLICTS, ALL_STIMULI) if any(network.has_agreeing_images for network in networks) else (CONFLICTS,)
    aligned = {stimuli: align_images(networks, stimuli) for stimuli in kinds}
    rows: dict[tuple[str, str], dict[tuple[str, ...], dict[str, Any]]] = {pair: {} for pair in combinations(names, 2)}
    reference: dict[tuple[str, str], dict[str, Any]] = {}
    measured: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for key in (key for key in (tables[0] if tables else {}) if all(key in table for table in tables)):
        columns = [table[key] for table in tables]
        for stimuli in kinds:
            cell = (stimuli, *columns)
            if cell not in measured:
                counts = count_decisions(aligned[stimuli], names, list(zip(networks, columns, strict=True)))
                measured[cell] = difference_rows(counts, {name: [name] for name in names})
            column_of = dict(zip(names, columns, strict=True))
            for row in measured[cell]:
                pair = (row["observer_1"], row["observer_2"])
                rows[pair].setdefault((stimuli, column_of[pair[0]], column_of[pair[1]]), row)
                if stimuli == CONFLICTS and key == (REFERENCE,):
                    reference[pair] = row
    return pd.DataFrame(
        [_summarize_pair(pair, pd.DataFrame(rows[pair].values()), reference[pair]) for pair in rows],
        columns=PROTOCOL_PAIR_COLUMNS,
    )


def _columns_by_protocol(network: ProtocolAnswers) -> dict[tuple[Any, ...], str]:
    """Return the column of each protocol: by its axes, or by its name if it is a published protocol."""
    keys = [(p["preset"],) if p["preset"] else tuple(p[axis] for axis in AXES) for p in network.protocols]
    return {key: protocol["column"] for key, protocol in zip(keys, network.protocols, strict=True)}


def _summarize_pair(pair: tuple[str, str], rows: pd.DataFrame, reference: Mapping[str, Any]) -> dict[str, Any]:
    higher, lower = int((rows["ci_low"] > 0).sum()), int((rows["ci_high"] < 0).sum())
    undefined = rows["reason"] != ""
    ends = (np.nan, np.nan) if undefined.any() else (rows["difference"].min(), rows["difference"].max())
    return {
        "observer_1": pair[0],
        "observer_2": pair[1],
        "protocols": len(rows),
        "higher": higher,
        "lower": lower,
        "unclear": len(rows) - higher - lower,
        **{key: reference[key] for key in ("difference", "ci_low", "ci_high")},
        "difference_low": float(ends[0]),
        "difference_high": float(ends[1]),
        "reason": rows["reason"][undefined].iloc[0] if undefined.any() else "",
    }
