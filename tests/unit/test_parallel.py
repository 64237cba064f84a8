"""The parallel map: results in order, errors at their item's position, limited read-ahead."""

import itertools
import threading

import pytest

from shapebias.parallel import AHEAD, ordered_map


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_keep_the_order_of_the_items(workers):
    assert list(ordered_map(lambda x: x * x, range(100), workers)) == [x * x for x in range(100)]


def test_endless_input_is_read_only_slightly_ahead():
    taken = []
    results = ordered_map(lambda x: x, (taken.append(i) or i for i in itertools.count()), workers=2)
    assert [next(results) for _ in range(10)] == list(range(10))
    assert len(taken) <= 10 + 2 * AHEAD + 1
    del results  # ends its threads


@pytest.mark.parametrize("workers", [0, 2])
def test_an_error_is_raised_at_its_item_s_position_and_ends_the_threads(workers):
    before, results = threading.active_count(), []
    with pytest.raises(ZeroDivisionError):
        for result in ordered_map(lambda x: 6 // x, [3, 2, 1, 0, 1], workers):
            results.append(result)
    assert results == [2, 3, 6]
    assert threading.active_count() == before
