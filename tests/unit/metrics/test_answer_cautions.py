"""Observers that guess, or that give one answer nearly always, are named."""

import pytest
from helpers import trials

from shapebias.categories import CATEGORIES
from shapebias.metrics.answer_cautions import answer_cautions
from shapebias.metrics.panel import pair_trials


def caution(answers: list[tuple[str, str]]) -> str:
    """Return the caution about an observer with answers (shape, decision)."""
    panel = pair_trials(trials(*[(shape, None, decision) for shape, decision in answers]))
    return answer_cautions(panel, {"somebody": 1 / 16}).get("somebody", "")


def test_an_observer_that_names_half_of_the_images_is_fine():
    assert caution([(c, c if i % 2 else "cat") for i, c in enumerate(CATEGORIES * 2)]) == ""


def test_an_observer_at_chance_is_named_with_its_counts():
    pairs = [(CATEGORIES[i % 16], CATEGORIES[(i * 5 + i // 16) % 16]) for i in range(160)]
    right = sum(shape == decision for shape, decision in pairs)
    assert caution(pairs) == f"somebody is not above chance ({right} of 160 right, 10 by guessing)"


@pytest.mark.parametrize("answer", CATEGORIES)
def test_an_observer_that_gives_one_answer_to_four_fifths_of_the_images_is_named(answer):
    def answers(times: int) -> list[tuple[str, str]]:
        others = [(category, category) for category in CATEGORIES if category != answer]
        return [(CATEGORIES[i % 16], answer) for i in range(times)] + (others * 20)[: 100 - times]

    assert caution(answers(80)) == f"somebody answers {answer} to 80 of 100 images"
    assert caution(answers(79)) == ""


def test_an_observer_that_answers_clock_to_nearly_all_images_is_named():
    answers = [(CATEGORIES[i % 16], "clock" if i < 149 else CATEGORIES[i % 16]) for i in range(160)]
    assert caution(answers).startswith("somebody answers clock to 1") and caution(answers).endswith("of 160 images")
