"""A config with some wrong values, whose other values can still be checked."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class WrongValueError(Exception):
    """A check needs a wrong value, so its result would mean nothing."""


class Partial(Mapping[str, Any]):
    """A mapping with all of its keys, but without its wrong values: reading one raises WrongValueError.

    The name of an entry is known, and others can refer to it, even if the entry itself is wrong.
    """

    def __init__(self, values: dict[str, Any], wrong: set[str]) -> None:
        self.values_by_key, self.wrong = values, wrong

    def __getitem__(self, key: str) -> Any:
        if key in self.wrong:
            raise WrongValueError(key)
        return self.values_by_key[key]

    def __contains__(self, key: object) -> bool:
        return key in self.values_by_key

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_by_key)

    def __len__(self) -> int:
        return len(self.values_by_key)


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
