"""What else happens when Snakemake calls something of its own.

It would name the line of a Snakefile that a call passes through as the place of every error behind it; this is none.
"""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


def preceded(call: Callable[P, T], first: Callable[[], object]) -> Callable[P, T]:
    """The call, and what happens before it."""

    @wraps(call)
    def both(*args: P.args, **more: P.kwargs) -> T:
        first()
        return call(*args, **more)

    return both


def judged(call: Callable[P, T], judge: Callable[[T], object]) -> Callable[P, T]:
    """The call, and a look at what it gave, which may raise."""

    @wraps(call)
    def both(*args: P.args, **more: P.kwargs) -> T:
        given = call(*args, **more)
        judge(given)
        return given

    return both
