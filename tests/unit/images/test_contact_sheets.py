"""Contact sheets: the positions of images and the wrapping of captions."""

import numpy as np
from PIL import Image, ImageFont

from shapebias.images.contact_sheets import GAP, GROUP_GAP, LINE_HEIGHT, MARGIN, contact_sheet, wrap_text

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def plain(colour: tuple[int, int, int], side: int = 20) -> Image.Image:
    return Image.new("RGB", (side, side), colour)


def columns_of(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[int, int]:
    """Return the first and the last pixel column that contain a colour."""
    columns = np.nonzero((np.asarray(sheet) == colour).all(axis=2).any(axis=0))[0]
    return int(columns.min()), int(columns.max())


def test_content_style_and_result_stand_side_by_side_under_headings():
    cells = [(plain(RED), ["shape: cat"]), (plain(BLUE), ["texture: dog"]), (plain(GREEN), ["adain"])]
    headings = ("content", "style", "stylized")
    sheet = contact_sheet(cells * 2, title="a set", columns=2, cell_size=64, group=3, headings=headings)
    places = [columns_of(sheet.crop((0, 0, MARGIN + 3 * (64 + GAP), sheet.height)), c) for c in (RED, BLUE, GREEN)]
    assert places == [(MARGIN + k * (64 + GAP), MARGIN + k * (64 + GAP) + 63) for k in range(3)]
    # The second group begins after a wider gap.
    right = columns_of(sheet, RED)[1] - 63
    assert right == MARGIN + 3 * (64 + GAP) - GAP + GROUP_GAP
    above = np.asarray(sheet)[: np.nonzero((np.asarray(sheet) == RED).all(axis=2))[0].min()]
    assert (above[-LINE_HEIGHT:] < 128).any()  # the headings


def test_a_long_caption_wraps_at_a_space_before_it_is_shortened():
    font = ImageFont.load_default(size=16)
    assert wrap_text("not an image in a known format", 150, font) == ["not an image in a", "known format"]
    lines = wrap_text("damaged image: broken data stream when reading image file", 150, font)
    assert len(lines) == 2 and lines[1].endswith("…")
    assert all(font.getlength(line) <= 150 for line in lines)


def test_an_empty_sheet_still_has_its_title():
    sheet = contact_sheet([], title="No image of 3 sets was set aside")
    assert (np.asarray(sheet) < 128).any()
