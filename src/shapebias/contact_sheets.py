"""Contact sheets: many small images with captions on one page."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 16
GAP = 12
FONT_SIZE = 16
TITLE_SIZE = 24
LINE_HEIGHT = 20

Cell = tuple[Image.Image, Sequence[str]]


def cell_size_for(side: int) -> int:
    """Side of a cell in pixels for images of this side: small ones are shown twice as large, at most 224 px."""
    return min(2 * side, 224)


def contact_sheet(cells: Sequence[Cell], *, title: str, columns: int = 8, cell_size: int = 128) -> Image.Image:
    """Lay (image, caption lines) cells out in rows under a title, on white.

    Every image is scaled to fit its square of `cell_size` pixels; a caption that is too wide ends in an ellipsis.
    """
    columns = max(1, min(columns, len(cells)))
    lines = max((len(caption) for _, caption in cells), default=0)
    rows = -(-len(cells) // columns)
    font, title_font = ImageFont.load_default(size=FONT_SIZE), ImageFont.load_default(size=TITLE_SIZE)
    pitch_x, pitch_y = cell_size + GAP, cell_size + 4 + lines * LINE_HEIGHT + GAP
    top = MARGIN + TITLE_SIZE + 16
    width = max(2 * MARGIN + columns * pitch_x - GAP, 2 * MARGIN + int(title_font.getlength(title)) + 1)

    sheet = Image.new("RGB", (width, top + rows * pitch_y + MARGIN - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, MARGIN), title, fill="black", font=title_font)
    for i, (image, caption) in enumerate(cells):
        x, y = MARGIN + i % columns * pitch_x, top + i // columns * pitch_y
        scale = cell_size / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        scaled = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        sheet.paste(scaled, (x + (cell_size - size[0]) // 2, y + (cell_size - size[1]) // 2))
        for j, line in enumerate(caption):
            text = shortened(line, cell_size, font)
            draw.text((x, y + cell_size + 4 + j * LINE_HEIGHT), text, fill=(40, 40, 40), font=font)
    return sheet


def shortened(text: str, width: float, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, or as much of its start as fits `width` pixels with an ellipsis."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
