"""All answers of observers: confusion matrices, classification reports, and ranks among all classes.

Each table scores shape and texture. As for shape bias, only images with disagreeing cues count. If a benchmark has no
such images, all its images count for their shape, and texture is not scored.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from shapebias.categories import CATEGORIES, category_of
from shapebias.metrics.accuracy_by_condition import eligible_images
from shapebias.metrics.panel import NO_ANSWER, Panel, pair_trials
from shapebias.metrics.shape_bias import accuracy_row

NONE = "none"
MACRO = "macro average"
CONFUSION_COLUMNS = ["observer", "trials", "cue", "category", "answer", "count"]
CLASSIFICATION_COLUMNS = ["observer", "cue", "category", "precision", "recall", "f1", "support", "reason"]
TOP_K_COLUMNS = ["observer", "cue", "of", "k", "images", "hits", "accuracy", "ci_low", "ci_high", "chance"]
# Columns of linear_read_out. They stand here because that module needs torch.
READ_OUT_COLUMNS = ["stage", "depth", "features", "cue", "images", "accuracy", "ci_low", "ci_high", "chance", "reason"]
TOP_KS = (1, 5, 10, 20)
OF_CLASS, OF_BEST_CLASS = "class", "best class of the category"


def cues_to_score(panel: Panel) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield (cue, its categories int8 [I], the images that count bool [I, O]) for each cue that can be scored."""
    if panel.conflict.any():
        yield "shape", panel.shape, panel.conflict
        yield "texture", panel.texture, panel.conflict
    else:
        yield "shape", panel.shape, eligible_images(panel)


def tabulate_confusion(panel: Panel) -> pd.DataFrame:
    """Count how often each category received each answer; columns: CONFUSION_COLUMNS, no rows with a count of 0.

    category: the category of the cue; answer: a category, or `none`.
    trials: `all`, or `consistent` for the answers that name either cue. Without disagreeing cues there are no
    `consistent` rows, because they would hold only right answers.
    """
    answers = np.array([*CATEGORIES, NONE], dtype=object)
    rows = []
    for cue, category, counts in cues_to_score(panel):
        masks = {"all": counts}
        if panel.conflict.any():
            masks["consistent"] = panel.shape_hits | panel.texture_hits
        for trials, mask in masks.items():
            image, observer = np.nonzero(mask)
            answer = panel.decisions[image, observer].astype(np.int64)
            answer[answer == NO_ANSWER] = len(CATEGORIES)
            matrix = np.zeros((len(panel.observers), len(CATEGORIES), len(answers)), dtype=np.int64)
            np.add.at(matrix, (observer, category[image], answer), 1)
            cells = np.nonzero(matrix)
            table = {"observer": np.array(panel.observers, dtype=object)[cells[0]], "trials": trials, "cue": cue}
            table |= {"category": answers[cells[1]], "answer": answers[cells[2]], "count": matrix[cells]}
            rows.append(pd.DataFrame(table, columns=CONFUSION_COLUMNS))
    return pd.concat(rows, ignore_index=True)


def tabulate_classification(panel: Panel) -> pd.DataFrame:
    """Compute precision, recall and F1 of each category with a cue as ground truth; columns: CLASSIFICATION_COLUMNS.

    A hit is an image of the category that was answered with the category. precision: hits over answers with the
    category; recall: hits over images of the category; f1: twice the hits over images plus answers. A missing answer
    is wrong.

    If a category has no image, all three are NaN, and if it is never answered, precision is NaN; `reason` says why.
    The macro average covers the categories with images. The macro average of precision covers only the categories with
    both images and answers.
    """
    rows = []
    for cue, category, counts in cues_to_score(panel):
        for column, observer in enumerate(panel.observers):
            mask = counts[:, column]
            for row in classification_rows(category[mask], panel.decisions[mask, column]):
                rows.append({"observer": observer, "cue": cue} | row)
    return pd.DataFrame(rows, columns=CLASSIFICATION_COLUMNS)


def classification_rows(truth: np.ndarray, answer: np.ndarray) -> list[dict[str, Any]]:
    """Return one row per category and then the macro average, for one observer; truth, answer: int [images]."""
    answer_counts, support, hits = (
        np.bincount(categories, minlength=len(CATEGORIES))
        for categories in (answer[answer >= 0], truth, truth[truth == answer])
    )
    with np.errstate(invalid="ignore"):  # 0 / 0 is NaN, as it should be
        values = np.array([hits / answer_counts, hits / support, 2 * hits / (support + answer_counts)])
    values[:, support == 0] = math.nan  # a category without images has no scores, even if it was answered
    rows = []
    for k, category in enumerate(CATEGORIES):
        reason = "no image" if not support[k] else "never answered" if not answer_counts[k] else ""
        rows.append(classification_row(category, values[:, k], support[k], reason))
    has_images, has_both = support > 0, (support > 0) & (answer_counts > 0)
    means = [values[0, has_both].mean() if has_both.any() else math.nan, math.nan, math.nan]
    if has_images.any():
        means[1:] = values[1:, has_images].mean(axis=1)
    reason = "" if has_images.any() else "no image"
    if has_images.any() and has_both.sum() < has_images.sum():
        reason = f"precision over {has_both.sum()} of {has_images.sum()} categories: the others are never answered"
    rows.append(classification_row(MACRO, means, support.sum(), reason))
    return rows


def classification_row(category: str, values: Any, support: int, reason: str) -> dict[str, Any]:
    scores = dict(zip(("precision", "recall", "f1"), map(float, values), strict=True))
    return {"category": category} | scores | {"support": int(support), "reason": reason}


def tabulate_top_k(predictions: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
    """Compute how often a cue's class is among the k most probable of a network's classes; columns: TOP_K_COLUMNS.

    predictions, metadata: of one network, see `observe`. The ranks are in shape_rank and texture_rank.

    of: `class` if the images name a class that the network knows. If they name only a category, the category's best
    class counts. images: the number of images with a rank. chance: the accuracy of a network that ranks classes at
    random. Intervals are Wilson's. There is no row if k includes all classes or if a cue has no images.
    """
    classes = metadata["class_names"]
    category_size = category_sizes(classes, metadata)
    trials = predictions.sort_values(["image", "condition"], kind="stable")  # same order as a panel
    rows = []
    for cue, _, counts in cues_to_score(pair_trials(trials)):
        ranked = trials[counts[:, 0] & trials[f"{cue}_rank"].notna()]
        names_class = ranked[f"{cue}_class"].isin(classes)
        for of, part in ((OF_CLASS, ranked[names_class]), (OF_BEST_CLASS, ranked[~names_class])):
            rank = part[f"{cue}_rank"].astype(np.int64)
            members = np.ones(len(part), dtype=np.int64) if of == OF_CLASS else part[cue].map(category_size).fillna(0)
            sizes, images = np.unique(members.astype(np.int64), return_counts=True)  # few sizes, many images
            for k in TOP_KS:
                if len(part) and k < len(classes):
                    chances = [top_k_chance(len(classes), int(count), k) for count in sizes]
                    row = accuracy_row(rank <= k, float(np.average(chances, weights=images)))
                    row["hits"] = row.pop("correct")
                    rows.append({"observer": metadata["observer"], "cue": cue, "of": of, "k": k} | row)
    return pd.DataFrame(rows, columns=TOP_K_COLUMNS)


def category_sizes(classes: list[str], metadata: dict[str, Any]) -> dict[str, int]:
    """Return category → number of the network's classes in it; empty if any category has no known class.

    metadata: `class_categories` (class → category) is the network's declaration, absent or null for ILSVRC's classes.
    """
    categories = [category_of(name, metadata.get("class_categories")) for name in classes]
    sizes = {category: categories.count(category) for category in metadata["answers"]}
    return sizes if all(sizes.values()) else {}


def top_k_chance(classes: int, members: int, k: int) -> float:
    """Return the probability that at least one of `members` classes is among k random classes; NaN for no members."""
    return 1 - math.comb(classes - members, k) / math.comb(classes, k) if members else math.nan
