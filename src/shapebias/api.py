"""Shape bias in a notebook: `from shapebias import evaluate, shape_bias`."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from shapebias.categories import category_of
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.decisions import read_observers
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.shape_bias import bias_rows, count_cues

if TYPE_CHECKING:  # torch takes seconds to import, and decisions are counted without it
    from torch import nn

    from shapebias.evaluation.inputs import ImageCache
    from shapebias.networks.models import Preparation

NEEDED = ["observer", "image", "shape", "texture", "decision"]


def evaluate(
    network: str | nn.Module,
    images: str | Path | Sequence[str | Path],
    *,
    benchmark: str = "cue_conflict",
    observer: str | None = None,
    weights: str | Path | None = None,
    kwargs: dict[str, Any] | None = None,
    classes: Sequence[str] | Mapping[str, str] | None = None,
    preparation: Preparation | None = None,
    suppress: Mapping[str, Sequence[float]] | None = None,
    batch_size: int = 8,
    workers: int = 2,
    device: str | None = None,
    max_rejected: float = 0.0,
) -> pd.DataFrame:
    """Show images to a network; returns a table with one row an image (and condition): label, decision, probabilities.

    network: a name in timm (`torchvision/<name>` is one of torchvision's), or a network in memory, which is left as it
    was. images: a folder, an archive (.zip, .tar, .tar.gz) or a shard, or several. benchmark: how they are labelled and
    shown, of shapebias.evaluation.benchmarks.KINDS. observer: what to call the network in the table.
    weights, kwargs: a file for a network given by name (without, the published weights are downloaded), and arguments.
    classes: names of the outputs in their order, or name → category (airplane … truck, "" for none); by default
    ILSVRC's 1,000. preparation: what the network expects of an image; by default what timm knows of it, for networks
    that timm does not know 224 px and ImageNet's mean and standard deviation.
    suppress: cue → strengths, of the benchmark `suppressed`. device: by default where the network is; for one given by
    name a GPU, if there is one. max_rejected: the fraction of the images that may be broken.

    `table.attrs` holds the record that scripts/evaluate.py writes: what was shown to what, how images were fitted,
    which were broken. Images are kept in memory, up to 1 GiB, and decoded once for several calls.
    Raises shapebias.errors.UserError, in words, for whatever does not fit.
    """
    from shapebias.evaluation.observer import load_observer, measure, preserve_network, wrap_network
    from shapebias.evaluation.stimuli import open_benchmark
    from shapebias.networks.device import resolve_device
    from shapebias.networks.weights import weights_path
    from shapebias.provenance import provenance

    if benchmark not in KINDS:
        raise UserError(f"unknown benchmark {benchmark!r}; allowed: {', '.join(KINDS)}")
    if suppress and KINDS[benchmark].measures != "reliance":
        raise UserError(f"suppress is for the benchmark 'suppressed', not for {benchmark!r}")
    pictures = open_benchmark(as_paths(images), benchmark)
    if isinstance(network, str):
        file = weights_path(str(weights)) if weights else None
        own = with_categories(classes) if classes else None
        shown = load_observer(
            network, name=observer, weights=file, kwargs=kwargs, classes=own, input_preparation=preparation
        )
        used = resolve_device(device or "auto")
    else:
        if weights or kwargs:
            raise UserError("weights and kwargs are for networks given by name; this one is in memory, with its own")
        own = with_categories(classes) if classes else None
        shown = wrap_network(network, name=observer, classes=own, input_preparation=preparation)
        used = resolve_device(device or place(network))
    with preserve_network(shown.network):
        table, facts = measure(
            shown,
            pictures,
            benchmark,
            batch_size=batch_size,
            workers=workers,
            device=used,
            max_rejected=max_rejected,
            suppress=suppress,
            cache=kept_images(),
        )
    table.attrs.update(shown.facts | provenance(used) | facts)
    return table


def shape_bias(answers: pd.DataFrame | str | Path | Sequence[str | Path]) -> pd.DataFrame:
    """Shape bias with its 95 % interval: one row an observer, as scripts/shape_bias.py writes it.

    answers: what `evaluate` returned, a table of decisions (observer, image, shape, texture, decision), or files:
    predictions (.parquet) or decisions as the model-vs-human toolbox writes them (.csv).
    Columns: observer, conflict_images, shape_hits, texture_hits, shape_bias (NaN without a hit), ci_low, ci_high.
    Raises shapebias.errors.UserError for tables without those columns or without rows, where an observer has no name
    or answers an image twice, and where two tell of one image differently.
    """
    trials = answers if isinstance(answers, pd.DataFrame) else read_observers(as_paths(answers))
    missing = [name for name in NEEDED if name not in trials]
    if missing:
        raise UserError(f"no column {', '.join(missing)} in this table; shape bias needs {', '.join(NEEDED)}")
    if trials.empty:
        raise UserError("no trial in this table; shape bias needs a row for each image and observer")
    trials = trials.reset_index(drop=True)
    if "answerable" not in trials:
        trials = trials.assign(answerable=answerable(trials))
    counts = count_cues(pair_trials(trials))
    rows = zip(counts.names, bias_rows(counts), strict=True)
    return pd.DataFrame([{"observer": name} | row for name, row in rows])


def answerable(trials: pd.DataFrame) -> pd.Series:
    """Whether an observer could have named both cues: predictions hold no probability for what a network cannot."""
    found = pd.Series(True, index=trials.index)
    for cue in ("shape", "texture"):
        for category in trials[cue].dropna().unique():
            if f"p_{category}" in trials:
                found &= (trials[cue] != category) | trials[f"p_{category}"].notna()
    return found


def as_paths(given: str | Path | Sequence[str | Path]) -> list[Path]:
    return [Path(given)] if isinstance(given, (str, Path)) else [Path(path) for path in given]


def with_categories(classes: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Class → category; of names alone, those of ILSVRC and the categories themselves have one."""
    if isinstance(classes, Mapping):
        return dict(classes)
    return {name: category_of(name) or "" for name in classes}


def place(network: nn.Module) -> str:
    """The device that a network is on."""
    tensor = next(network.parameters(), None)
    return "cpu" if tensor is None else str(tensor.device)


@functools.cache
def kept_images() -> ImageCache:
    """The images that all calls of this process share."""
    from shapebias.evaluation.inputs import ImageCache

    return ImageCache()
