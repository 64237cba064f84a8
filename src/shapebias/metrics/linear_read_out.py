"""Where in a network the bias arises: how well a linear read-out tells shape and texture from each stage.

For each stage and cue a linear classifier is trained on images whose shape and texture disagree, and tested on images
of other photographs: where a cue can be told, the network has kept it, whether it answers by it or not. What a
read-out finds is not thereby used; and as stages are averaged over positions, a shape that only the layout of an early
map shows is not found.
Sources: linear probes, Alain and Bengio 2016 (arXiv 1610.01644); shape and texture decoded from a network's layers,
Hermann, Chen and Kornblith 2020 (arXiv 1911.09071), Hermann and Lampinen 2020 (arXiv 2006.12433); shape along the
stages of a network, by other measures, Islam et al. 2021 (arXiv 2101.11604).
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from shapebias.errors import UserError
from shapebias.evaluation.inputs import LabelledPicture
from shapebias.evaluation.observer import Batches, Observer
from shapebias.evaluation.stimulus_names import CUE_CONFLICT_NAME, stimulus_name
from shapebias.metrics.bootstrap import assign_strata, image_weights, resampled_sums
from shapebias.metrics.classification import READ_OUT_COLUMNS
from shapebias.metrics.shape_bias import fraction_intervals
from shapebias.networks.stages import Stage, find_stages, read_stages
from shapebias.seeding import generator

log = logging.getLogger(__name__)

CUE_PHOTOGRAPHS = {"shape": "content", "texture": "style"}  # cue → the photograph that it comes from
FOLDS = 5
# One penalty for all stages, networks and cues, none is tuned: on D features of unit variance C is 30 / D, so that
# logits may be as large at any width. In trials on small and large networks, between 10 and 100, accuracies differed
# by 0.02 as a rule and by 0.09 at most; a choice made anew for each would cost ten times as much.
LOGIT_VARIANCE = 30.0
TOLERANCE = 1e-4  # of the gradient; accuracies differ by less than 0.01 from those of 1e-6
ITERATIONS = 1000


def is_conflict(picture: LabelledPicture) -> bool:
    """Whether an image has a shape and a texture, of different categories."""
    shape, texture = picture.label["shape"], picture.label["texture"]
    return None not in (shape, texture) and shape != texture


def cue_sources(picture: LabelledPicture) -> dict[str, str | None]:
    """Of an image: its name, the categories of shape and texture, and the photographs that these come from.

    A set of one's own names the photographs (`content`, `style`); a published stimulus does by its name: cat3-bird1
    is the shape of photograph cat3 and the texture of bird1. None where nothing names it.
    """
    label, name = picture.label, stimulus_name(picture.id)
    content, style = label.get("content"), label.get("style")
    if style is None and CUE_CONFLICT_NAME.fullmatch(name):
        content, _, style = name.partition("-")
    photographs = {"content": content, "style": style}
    return {"image": picture.id, "shape": label["shape"], "texture": label["texture"]} | photographs


class StageReader:
    """Reads the features of every stage of a network while it is shown images, of those whose cues disagree.

    Raises UserError where `find_stages` does.
    """

    def __init__(self, observer: Observer) -> None:
        self.network = observer.network.eval()
        self.stages = find_stages(self.network, observer.preparation.size)
        self.images: list[dict[str, Any]] = []
        self.parts: list[list[np.ndarray]] = [[] for _ in self.stages]

    def tap(self, batches: Batches) -> Batches:
        """Hand batches on as they come, from `answers`, and keep the features of each."""
        with read_stages(self.network, self.stages) as latest:
            for pictures, logits in batches:
                rows = [row for row, picture in enumerate(pictures) if is_conflict(picture)]
                self.images += [cue_sources(pictures[row]) for row in rows]
                for part, stage in zip(self.parts, self.stages, strict=True):
                    part.append(latest[stage.name][rows].cpu().numpy())
                yield pictures, logits

    def read_out(self) -> pd.DataFrame:
        """See `read_out`. Raises UserError where no image had cues of different categories."""
        if not self.images:
            raise UserError("no image has a shape and a texture of different categories: nothing can be read out")
        return read_out(self.stages, [np.concatenate(part) for part in self.parts], pd.DataFrame(self.images))


def read_out(stages: Sequence[Stage], features: Sequence[np.ndarray], images: pd.DataFrame) -> pd.DataFrame:
    """Accuracy of a linear read-out of shape and of texture from each stage; one row a stage and cue, as in READ_OUT.

    features: of each stage, float32 [images, D]. images: a row each, with `shape` and `texture` (categories), and
    `content` and `style` (the photographs that they come from). Each image is tested once, by a read-out that saw no
    image of the same photograph: else it would tell the photograph, not the category. chance: the share of the
    largest category, which is 1/categories if they are of one size. The interval resamples photographs, since images
    of one photograph are right or wrong together; it holds for these read-outs, and does not say how others, trained
    on other images, would do. Where a cue cannot be read out accuracy and interval are NaN, with the reason.
    """
    rows = []
    for cue, photograph in CUE_PHOTOGRAPHS.items():
        categories, photographs = images[cue].to_numpy(dtype=object), images[photograph].to_numpy(dtype=object)
        reason = read_out_problem(cue, categories, photographs)
        right = (
            [] if reason else cross_validate(features, categories.astype(str), assign_folds(categories, photographs))
        )
        intervals = cluster_intervals(right, categories, photographs) if right else np.full((len(stages), 2), np.nan)
        chance = max(Counter(categories).values()) / len(images)
        for k, stage in enumerate(stages):
            accuracy = right[k].mean() if right else np.nan
            facts = [stage.name, stage.depth, features[k].shape[1], cue, len(images)]
            rows.append([*facts, accuracy, *intervals[k], chance, reason])
    return pd.DataFrame(rows, columns=READ_OUT_COLUMNS).sort_values("depth", kind="stable", ignore_index=True)


def read_out_problem(cue: str, categories: np.ndarray, photographs: np.ndarray) -> str:
    """Why a cue cannot be read out, in words; empty where it can."""
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
    """int [images], from 0 to FOLDS - 1: the part that each image is tested in.

    All images of a photograph (which is of one category) are in one part; the photographs of a category are spread
    over the parts. A pure function of the names.
    """
    pairs = sorted(set(zip(categories, photographs, strict=True)))
    shuffled = [pairs[k] for k in generator(0, "read-out", *map("/".join, pairs)).permutation(len(pairs))]
    # One after the other, across categories too: else the first parts would be the largest.
    by_category = sorted(shuffled, key=lambda pair: pair[0])
    parts = {photograph: k % FOLDS for k, (_, photograph) in enumerate(by_category)}
    return np.array([parts[photograph] for photograph in photographs])


def cross_validate(features: Sequence[np.ndarray], categories: np.ndarray, parts: np.ndarray) -> list[np.ndarray]:
    """Of each stage's features, bool [images]: whether the read-out trained on the other parts tells the category."""
    results = []
    # One thread: the last bits depend on their number.
    with threadpool_limits(1):
        for rows in features:
            right = np.zeros(len(rows), dtype=bool)
            for part in np.unique(parts):
                test = parts == part
                model = make_pipeline(StandardScaler(), probe(rows.shape[1]))
                right[test] = model.fit(rows[~test], categories[~test]).predict(rows[test]) == categories[test]
            results.append(right)
    return results


def probe(width: int) -> LogisticRegression:
    """A multinomial logistic regression with an L2 penalty, for that many features."""
    return LogisticRegression(C=LOGIT_VARIANCE / width, max_iter=ITERATIONS, tol=TOLERANCE)


def cluster_intervals(right: Sequence[np.ndarray], categories: np.ndarray, photographs: np.ndarray) -> np.ndarray:
    """float [K, 2]: the 95 % interval of each accuracy, from photographs resampled within their categories.

    right: K times bool [images]. The prior is half a photograph that is told right and half a one that is not, where
    `fraction_intervals` has images: with one image a photograph both are the same.
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
