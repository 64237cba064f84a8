"""What else happens when something is called."""

import pytest

from shapebias.calls import judged, preceded


def test_one_thing_comes_before_the_other_whose_arguments_and_answer_stay():
    order = []

    def call(number: int, *, more: int) -> int:
        order.append("call")
        return number + more

    assert preceded(call, lambda: order.append("first"))(1, more=2) == 3
    assert order == ["first", "call"]


def test_an_answer_is_looked_at_and_given_unless_the_look_raises():
    def refuse(answer: bool) -> None:
        if not answer:
            raise ValueError("no")

    assert judged(lambda: True, refuse)() is True
    with pytest.raises(ValueError, match="no"):
        judged(lambda: False, refuse)()
