"""Contact sheets of sets of images: a sample, spread evenly over classes, with what each image is."""

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
    """Return a sheet of `count` images of the shards of one set; which ones depends on the seed.

    content, styles: the shards that a stylized set was made of; each image then stands beside its content and style.
    Raises UserError where an image was made of others.
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


def find_samples(shards: Iterable[Path], ids: set[str], what: str) -> dict[str, Sample]:
    """The samples of these ids; shards are gone through one by one, since a set of styles may hold very many.

    Raises UserError if one is in none of the shards.
    """
    samples: dict[str, Sample] = {}
    for path in expand(shards):
        if len(samples) == len(ids):
            break
        samples |= {sample.id: sample for sample in Shard(path) if sample.id in ids}
    missing = sorted(ids - samples.keys())
    if missing:
        raise UserError(f"{what} {missing[0]!r} is in none of the shards given; the set was made from others")
    return samples


def comparison_cells(sample: Sample, content: Sample, styles: dict[str, Sample]) -> list[Cell]:
    """Content, style and result; the content is cropped as the result was, so that the two can be compared."""
    result, original = sample.image(), content.image()
    if min(original.size) > max(result.size):
        original = centre_crop(original, result.width)
    style, told = styles[sample.label["style_id"]], sample.label
    strength = "" if told["strength"] == 1 else f", strength {told['strength']:g}"
    return [
        (original, [f"shape: {told['shape'] or told['class'] or told['id']}"]),
        (style.image(), [f"texture: {told['texture']}" if told["texture"] else Path(told["style"]).stem]),
        (result, [f"{told['stylizer']}{strength}"]),
    ]


def sample_evenly(samples: Sequence[Sample], count: int, seed: int) -> list[Sample]:
    """`count` samples, evenly over classes; where classes are too many, evenly over categories first.

    Which ones is a pure function of the seed and the ids. They come ordered by category, class and id.
    """
    classes: dict[tuple[str, str], list[Sample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: draw_key(seed, "sheet", sample.id)):
        classes[str(sample.label.get("shape")), str(sample.label.get("class"))].append(sample)
    turn: dict[tuple[str, str], int] = {}  # the first class of each category comes before the second of any
    seen: dict[str, int] = defaultdict(int)
    for key in sorted(classes, key=lambda key: draw_key(seed, "sheet", key[1])):
        turn[key] = seen[key[0]]
        seen[key[0]] += 1
    ranked = [(i, turn[key], key, sample) for key, members in classes.items() for i, sample in enumerate(members)]
    ranked.sort(key=lambda item: item[:3])
    chosen = [item[3] for item in ranked[:count]]
    return sorted(
        chosen, key=lambda sample: (str(sample.label.get("shape")), str(sample.label.get("class")), sample.id)
    )


def caption_lines(label: dict[str, Any]) -> list[str]:
    """Class and category of a photograph; shape and texture, or the painting, of a stylized image."""
    category, name = label.get("shape"), label.get("class")
    if label.get("style") is None:
        return [str(text) for text in dict.fromkeys((category, name)) if text]
    if label.get("texture") is None:
        return [f"shape: {category or name}", f"style: {Path(label['style']).stem}"]
    return [f"shape: {category}", f"texture: {label['texture']}"]
