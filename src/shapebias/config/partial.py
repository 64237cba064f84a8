"""A config with some wrong values, whose other values can still be checked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn


class WrongValueError(Exception):
    """A check needs a wrong value, so its result would mean nothing."""


class Partial(Mapping[str, Any]):
    """A mapping without its wrong values. Reading a wrong value, or iterating, raises WrongValueError."""

    def __init__(self, values: dict[str, Any], wrong: set[str]) -> None:
        self.values_by_key = {key: value for key, value in values.items() if key not in wrong}
        self.wrong = wrong

    def __getitem__(self, key: str) -> Any:
        if key in self.wrong:
            raise WrongValueError(key)
        return self.values_by_key[key]

    def __iter__(self) -> NoReturn:
        raise WrongValueError(*self.wrong)

    def __len__(self) -> NoReturn:
        raise WrongValueError(*self.wrong)


def mark_wrong_values(value: Any, places: Sequence[tuple[str, ...]]) -> Any:
    """Return a copy of the config in which each mapping with a wrong value is a Partial.

    places: paths of keys, ("training", "lr"); a path into a list stands for the whole list.
    """
    if not places or not isinstance(value, dict):
        return value
    below: dict[str, list[tuple[str, ...]]] = {}
    for place in places:
        below.setdefault(place[0], []).append(place[1:])
    wrong = {key for key, rests in below.items() if () in rests or not isinstance(value.get(key), dict)}
    parts = {key: mark_wrong_values(value[key], rests) for key, rests in below.items() if key not in wrong}
    return Partial(value | parts, wrong) if wrong else value | parts


def skip_wrong_values(problems: Iterator[str]) -> Iterator[str]:
    """Yield the problems that a check finds before it needs a wrong value."""
    try:
        yield from problems
    except WrongValueError:
        return
