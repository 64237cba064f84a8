"""The sheet of rejected images, through the script."""

from helpers import bad_images, run_script, succeeded
from PIL import Image

from shapebias.images.listing import ListedImage, build_listing, write_listing

RED = (200, 40, 40)


def test_rejected_images_are_shown_with_reasons(tmp_path):
    folder = tmp_path / "photographs"
    folder.mkdir()
    for name, data in bad_images().items():
        (folder / name).write_bytes(data)
    Image.new("RGB", (300, 300), RED).save(folder / "large.png")
    rows = [f"train,{name},for some reason" for name in [*bad_images(), "large.png"]]
    (tmp_path / "rejected.csv").write_text("\n".join(["split,file,reason", *rows, ""]))
    (tmp_path / "none.csv").write_text("split,file,reason\n")
    # As in the workflow, a listing lies beside each table, even if no image of the set was rejected.
    drawn = ListedImage("train/cat/0", "", "cat", "cat", "train")
    write_listing(tmp_path / "listing.parquet", build_listing([drawn], {"train": 1}, 0))
    sets = [f"in={tmp_path / 'rejected.csv'}={folder}", f"drawn={tmp_path / 'none.csv'}="]
    succeeded(run_script("rejected_sheet", "--sets", *sets, "--out", tmp_path / "sheet"))
    with Image.open(tmp_path / "sheet" / "rejected.png") as sheet:
        colours = [colour for _, colour in sheet.convert("RGB").getcolors(maxcolors=2**20) or []]
    assert RED in colours and (225, 225, 225) in colours  # the readable image, and grey for the unreadable one
    succeeded(run_script("rejected_sheet", "--sets", sets[1], "--out", tmp_path / "empty"))
    assert list((tmp_path / "empty").iterdir()) == []


def test_rejected_images_without_a_folder_are_grey(tmp_path):
    (tmp_path / "rejected.csv").write_text("split,file,reason\ntrain,train/cat/0,for some reason\n")
    succeeded(run_script("rejected_sheet", "--sets", f"drawn={tmp_path / 'rejected.csv'}", "--out", tmp_path))
    with Image.open(tmp_path / "rejected.png") as sheet:
        colours = [colour for _, colour in sheet.convert("RGB").getcolors(maxcolors=2**20) or []]
    assert (225, 225, 225) in colours
