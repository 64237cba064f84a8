"""What observers answer, in full: confusion matrices, classification reports, ranks among all classes.

Each is told for shape and for texture. Only images count whose cues disagree, as for shape bias; where a benchmark has
none of these, its images count for their shape, and there is nothing to tell about texture.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import precision_recall_fscore_support

from shapebias.categories import CATEGORIES, category_of
from shapebias.metrics.accuracy_by_condition import eligible
from shapebias.metrics.panel import NO_ANSWER, Panel, panel_of
from shapebias.metrics.shape_bias import accuracy

NONE = "none"
MACRO = "macro average"
CONFUSION = ["observer", "trials", "cue", "category", "answer", "count"]
CLASSIFICATION = ["observer", "cue", "category", "precision", "recall", "f1", "support", "reason"]
TOP_K = ["observer", "cue", "of", "k", "images", "hits", "accuracy", "ci_low", "ci_high", "chance"]
# Of linear_read_out, which needs torch.
READ_OUT = ["stage", "depth", "features", "cue", "images", "accuracy", "ci_low", "ci_high", "chance", "reason"]
KS = (1, 5, 10, 20)
CLASS, BEST = "class", "best class of the category"


def judged(panel: Panel) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """(cue, its categories int8 [I], the images that count bool [I, O]), for each cue there is something to tell of."""
    if panel.conflict.any():
        yield "shape", panel.shape, panel.conflict
        yield "texture", panel.texture, panel.conflict
    else:
        yield "shape", panel.shape, eligible(panel)


def confusion_table(panel: Panel) -> pd.DataFrame:
    """How often each category was answered with each; columns: CONFUSION, a row where there is something to count.

    category: of the cue; answer: a category, or `none`. trials: `all`, or `consistent`: those answered with either cue
    (left out where cues do not disagree: only right answers would be left).
    """
    answers = np.array([*CATEGORIES, NONE], dtype=object)
    rows = []
    for cue, category, counts in judged(panel):
        chosen = {"all": counts}
        if panel.conflict.any():
            chosen["consistent"] = panel.shape_hits | panel.texture_hits
        for trials, counted in chosen.items():
            image, observer = np.nonzero(counted)
            answer = panel.decisions[image, observer].astype(np.int64)
            answer[answer == NO_ANSWER] = len(CATEGORIES)
            matrix = np.zeros((len(panel.observers), len(CATEGORIES), len(answers)), dtype=np.int64)
            np.add.at(matrix, (observer, category[image], answer), 1)
            found = np.nonzero(matrix)
            table = {"observer": np.array(panel.observers, dtype=object)[found[0]], "trials": trials, "cue": cue}
            table |= {"category": answers[found[1]], "answer": answers[found[2]], "count": matrix[found]}
            rows.append(pd.DataFrame(table, columns=CONFUSION))
    return pd.concat(rows, ignore_index=True)


def classification_table(panel: Panel) -> pd.DataFrame:
    """Precision, recall and F1 of each category, taking a cue for what is right; columns: CLASSIFICATION.

    precision: of the answers that name the category, those to its images; recall: of its images, those answered with
    it; f1: twice these over images plus answers. NaN with a reason are all three where a category has no image, and
    precision where it is never answered. A missing answer is a wrong one. The macro average is over categories with
    images; that of precision, over those that are also answered.
    """
    rows = []
    for cue, category, counts in judged(panel):
        for column, observer in enumerate(panel.observers):
            chosen = counts[:, column]
            for row in classification(category[chosen], panel.decisions[chosen, column]):
                rows.append({"observer": observer, "cue": cue} | row)
    return pd.DataFrame(rows, columns=CLASSIFICATION)


def classification(truth: np.ndarray, answer: np.ndarray) -> list[dict[str, Any]]:
    """The report of one observer: a row each category, then the macro average; truth, answer: int [images]."""
    labels = np.arange(len(CATEGORIES))
    answered = np.bincount(answer[answer >= 0], minlength=len(CATEGORIES))
    support = np.bincount(truth, minlength=len(CATEGORIES))
    values = np.full((3, len(CATEGORIES)), math.nan)
    if len(truth):
        told = precision_recall_fscore_support(truth, answer, labels=labels, zero_division=np.nan)
        values = np.array(told[:3], dtype=float)
    values[:, support == 0] = math.nan  # answers to other images say nothing about it
    rows = []
    for k, category in enumerate(CATEGORIES):
        reason = "no image" if not support[k] else "never answered" if not answered[k] else ""
        rows.append(report_row(category, values[:, k], support[k], reason))
    shown, both = support > 0, (support > 0) & (answered > 0)
    means = [values[0, both].mean() if both.any() else math.nan, math.nan, math.nan]
    if shown.any():
        means[1:] = values[1:, shown].mean(axis=1)
    reason = "" if shown.any() else "no image"
    if shown.any() and both.sum() < shown.sum():
        reason = f"precision over {both.sum()} of {shown.sum()} categories: the others are never answered"
    rows.append(report_row(MACRO, means, support.sum(), reason))
    return rows


def report_row(category: str, values: Any, support: int, reason: str) -> dict[str, Any]:
    told = dict(zip(("precision", "recall", "f1"), map(float, values), strict=True))
    return {"category": category} | told | {"support": int(support), "reason": reason}


def top_k_table(predictions: pd.DataFrame, metadata: dict[str, Any]) -> pd.DataFrame:
    """How often a cue's class is among the k most probable of all of a network's classes; columns: TOP_K.

    predictions, metadata: of one network, see `observe`; ranks are in shape_rank and texture_rank.
    of: `class` where images name one that the network knows; where they name a category only, its best-ranked class
    counts. images: those with a rank. chance: of a network that ranks classes at random. Intervals are Wilson's.
    A k that no class is out of has no row, nor has a cue without images.
    """
    classes = metadata["class_names"]
    size = category_sizes(classes, metadata)
    trials = predictions.sort_values(["image", "condition"], kind="stable")  # the order of a panel
    rows = []
    for cue, _, counts in judged(panel_of(trials)):
        ranked = trials[counts[:, 0] & trials[f"{cue}_rank"].notna()]
        names_class = ranked[f"{cue}_class"].isin(classes)
        for of, part in ((CLASS, ranked[names_class]), (BEST, ranked[~names_class])):
            rank = part[f"{cue}_rank"].astype(np.int64)
            members = np.ones(len(part), dtype=np.int64) if of == CLASS else part[cue].map(size).fillna(0)
            sizes, images = np.unique(members.astype(np.int64), return_counts=True)  # few sizes, many images
            for k in KS:
                if len(part) and k < len(classes):
                    each = [top_k_chance(len(classes), int(count), k) for count in sizes]
                    told = accuracy(rank <= k, float(np.average(each, weights=images)))
                    told["hits"] = told.pop("correct")
                    rows.append({"observer": metadata["observer"], "cue": cue, "of": of, "k": k} | told)
    return pd.DataFrame(rows, columns=TOP_K)


def category_sizes(classes: list[str], metadata: dict[str, Any]) -> dict[str, int]:
    """How many of a network's classes each category has; none where that is not known of all its categories.

    metadata: `class_categories` (class → category) is what the network was declared with, absent or null for ILSVRC's.
    """
    found = [category_of(name, metadata.get("class_categories")) for name in classes]
    sizes = {category: found.count(category) for category in metadata["answers"]}
    return sizes if all(sizes.values()) else {}


def top_k_chance(classes: int, members: int, k: int) -> float:
    """The probability that at least one of `members` classes is among k drawn from all; NaN if there is no member."""
    return 1 - math.comb(classes - members, k) / math.comb(classes, k) if members else math.nan
