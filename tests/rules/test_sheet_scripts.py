"""Sheets through the scripts: a stylized set beside its origins, and what was set aside."""

import numpy as np
import pytest
from helpers import bad_images, colour_shard, files_below, refused, run_script, succeeded
from PIL import Image

from shapebias.images import encode
from shapebias.listings import Listed, listing, write_listing
from shapebias.shards import label, write_shard

RED, BLUE = (200, 40, 40), (40, 40, 200)


@pytest.fixture
def shards(tmp_path):
    """Red cats and blue dogs of 48 pixels; the first cat in the style of the second dog, green, its centre alone."""
    content = colour_shard(tmp_path / "content.tar", 3, size=48)
    told = label("cat-0", class_name="cat", shape="cat", texture="dog", content="cat-0.png", style="dog-1.png")
    told |= {"style_id": "dog-1", "stylizer": "adain", "strength": 1.0}
    green = Image.new("RGB", (32, 32), (40, 200, 40))
    write_shard(tmp_path / "conflict.tar", [(told, *encode(green, "png"))])
    return tmp_path / "conflict.tar", content


def test_a_stylized_image_stands_beside_its_content_and_its_style(shards, tmp_path):
    stylized, content = shards
    flags = ["--shards", stylized, "--content", content, "--styles", content, "--title", "conflict"]
    succeeded(run_script("contact_sheet", *flags, "--columns", 1, "--out", tmp_path / "sheet.png"))
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixels = np.asarray(sheet.convert("RGB"), int)
    middle = [
        int(np.nonzero((np.abs(pixels - colour).max(axis=2) < 40).any(axis=0))[0].mean())
        for colour in (RED, BLUE, (40, 200, 40))
    ]
    assert middle == sorted(middle)


def test_a_set_that_was_made_of_other_shards_is_named(shards, tmp_path):
    stylized, content = shards
    other = colour_shard(tmp_path / "other.tar", 1)
    flags = ["--shards", stylized, "--content", content, "--styles", other, "--title", "x"]
    refused(run_script("contact_sheet", *flags, "--out", tmp_path / "sheet.png"), "style 'dog-1'", "made from others")


def test_what_was_set_aside_is_shown_with_its_reasons(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, data in bad_images().items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (300, 300), RED).save(folder / "large.png")
    rows = [f"train,{name},for some reason" for name in [*bad_images(), "large.png"]]
    (tmp_path / "rejected.csv").write_text("\n".join(["split,file,reason", *rows]))
    (tmp_path / "none.csv").write_text("split,file,reason\n")
    # A listing beside the table, as the rules have it: also for a set of which nothing was set aside.
    drawn = Listed("train/cat/0", "", "cat", "cat", "train")
    write_listing(tmp_path / "listing.parquet", listing([drawn], {"train": 1}, 0))
    sets = [f"in={tmp_path / 'rejected.csv'}={folder}", f"drawn={tmp_path / 'none.csv'}="]
    succeeded(run_script("rejected_sheet", "--sets", *sets, "--out", tmp_path / "sheet.png"))
    with Image.open(tmp_path / "sheet.png") as sheet:
        colours = [colour for _, colour in sheet.convert("RGB").getcolors(maxcolors=2**20) or []]
    assert RED in colours and (225, 225, 225) in colours  # what can be seen, and grey where nothing can
    succeeded(run_script("rejected_sheet", "--sets", sets[1], "--out", tmp_path / "empty.png"))
    assert files_below(tmp_path).count("empty.png") == 1
