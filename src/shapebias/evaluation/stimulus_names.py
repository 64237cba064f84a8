"""What the file names of published stimuli say: cues, condition, and the name that an image has for all observers."""

import re
from dataclasses import dataclass
from pathlib import Path

from shapebias.categories import CATEGORIES, category_of
from shapebias.errors import UserError
from shapebias.images.codec import IMAGE_SUFFIXES
from shapebias.images.shards import Label, label

# cat3-bird1.png, also with what model-vs-human puts before it: 0001_s5n_dnn_0_cat_00_cat3-bird1.png
CUE_CONFLICT_NAME = re.compile(r"(?:.*_)?([a-z]+)\d+-([a-z]+)\d+$")
# oven/oven8.png: the published silhouettes and edges.
OUTLINE_NAME = re.compile(rf"(?:.*/)?({'|'.join(CATEGORIES)})/\1\d+$")
# 0003_hp_s01_0.45_elephant_10_n02504458_582.png: trial, experiment, who saw it, condition, category, a number, image.
TOOLBOX_NAME = re.compile(r"\d{4,}_[^_]+_[^_]+_(?P<condition>[^_]+)_(?P<category>[^_]+)_[^_]+_(?P<image>.+)")


@dataclass(frozen=True)
class ToolboxName:
    """What the name of a file says that the model-vs-human toolbox shows, as it is written there."""

    condition: str
    category: str
    image: str


def toolbox_name(file: str) -> ToolboxName | None:
    """Read NNNN_<code>_<who>_<condition>_<category>_<number>_<image>; None for other names.

    Folders and ending may be there or not. Trial number and <who> differ between observers who saw the same image.
    """
    match = TOOLBOX_NAME.fullmatch(stem(file.rpartition("/")[2]))
    return ToolboxName(**match.groupdict()) if match else None


def stem(file: str) -> str:
    """A path without the ending of an image file; other dots stay (0.45 is a condition)."""
    name, _, ending = file.rpartition(".")
    return name if f".{ending.lower()}" in IMAGE_SUFFIXES else file


def is_published(image: str) -> bool:
    """Whether an id, or a path without its ending, is called as published stimuli are."""
    return bool(CUE_CONFLICT_NAME.match(image.rpartition("/")[2]) or OUTLINE_NAME.match(image))


def stimulus_name(image: str) -> str:
    """The name that an image has for all observers, from its id.

    A published stimulus is called alike everywhere, without folder and trial: cat1-bird1, oven8. Others keep their id.
    """
    return image.rpartition("/")[2].rpartition("_")[2] if is_published(image) else image


def trial_name(file: str, category: str, condition: str) -> str:
    """The name that an image has for all observers, from a file name of the toolbox or of the published stimuli.

    One photograph is shown in several conditions: the condition ("" for none) is part of the name, 0.45/n02504458_582.
    The same as `stimulus_name` of the image's id. Source: model-vs-human, which also pairs by what follows the trial.
    """
    parsed = toolbox_name(file)
    name = parsed.image if parsed else f"{category}/{stem(file.rpartition('/')[2])}"
    return f"{condition}/{name}" if condition else stimulus_name(name)


def cue_conflict_label(sample_id: str, file: str) -> Label:
    """The label of a published stimulus, `<shape>/<shape><i>-<texture><j>.png`: texture comes from the name.

    Raises UserError for other names or unknown categories. Source: rgeirhos/texture-vs-shape.
    """
    match = CUE_CONFLICT_NAME.match(Path(file).stem)
    cues = match.groups() if match else (None, None)
    categories = [category_of(cue) if cue else None for cue in cues]
    if None in categories or list(cues) != categories:
        raise UserError(
            f"{file}: not named <shape><i>-<texture><j>, e.g. cat1-bird1.png, with two of the 16 categories"
        )
    return label(sample_id, shape=cues[0], texture=cues[1], content=file)
