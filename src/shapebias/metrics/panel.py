"""Pair the answers of several observers to the images of one benchmark. All measures start from these pairs."""

import fnmatch
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from shapebias.categories import CATEGORIES
from shapebias.errors import UserError

NO_ANSWER = -1  # the observer saw the image and named none of the 16 categories
NOT_SHOWN = -2


@dataclass(frozen=True)
class Panel:
    """The answers on one benchmark. Rows are images, ordered by name (and condition); columns are observers.

    images: names [I]; an image in several conditions has one row for each.
    shape, texture: int8 [I], positions in CATEGORIES (-1: unknown).
    condition: str [I], "" for none.
    decisions: int8 [I, O], positions in CATEGORIES, NO_ANSWER or NOT_SHOWN.
    answerable: bool [I, O], whether the observer could have named both cues.
    """

    images: np.ndarray
    shape: np.ndarray
    texture: np.ndarray
    condition: np.ndarray
    observers: list[str]
    decisions: np.ndarray
    answerable: np.ndarray

    @cached_property
    def seen(self) -> np.ndarray:
        """bool [I, O]: whether the observer saw the image."""
        return self.decisions != NOT_SHOWN

    @cached_property
    def conflict(self) -> np.ndarray:
        """bool [I, O]: answers that count for shape bias.

        The observer saw the image and could have named both cues, and the cues are known and different.
        """
        differ = (self.shape >= 0) & (self.texture >= 0) & (self.shape != self.texture)
        return differ[:, None] & self.answerable & self.seen

    @cached_property
    def shape_hits(self) -> np.ndarray:
        """bool [I, O]: conflict images whose answer is the shape."""
        return self.conflict & (self.decisions == self.shape[:, None])

    @cached_property
    def texture_hits(self) -> np.ndarray:
        """bool [I, O]: conflict images whose answer is the texture."""
        return self.conflict & (self.decisions == self.texture[:, None])

    @cached_property
    def correct(self) -> np.ndarray:
        """bool [I, O]: images of a known shape whose answer is that shape, whatever their texture."""
        return (self.shape >= 0)[:, None] & (self.decisions == self.shape[:, None])


def pair_trials(trials: pd.DataFrame) -> Panel:
    """Pair trials by image and condition.

    trials: a table with observer, image, shape, texture and decision (categories or missing). The columns answerable
    (bool, default true) and condition (default "") are optional.
    An image that only some observers saw stays, marked NOT_SHOWN for the remaining observers.
    Raises UserError for an unknown category, for a trial without an observer, for an image that one observer answers
    twice in one condition, and for an image with different labels for two observers.
    """
    unnamed = trials["observer"].isna() | (trials["observer"] == "")
    if unnamed.any():
        raise UserError(f"the observer of image {trials['image'][unnamed].iloc[0]!r} has no name; name each observer")
    keys = pd.DataFrame({"image": trials["image"], "condition": ""})
    if "condition" in trials:
        keys["condition"] = trials["condition"].fillna("")
    is_duplicate = keys.assign(observer=trials["observer"]).duplicated()
    if is_duplicate.any():
        first = trials[is_duplicate].iloc[0]
        raise UserError(
            f"observer {first['observer']!r} answers image {first['image']!r} twice; give each trial once, "
            f"one benchmark at a time"
        )
    labels = keys.assign(
        shape=category_codes(trials["shape"]), texture=category_codes(trials["texture"])
    ).drop_duplicates()
    ambiguous = labels[labels.duplicated(["image", "condition"])]
    if len(ambiguous):
        raise UserError(
            f"image {ambiguous['image'].iloc[0]!r} has different labels for two observers; "
            f"give the answers of one benchmark at a time"
        )
    labels = labels.sort_values(["image", "condition"], kind="stable")
    observers = sorted(trials["observer"].unique())
    rows = pd.MultiIndex.from_frame(labels[["image", "condition"]]).get_indexer(pd.MultiIndex.from_frame(keys))
    columns = pd.Index(observers).get_indexer(trials["observer"])
    decisions = np.full((len(labels), len(observers)), NOT_SHOWN, dtype=np.int8)
    decisions[rows, columns] = category_codes(trials["decision"])
    answerable = np.ones(decisions.shape, dtype=bool)
    if "answerable" in trials:
        answerable[rows, columns] = trials["answerable"].astype(bool)
    return Panel(
        images=labels["image"].to_numpy(dtype=object),
        shape=labels["shape"].to_numpy(dtype=np.int8),
        texture=labels["texture"].to_numpy(dtype=np.int8),
        condition=labels["condition"].to_numpy(dtype=object),
        observers=observers,
        decisions=decisions,
        answerable=answerable,
    )


def category_codes(categories: pd.Series) -> np.ndarray:
    """Return positions in CATEGORIES, int8; -1 for a missing category. Raises UserError for an unknown category."""
    codes = pd.Index(CATEGORIES).get_indexer(categories).astype(np.int8)
    unknown = categories[(codes < 0) & categories.notna().to_numpy()]
    if len(unknown):
        raise UserError(f"{unknown.iloc[0]!r} is not one of the 16 categories: {', '.join(CATEGORIES)}")
    return codes


def parse_pools(pools: Iterable[str], observers: Sequence[str]) -> dict[str, list[str]]:
    """Parse pools of observers, each written NAME=PATTERN, such as people=subject-*. Return name → members.

    Raises UserError for another form, for a pattern that matches no observer, and for a pool with the name of an
    observer.
    """
    members: dict[str, list[str]] = {}
    for pool in pools:
        name, _, pattern = pool.partition("=")
        if not name or not pattern:
            raise UserError(f"pool {pool!r} is not NAME=PATTERN, e.g. people='subject-*'")
        if name in observers or name in members:
            raise UserError(f"pool {pool}: {name!r} is already the name of an observer or pool; take another")
        members[name] = fnmatch.filter(observers, pattern)
        if not members[name]:
            raise UserError(f"pool {pool}: no observer matches; there are {', '.join(observers)}")
    return members
