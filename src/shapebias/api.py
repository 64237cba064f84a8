"""The functions for a notebook: stylize photographs, evaluate a network, measure its shape bias, plot it, report it."""

from __future__ import annotations

import functools
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from shapebias.categories import CATEGORIES, category_of
from shapebias.errors import UserError
from shapebias.evaluation.benchmarks import KINDS
from shapebias.evaluation.cue_suppression import Strengths
from shapebias.evaluation.decisions import read_observers
from shapebias.evaluation.stimulus_names import stimulus_name
from shapebias.extras import explain_missing_packages
from shapebias.files import atomic_write
from shapebias.metrics.panel import pair_trials
from shapebias.metrics.shape_bias import CueCounts, bias_rows, count_cues
from shapebias.tables.columns import PEOPLE

if TYPE_CHECKING:  # torch takes seconds to import, and counting decisions does not need it
    from matplotlib.figure import Figure
    from PIL import Image
    from torch import nn

    from shapebias.evaluation.inputs import ImageCache
    from shapebias.images.shards import Label
    from shapebias.networks.models import Preparation

log = logging.getLogger(__name__)

REQUIRED_COLUMNS = ["observer", "image", "shape", "texture", "decision"]


@explain_missing_packages()
def evaluate(
    network: str | Callable[..., Any],
    images: str | Path | Sequence[str | Path],
    *,
    benchmark: str = "cue_conflict",
    observer: str | None = None,
    weights: str | Path | None = None,
    kwargs: dict[str, Any] | None = None,
    classes: Sequence[str] | Mapping[str, str] | None = None,
    preparation: Preparation | None = None,
    read_out: str | None = None,
    fit_on: str | Path | None = None,
    labels: str | Path | None = None,
    suppress: Strengths | None = None,
    batch_size: int = 8,
    workers: int = 2,
    device: str | None = None,
    max_rejected: float = 0.0,
) -> pd.DataFrame:
    """Classify images with a network; return one row per image (and condition): label, decision, probabilities.

    network: a name in timm, `torchvision/<name>` for torchvision, `hf-hub:<owner>/<name>` for timm's networks on the
    Hugging Face hub, or a network in memory, which stays unchanged: a torch network, an ONNX Runtime session, or any
    function that maps images (float32 [B, 3, size, size], prepared) to logits [B, classes], as a torch tensor, an array
    that numpy can read, or an object with such `logits`.
    images: a folder, an archive (.zip, .tar, .tar.gz) or a shard, or a list of these.
    benchmark: a key of shapebias.evaluation.benchmarks.KINDS; it decides how images are labelled and prepared.
    observer: the network's name in the table.
    weights: a weights file for a network given by name; without it, the published weights are downloaded.
    kwargs: further arguments for building a network given by name.
    classes: the names of the network's outputs in order, or a mapping name → category (airplane … truck, "" for
    none); by default ILSVRC's 1,000 classes.
    preparation: the network's input size, scaling and normalization; by default timm's settings for this network. A
    torch network unknown to timm gets 224 px and ImageNet's mean and standard deviation. A function and a network of
    transformers need it.
    read_out: for a network without a classifier, what reads its features: prototypes, neighbours or linear
    (shapebias.networks.heads). fit_on: a folder <category>/image of photographs to fit it on, none of them in `images`.
    A network that is neither of timm nor of torchvision must return its features [B, D].
    labels: for benchmarks with labels of their own (configural_shape, refined_bias, laion_c): a CSV file class,label
    with classes of the network; by default the published labels of ILSVRC's classes.
    suppress: cue → strengths, for the benchmark `suppressed`; see shapebias.evaluation.cue_suppression.
    device: by default the device that the network is on. A network given by name uses a GPU if there is one.
    max_rejected: the largest allowed fraction of broken images.

    `table.attrs` holds the record that scripts/evaluate.py writes: the network, the images, their fit to the
    network's input, and the broken images. Decoded images stay in memory, up to 1 GiB, and serve later calls.
    Raises shapebias.errors.UserError with an explanation if the input is invalid.
    """
    from shapebias.evaluation.fitted_read_out import fit_read_out
    from shapebias.evaluation.observer import load_observer, measure, preserve_network, wrap_network
    from shapebias.evaluation.stimuli import open_benchmark
    from shapebias.networks.device import device_name, resolve_device
    from shapebias.networks.weights import weights_path
    from shapebias.provenance import provenance

    if benchmark not in KINDS:
        raise UserError(f"unknown benchmark {benchmark!r}; allowed: {', '.join(KINDS)}")
    if suppress and KINDS[benchmark].measures != "reliance":
        raise UserError(f"suppress applies only to the benchmark 'suppressed', not to {benchmark!r}")
    if labels and KINDS[benchmark].rule is None:
        raise UserError(f"labels apply only to benchmarks with labels of their own, not to {benchmark!r}")
    if (read_out is None) != (fit_on is None):
        raise UserError("give both read_out and fit_on, the folder of photographs to fit it on, or neither")
    if read_out and classes:
        raise UserError("classes name the outputs of a classifier; a read_out knows the categories of its photographs")
    if labels is not None and not isinstance(labels, str | Path):
        raise UserError(f"labels is a {type(labels).__name__}; give the path of a CSV file class,label")
    require_settings(batch_size, workers, max_rejected)
    stimuli = open_benchmark(to_paths(images), benchmark)
    naming: dict[str, Any] = {"name": observer, "classes": class_categories(classes) if classes else None}
    naming |= {"input_preparation": preparation, "headless": read_out is not None}
    if isinstance(network, str):
        file = weights_path(str(weights)) if weights else None
        loaded = load_observer(network, weights=file, kwargs=kwargs, **naming)
        used_device = resolve_device(device or "auto")
    else:
        if weights or kwargs:
            raise UserError("weights and kwargs need a network given by name; this network is already in memory")
        loaded = wrap_network(network, **naming)
        used_device = resolve_device(device or network_device(loaded.network))
    settings: dict[str, Any] = {"batch_size": batch_size, "workers": workers, "device": used_device}
    settings["max_rejected"] = max_rejected
    chosen: dict[str, Any] = {"suppress": suppress} | ({"labels": Path(labels)} if labels else {})
    with preserve_network(loaded.network):
        if read_out and fit_on:
            loaded = fit_read_out(loaded, read_out, Path(fit_on), **settings)
        table, facts = measure(loaded, stimuli, benchmark, cache=shared_image_cache(), **chosen, **settings)
    table.attrs.update(loaded.facts | provenance(used_device, device_name(used_device)) | facts)
    return table


def require_settings(batch_size: int, workers: int, max_rejected: float) -> None:
    """Raise UserError for settings with which no image would be shown, or no number of broken images be too large."""
    if not isinstance(batch_size, int) or batch_size < 1:
        raise UserError(f"batch_size is {batch_size!r}; it must be a whole number from 1")
    if not isinstance(workers, int) or workers < 0:
        raise UserError(f"workers is {workers!r}; it must be a whole number from 0")
    if not 0 <= max_rejected <= 1:
        raise UserError(f"max_rejected is {max_rejected!r}; it must be a fraction from 0 to 1")


def shape_bias(answers: pd.DataFrame | str | Path | Sequence[str | Path]) -> pd.DataFrame:
    """Return shape bias with its 95 % interval: one row per observer, as scripts/shape_bias.py writes it.

    answers: a table from `evaluate`, any table of decisions (observer, image, shape, texture, decision), or files:
    predictions (.parquet) or decisions of the model-vs-human toolbox (.csv).
    Columns: observer, conflict_images, shape_hits, texture_hits, shape_bias (NaN without a hit), ci_low, ci_high.
    Raises shapebias.errors.UserError if a column is missing, if there are no rows, if an observer has no name or
    answers an image twice, or if two observers' tables label one image differently.
    """
    counts = count_answers(answers)
    rows = zip(counts.names, bias_rows(counts), strict=True)
    return WideTable([{"observer": name} | row for name, row in rows])


def count_answers(answers: pd.DataFrame | str | Path | Sequence[str | Path]) -> CueCounts:
    """Return the cues that each observer named; `shape_bias` describes the answers and the errors."""
    trials = answers if isinstance(answers, pd.DataFrame) else read_observers(to_paths(answers))
    missing = [name for name in REQUIRED_COLUMNS if name not in trials]
    if missing:
        raise UserError(f"no column {', '.join(missing)} in this table; shape bias needs {', '.join(REQUIRED_COLUMNS)}")
    if trials.empty:
        raise UserError("this table has no trials; shape bias needs a row for each image and observer")
    trials = trials.reset_index(drop=True).assign(image=trials["image"].map(stimulus_name).to_numpy())
    if "answerable" not in trials:
        trials = trials.assign(answerable=answerable_trials(trials))
    counts = count_cues(pair_trials(trials))
    for name, images in zip(counts.names, counts.trials.sum(axis=1), strict=True):
        if not images:
            log.warning("%s: no image shows two different cues that it can name, so its bias is undefined (NaN)", name)
    return counts


def plot_shape_bias(
    answers: pd.DataFrame | str | Path | Sequence[str | Path], *, title: str = "conflict images"
) -> Figure:
    """Plot the shape bias in each category of the shape, with 95 % intervals: one colour per observer.

    answers: as for `shape_bias`, which also describes the errors; concatenate the tables of several networks.
    Observers with names subject-… are drawn as people, pooled. title: name of the images, for the figure's title.
    The result has a method `savefig` and is shown by a notebook.
    """
    from shapebias.figures.category_bias import shape_bias_by_category

    counts = count_answers(answers)
    parts = [pd.DataFrame(bias_rows(counts.select_shape(category))) for category in CATEGORIES]
    table = pd.concat(
        [part.assign(observer=counts.names, category=name) for name, part in zip(CATEGORIES, parts, strict=True)]
    )
    people = table["observer"].str.startswith("subject-")
    table = table.assign(benchmark=title, model=table["observer"].mask(people, PEOPLE), regime=None, seed=None)
    return shape_bias_by_category(table, benchmark=title)


@explain_missing_packages()
def stylize_photographs(
    photographs: str | Path | Sequence[str | Path],
    styles: str | Path | Sequence[str | Path],
    *,
    size: int,
    crop: int | None = None,
    stylizer: str = "ghiasi",
    weights: str | Path | None = None,
    settings: Mapping[str, Any] | None = None,
    strength: float = 1.0,
    other_category: bool = False,
    seed: int = 0,
    device: str | None = None,
) -> Iterator[tuple[Label, Image.Image]]:
    """Yield each photograph in the style of another image, with a label that names both.

    photographs, styles: folders of images, or shards. size: shorter side in pixels to which photographs are scaled.
    crop: side in pixels of the central square that is stylized; None stylizes the full image.
    stylizer: ghiasi; adain, which needs `weights`, the folder of its encoder and decoder; or gatys, which needs
    `weights`, the file of its network's weights. settings: those of gatys that differ from its defaults, such as
    {"timm": "torchvision/vgg16", "steps": 100}; see shapebias.stylize.gatys_settings.GatysSettings.
    strength: 0 keeps the photograph's own style, 1 replaces it.
    other_category: whether each style comes from another category than the photograph: a cue conflict.
    seed: decides the style of each photograph, together with the photograph's name.
    Images are the same as those of scripts/stylize.py. Raises shapebias.errors.UserError if the input is invalid.
    """
    from shapebias.images.pictures import decode_pictures, open_pictures
    from shapebias.images.rejections import Rejections
    from shapebias.stylize.pipeline import ContentGeometry, StylePictures, StyleSampler, stylize_images
    from shapebias.stylize.stylizers import make_stylizer

    network = make_stylizer(stylizer, Path(weights) if weights else None, device or "auto", settings=settings)
    sampler = StyleSampler(
        StylePictures(open_pictures(to_paths(styles)), network, Rejections(1.0)), seed, other_category
    )
    contents = decode_pictures(open_pictures(to_paths(photographs)), Rejections(0.0), 0)
    return stylize_images(contents, network, sampler, ContentGeometry(size, crop), strength=strength)


def write_report(
    answers: str | Path, out: str | Path, *, title: str = "Shape or texture?", people: str | Path | None = None
) -> None:
    """Write a report of all answers in a folder: one HTML file. Tables and figures go into folders beside it.

    answers: a folder of predictions (.parquet) and decisions (.csv); a subfolder holds the answers to one benchmark.
    people: a CSV of people's hits on the published stimuli (category, shape_hits, texture_hits).
    Raises shapebias.errors.UserError if a file is not readable or nothing can be measured.
    """
    from shapebias.report.files import ReportExtras, folders_beside, render_predictions

    target = Path(out)
    extras = ReportExtras(Path(people) if people else None)
    page = render_predictions(title, Path(answers), *folders_beside(target), extras)
    with atomic_write(target) as draft:
        draft.write_text(page, encoding="utf-8")


class WideTable(pd.DataFrame):
    """A table that prints all of its columns, where pandas would leave some out."""

    def __repr__(self) -> str:
        return self.to_string(index=False)


def answerable_trials(trials: pd.DataFrame) -> pd.Series:
    """Return whether each trial's observer can name both cues: a missing probability marks an unknown category."""
    answerable = pd.Series(True, index=trials.index)
    for cue in ("shape", "texture"):
        for category in trials[cue].dropna().unique():
            if f"p_{category}" in trials:
                answerable &= (trials[cue] != category) | trials[f"p_{category}"].notna()
    return answerable


def to_paths(paths: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return one path or several as a list."""
    return [Path(paths)] if isinstance(paths, (str, Path)) else [Path(path) for path in paths]


def class_categories(classes: Sequence[str] | Mapping[str, str]) -> dict[str, str]:
    """Return class → category. In a plain list of names, only ILSVRC classes and category names get a category."""
    if isinstance(classes, Mapping):
        return dict(classes)
    name, count = next(iter(Counter(classes).most_common(1)), ("", 0))
    if count > 1:
        raise UserError(f"class {name!r} is named twice in classes; give each output of the network its own name")
    return {name: category_of(name) or "" for name in classes}


def network_device(network: nn.Module) -> str:
    """Return the device that a network is on; the CPU for a function."""
    tensor = next(network.parameters(), None)
    return "cpu" if tensor is None else str(tensor.device)


@functools.cache
def shared_image_cache() -> ImageCache:
    """Return the image cache that all calls in this process share."""
    from shapebias.evaluation.inputs import ImageCache

    return ImageCache()
