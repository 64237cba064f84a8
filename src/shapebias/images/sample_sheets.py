"""Contact sheets of image sets: a captioned sample of images, spread evenly over classes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from shapebias.errors import UserError
from shapebias.images.codec import centre_crop
from shapebias.images.contact_sheets import Cell, cell_size_for, contact_sheet
from shapebias.images.shards import Sample, Shard, expand, open_shards
from shapebias.seeding import draw_key

HEADINGS = ("content", "style", "stylized")


def sample_sheet(
    shards: Sequence[Path],
    *,
    title: str,
    count: int,
    columns: int,
    seed: int = 0,
    content: Sequence[Path] = (),
    styles: Sequence[Path] = (),
) -> Image.Image:
    """Return a contact sheet of `count` images of one set, selected by the seed.

    content, styles: the shards that a stylized set was made from; each image then stands beside its content and style.
    Raises UserError if an image was made from other shards.
    """
    samples = sample_evenly(open_shards(shards), count, seed)
    cells: list[Cell] = [(sample.image(), caption_lines(sample.label)) for sample in samples]
    side = max((max(image.size) for image, _ in cells), default=64)
    if content:
        contents = find_samples(content, {sample.id for sample in samples}, "content")
        sources = find_samples(styles, {sample.label["style_id"] for sample in samples}, "style")
        cells = [cell for sample in samples for cell in comparison_cells(sample, contents[sample.id], sources)]
    return contact_sheet(
        cells,
        title=title,
        columns=columns,
        cell_size=cell_size_for(side),
        group=3 if content else 1,
        headings=HEADINGS if content else (),
    )


def find_samples(shards: Iterable[Path], ids: set[str], role: str) -> dict[str, Sample]:
    """Return the samples with these ids, reading shards one by one, since a set of styles may be very large.

    role: `content` or `style`, for the error. Raises UserError if an id is in none of the shards.
    """
    samples: dict[str, Sample] = {}
    for path in expand(shards):
        if len(samples) == len(ids):
            break
        samples |= {sample.id: sample for sample in Shard(path) if sample.id in ids}
    missing = sorted(ids - samples.keys())
    if missing:
        raise UserError(f"{role} {missing[0]!r} is in none of these shards; the set was made from other shards")
    return samples


def comparison_cells(sample: Sample, content: Sample, styles: dict[str, Sample]) -> list[Cell]:
    """Return the cells of content, style and result; the content is cropped like the result, for comparison."""
    result, original = sample.image(), content.image()
    if min(original.size) > max(result.size):
        original = centre_crop(original, result.width)
    style, label = styles[sample.label["style_id"]], sample.label
    strength = "" if label["strength"] == 1 else f", strength {label['strength']:g}"
    return [
        (original, [f"shape: {label['shape'] or label['class'] or label['id']}"]),
        (style.image(), [f"texture: {label['texture']}" if label["texture"] else Path(label["style"]).stem]),
        (result, [f"{label['stylizer']}{strength}"]),
    ]


def sample_evenly(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """Return `count` samples, evenly over classes; if there are too many classes, evenly over categories first.

    The choice is a pure function of the seed and the ids. The samples are ordered by category, class and id.
    """
    classes: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: draw_key(seed, "sheet", sample.id)):
        classes[str(sample.label.get("shape")), str(sample.label.get("class"))].append(sample)
    turn: dict[tuple[str, str], int] = {}  # the first class of each category comes before any second class
    classes_so_far: dict[str, int] = defaultdict(int)
    for key in sorted(classes, key=lambda key: draw_key(seed, "sheet", key[1])):
        turn[key] = classes_so_far[key[0]]
        classes_so_far[key[0]] += 1
    ranked = [(i, turn[key], key, sample) for key, members in classes.items() for i, sample in enumerate(members)]
    ranked.sort(key=lambda item: item[:3])
    chosen = [item[3] for item in ranked[:count]]
    return sorted(
        chosen, key=lambda sample: (str(sample.label.get("shape")), str(sample.label.get("class")), sample.id)
    )


def caption_lines(label: dict[str, Any]) -> list[str]:
    """Return a caption: class and category of a photograph; shape and texture or style of a stylized image."""
    category, name = label.get("shape"), label.get("class")
    if label.get("style") is None:
        return [str(text) for text in dict.fromkeys((category, name)) if text]
    if label.get("texture") is None:
        return [f"shape: {category or name}", f"style: {Path(label['style']).stem}"]
    return [f"shape: {category}", f"texture: {label['texture']}"]
