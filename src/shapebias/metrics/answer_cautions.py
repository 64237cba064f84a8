"""Observers whose errors say nothing about likeness: they guess, or they nearly always give one answer.

Two networks that answer `clock` to every image err on exactly the same images, so their error consistency is 1. It says
that both have collapsed, not that they see alike.
"""

from collections.abc import Mapping

import numpy as np

from shapebias.categories import CATEGORIES
from shapebias.metrics.panel import Panel
from shapebias.metrics.shape_bias import wilson_interval

MOST_FREQUENT_ANSWER = 0.8  # share of the most frequent answer from which an observer counts as collapsed


def answer_cautions(panel: Panel, chance: Mapping[str, float]) -> dict[str, str]:
    """Return observer → why its errors say nothing about likeness, for the observers to which that applies.

    chance: observer → the accuracy of guessing. An observer is not above chance if the 95 % interval of its accuracy
    (Wilson 1927) reaches it. Accuracy is that of the shape, over images whose shape the observer knows.
    """
    counts = (panel.shape >= 0)[:, None] & panel.seen & panel.answerable
    cautions = {}
    for column, observer in enumerate(panel.observers):
        answers = panel.decisions[counts[:, column], column]
        images = len(answers)
        if not images:
            continue
        right = int(panel.correct[counts[:, column], column].sum())
        named = np.bincount(answers[answers >= 0], minlength=len(CATEGORIES))
        if named.max() >= MOST_FREQUENT_ANSWER * images:
            answer = CATEGORIES[int(named.argmax())]
            cautions[observer] = f"{observer} answers {answer} to {named.max():,} of {images:,} images"
        elif wilson_interval(right, images)[0] <= chance[observer]:
            guessed = f"{images * chance[observer]:.0f} by guessing"
            cautions[observer] = f"{observer} is not above chance ({right:,} of {images:,} right, {guessed})"
    return cautions
