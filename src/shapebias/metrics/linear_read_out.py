"""Where in a network the bias arises: how accurately a linear classifier reads shape and texture out of each stage.

For each stage and cue, a linear classifier is trained on images whose shape and texture disagree. It is tested on
images of different photographs. If a cue can be read out, the stage still holds it, even if the network's answers do
not follow it. The reverse does not hold: a network need not use the information that a read-out finds. Features are
averaged over positions, so a read-out misses a shape that only the layout of an early map shows.
Sources: linear probes, Alain and Bengio 2016 (arXiv 1610.01644); shape and texture decoded from a network's layers,
Hermann, Chen and Kornblith 2020 (arXiv 1911.09071), Hermann and Lampinen 2020 (arXiv 2006.12433); shape along the
stages of a network, by other measures, Islam et al. 2021 (arXiv 2101.11604).
"""

import hashlib
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shapebias.errors import UserError
from shapebias.evaluation.fingerprints import fingerprint
from shapebias.evaluation.inputs import LabelledPicture
from shapebias.evaluation.observer import Batches, Observer
from shapebias.evaluation.shared_files import SharedFolder
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stimulus_name
from shapebias.metrics.bootstrap import assign_strata, image_weights, resampled_sums
from shapebias.metrics.classification import READ_OUT_COLUMNS
from shapebias.metrics.shape_bias import fraction_intervals
from shapebias.networks.heads import linear_probe
from shapebias.networks.stages import Stage, find_stages, read_stages
from shapebias.seeding import generator

log = logging.getLogger(__name__)

CUE_PHOTOGRAPHS = {"shape": "content", "texture": "style"}  # cue → the photograph that it comes from
FOLDS = 5


def is_conflict(picture: LabelledPicture) -> bool:
    """Return whether an image has a shape and a texture of different categories."""
    shape, texture = picture.label["shape"], picture.label["texture"]
    return None not in (shape, texture) and shape != texture


def cue_sources(picture: LabelledPicture) -> dict[str, str | None]:
    """Return an image's name, the categories of its shape and texture, and the photographs that these come from.

    A set made by this library names the photographs in its labels (`content`, `style`). A published stimulus names them
    in its file name: cat3-bird1 has the shape of photograph cat3 and the texture of bird1. An unknown photograph is
    None.
    """
    label, name = picture.label, stimulus_name(picture.id)
    content, style = label.get("content"), label.get("style")
    if style is None and CUE_CONFLICT_NAME.fullmatch(name):
        content, _, style = name.partition("-")
    photographs = {"content": content, "style": style}
    return {"image": picture.id, "shape": label["shape"], "texture": label["texture"]} | photographs


class StageReader:
    """Collects the features of every stage while a network is shown images; only images with a cue conflict count.

    Raises UserError if `find_stages` does.
    """

    def __init__(self, observer: Observer) -> None:
        self.network = observer.network.eval()
        self.stages = find_stages(self.network, observer.preparation.size)
        self.images: list[dict[str, Any]] = []
        self.parts: list[list[np.ndarray]] = [[] for _ in self.stages]

    def tap(self, batches: Batches) -> Batches:
        """Pass on the batches of `iterate_logits` and store the features of each."""
        with read_stages(self.network, self.stages) as latest:
            for pictures, logits in batches:
                rows = [row for row, picture in enumerate(pictures) if is_conflict(picture)]
                self.images += [cue_sources(pictures[row]) for row in rows]
                for stage_features, stage in zip(self.parts, self.stages, strict=True):
                    stage_features.append(latest[stage.name][rows].cpu().numpy())
                yield pictures, logits

    def read_out(self, shared: SharedFolder | None = None) -> pd.DataFrame:
        """Call the function `read_out`. Raises UserError if no image had cues of different categories."""
        if not self.images:
            raise UserError("no image has a shape and a texture of different categories: nothing can be read out")
        return read_out(self.stages, [np.concatenate(part) for part in self.parts], pd.DataFrame(self.images), shared)


def read_out(
    stages: Sequence[Stage], features: Sequence[np.ndarray], images: pd.DataFrame, shared: SharedFolder | None = None
) -> pd.DataFrame:
    """Return the accuracy of linear read-outs, one row per stage and cue; columns: READ_OUT_COLUMNS.

    features: of each stage, float32 [images, D].
    images: one row per image, with `shape` and `texture` (categories), and `content` and `style` (the photographs of
    the cues).
    shared: a folder for read-outs of equal features. Networks share those of the pixels, and networks that differ in
    the classifier alone share those of all stages.

    Each image is tested once, by a read-out that was trained without images of the same photograph. Otherwise the
    read-out could recognize the photograph instead of the category. chance: the share of the largest category, which
    is 1/categories if all categories have the same size. The interval resamples photographs, because images of one
    photograph tend to be right or wrong together. It applies to these read-outs and does not cover training on other
    images. If a cue cannot be read out, accuracy and interval are NaN, and `reason` says why.
    """
    rows = []
    for cue, photograph in CUE_PHOTOGRAPHS.items():
        categories, photographs = images[cue].to_numpy(dtype=object), images[photograph].to_numpy(dtype=object)
        reason = read_out_problem(cue, categories, photographs)
        right = []
        if not reason:
            parts = assign_folds(categories, photographs)
            right = [cross_validate_once(rows, categories.astype(str), parts, shared) for rows in features]
        intervals = cluster_intervals(right, categories, photographs) if right else np.full((len(stages), 2), np.nan)
        chance = max(Counter(categories).values()) / len(images)
        for k, stage in enumerate(stages):
            accuracy = right[k].mean() if right else np.nan
            facts = [stage.name, stage.depth, features[k].shape[1], cue, len(images)]
            rows.append([*facts, accuracy, *intervals[k], chance, reason])
    return pd.DataFrame(rows, columns=READ_OUT_COLUMNS).sort_values("depth", kind="stable", ignore_index=True)


def read_out_problem(cue: str, categories: np.ndarray, photographs: np.ndarray) -> str:
    """Return why a cue cannot be read out; empty if it can."""
    unknown = int(pd.isna(photographs).sum())
    if unknown:
        return f"{unknown} images do not say which photograph their {cue} comes from ({CUE_PHOTOGRAPHS[cue]})"
    pairs = set(zip(categories, photographs, strict=True))
    of_category = Counter(category for category, _ in pairs)
    if len(of_category) < 2:
        return f"all images have the {cue} of one category, {categories[0]}"
    of_photograph = Counter(photograph for _, photograph in pairs)
    several = sorted(photograph for photograph, count in of_photograph.items() if count > 1)
    if several:
        return f"photograph {several[0]} gives the {cue} of several categories"
    few = sorted(category for category, count in of_category.items() if count < 2)
    if few:
        return f"the {cue} of {', '.join(few)} comes from one photograph: none is left to test on"
    return ""


def assign_folds(categories: np.ndarray, photographs: np.ndarray) -> np.ndarray:
    """Return int [images], from 0 to FOLDS - 1: the fold in which each image is tested.

    All images of a photograph are in one fold, and a photograph has one category. The photographs of a category are
    spread over the folds. The result depends only on the names.
    """
    pairs = sorted(set(zip(categories, photographs, strict=True)))
    shuffled = [pairs[k] for k in generator(0, "read-out", *map("/".join, pairs)).permutation(len(pairs))]
    # Count on across categories. Otherwise the first folds would be the largest.
    by_category = sorted(shuffled, key=lambda pair: pair[0])
    parts = {photograph: k % FOLDS for k, (_, photograph) in enumerate(by_category)}
    return np.array([parts[photograph] for photograph in photographs])


def cross_validate_once(
    rows: np.ndarray, categories: np.ndarray, parts: np.ndarray, shared: SharedFolder | None
) -> np.ndarray:
    """Call `cross_validate`, or read its result for equal arguments from the shared folder."""
    if shared is None:
        return cross_validate(rows, categories, parts)
    features = {"sha256": hashlib.sha256(rows.tobytes()).hexdigest(), "shape": rows.shape}
    key = fingerprint({"features": features, "categories": categories.tolist(), "folds": parts.tolist()})
    arrays = shared.read(key)
    if arrays is None:
        arrays = {"right": cross_validate(rows, categories, parts)}
        shared.write(key, arrays)
    return arrays["right"]


def cross_validate(rows: np.ndarray, categories: np.ndarray, parts: np.ndarray) -> np.ndarray:
    """Return bool [images]: whether the read-out trained on the remaining folds is right; rows: the features."""
    from threadpoolctl import threadpool_limits

    right = np.zeros(len(rows), dtype=bool)
    # One thread, because the last bits depend on the number of threads.
    with threadpool_limits(1):
        for fold in np.unique(parts):
            test = parts == fold
            model = linear_probe(rows.shape[1])
            right[test] = model.fit(rows[~test], categories[~test]).predict(rows[test]) == categories[test]
    return right


def cluster_intervals(right: Sequence[np.ndarray], categories: np.ndarray, photographs: np.ndarray) -> np.ndarray:
    """Return float [K, 2]: the 95 % interval of each accuracy. Photographs are resampled within their categories.

    right: K times bool [images]. The prior of `fraction_intervals` is half a right and half a wrong photograph here,
    instead of half an image each. With one image per photograph the two priors are the same.
    """
    names, first, members = np.unique(photographs.astype(str), return_index=True, return_inverse=True)
    strata = assign_strata(categories[first].astype(str))
    weights, all_photographs = image_weights(names), np.ones((1, len(names)), dtype=bool)
    sizes = np.bincount(members)[None]
    hits = np.array([np.bincount(members, weights=stage_right) for stage_right in right])
    resampled_hits, resampled_sizes = (
        resampled_sums(weights, strata, counts, all_photographs) / sizes.mean() for counts in (hits, sizes)
    )
    return fraction_intervals(hits.sum(axis=1), np.full(len(hits), sizes.sum()), resampled_hits, resampled_sizes)
