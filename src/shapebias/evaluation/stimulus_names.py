"""Parse the file names of published stimuli: cues, condition, and an image name that is the same for all observers."""

import functools
import re
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from shapebias.categories import CATEGORIES, category_of
from shapebias.errors import UserError
from shapebias.images.codec import IMAGE_SUFFIXES
from shapebias.images.shards import Label, label

# cat3-bird1.png, also with the prefix of model-vs-human: 0001_s5n_dnn_0_cat_00_cat3-bird1.png
CUE_CONFLICT_NAME = re.compile(r"(?:.*_)?([a-z]+)\d+-([a-z]+)\d+$")
# oven/oven8.png: the published silhouettes and edges.
OUTLINE_NAME = re.compile(rf"(?:.*/)?({'|'.join(CATEGORIES)})/\1\d+$")
# 0003_hp_s01_0.45_elephant_10_n02504458_582.png: trial, experiment, observer, condition, category, a number, image.
TOOLBOX_NAME = re.compile(r"\d{4,}_[^_]+_[^_]+_(?P<condition>[^_]+)_(?P<category>[^_]+)_[^_]+_(?P<image>.+)")

# 12_cbm_noise0.04_freq3_gray_g_cat.JPEG: number, standard deviation and band of the noise, category. Source:
# ajaysub110/critical-band-masking.
BAND_NOISE_NAME = re.compile(r"\d+_cbm_(?P<noise>noise[^_]+)_(?P<band>freq[^_]+)_gray_g_(?P<category>[^_]+)")


@dataclass(frozen=True)
class ToolboxName:
    """The parts of a file name of the model-vs-human toolbox, as written."""

    condition: str
    category: str
    image: str


def toolbox_name(file: str) -> ToolboxName | None:
    """Parse NNNN_<code>_<observer>_<condition>_<category>_<number>_<image>. Return None for other names.

    Folders and the ending are optional. Trial number and <observer> differ between observers of the same image.
    """
    name = stem(file.rpartition("/")[2])
    match = TOOLBOX_NAME.fullmatch(name)
    return ToolboxName(*match.groups()) if match and not BAND_NOISE_NAME.fullmatch(name) else None


def band_noise_name(file: str) -> tuple[str, str] | None:
    """Return condition and category of a published stimulus with noise of one band. Return None for other names.

    `3/12_cbm_noise0.04_freq3_gray_g_cat.JPEG` → (`noise0.04freq3`, `cat`).
    """
    match = BAND_NOISE_NAME.fullmatch(stem(file.rpartition("/")[2]))
    return (match["noise"] + match["band"], match["category"]) if match else None


def stem(file: str) -> str:
    """Return a path without the ending of an image file. Other dots stay (0.45 is a condition)."""
    name, _, ending = file.rpartition(".")
    return name if f".{ending.lower()}" in IMAGE_SUFFIXES else file


def is_published(image: str) -> bool:
    """Return whether an id, or a path without its ending, is the name of a published stimulus."""
    return bool(CUE_CONFLICT_NAME.match(image.rpartition("/")[2]) or OUTLINE_NAME.match(image))


@functools.cache
def published_conflicts() -> frozenset[str]:
    """Return the names of the 1,280 published cue-conflict stimuli (Geirhos et al. 2019)."""
    text = (resources.files("shapebias") / "resources" / "published_conflicts.txt").read_text(encoding="utf-8")
    return frozenset(text.split())


def stimulus_name(image: str) -> str:
    """Return an image's name, the same for all observers, from its id.

    A published stimulus has one name everywhere, without folder and trial: cat1-bird1, oven8. Other images keep their
    id.
    """
    return image.rpartition("/")[2].rpartition("_")[2] if is_published(image) else image


def trial_name(file: str, parsed: ToolboxName | None, category: str, condition: str) -> str:
    """Return an image's name, the same for all observers, from a file name of the toolbox or of the published stimuli.

    parsed: its parts, as `toolbox_name` returns them.
    The condition ("" for none) is part of the name, 0.45/n02504458_582, because one photograph is shown in several
    conditions. The result equals `stimulus_name` of the image's id.
    Source: model-vs-human, which also pairs images by the part of the name after the trial.
    """
    name = parsed.image if parsed else f"{category}/{stem(file.rpartition('/')[2])}"
    return f"{condition}/{name}" if condition else stimulus_name(name)


def cue_conflict_label(sample_id: str, file: str) -> Label:
    """Return the label of a published stimulus `<shape>/<shape><i>-<texture><j>.png`. The texture is part of the name.

    Raises UserError for other names and for unknown categories. Source: rgeirhos/texture-vs-shape.
    """
    match = CUE_CONFLICT_NAME.match(Path(file).stem)
    cues = match.groups() if match else (None, None)
    categories = [category_of(cue) if cue else None for cue in cues]
    if None in categories or list(cues) != categories:
        raise UserError(
            f"{file}: not named <shape><i>-<texture><j>, e.g. cat1-bird1.png, with two of the 16 categories"
        )
    return label(sample_id, shape=cues[0], texture=cues[1], content=file)
