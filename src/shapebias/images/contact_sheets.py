"""Contact sheets: many small images with captions on one page."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

MARGIN = 16
GAP = 12
FONT_SIZE = 16
TITLE_SIZE = 24
LINE_HEIGHT = 20
GROUP_GAP = 40
MIN_WIDTH = 400

Cell = tuple[Image.Image, Sequence[str]]


def cell_size_for(side: int) -> int:
    """Return the side of a cell in pixels for images of this side: twice the image, at most 224 px."""
    return min(2 * side, 224)


def contact_sheet(
    cells: Sequence[Cell],
    *,
    title: str,
    columns: int = 8,
    cell_size: int = 128,
    group: int = 1,
    headings: Sequence[str] = (),
) -> Image.Image:
    """Lay out (image, caption lines) cells in rows under a title, on white.

    Every image is scaled to fit its square of `cell_size` pixels. A caption wraps to at most two lines and then ends
    in an ellipsis.
    group: number of neighbouring cells that form a group, with space around it. `headings` stand above each group's
    cells, and `columns` counts groups.
    """
    columns = max(1, min(columns, -(-len(cells) // group)))
    font, title_font = ImageFont.load_default(size=FONT_SIZE), ImageFont.load_default(size=TITLE_SIZE)
    wrapped = [[part for text in caption for part in wrap_text(text, cell_size, font)] for _, caption in cells]
    lines = max(map(len, wrapped), default=0)
    rows = -(-len(cells) // (columns * group))
    pitch_x, pitch_y = cell_size + GAP, cell_size + 4 + lines * LINE_HEIGHT + GAP
    group_width = group * pitch_x - GAP + (GROUP_GAP if group > 1 else GAP)
    title_lines = wrap_text(title, max(columns * group_width, MIN_WIDTH), title_font, max_lines=3)
    top = MARGIN + len(title_lines) * (TITLE_SIZE + 8) + 8
    width = 2 * MARGIN + max(columns * group_width, *(int(title_font.getlength(line)) + 1 for line in title_lines))
    heading_height = LINE_HEIGHT + 4 if headings else 0

    sheet = Image.new("RGB", (width, top + heading_height + rows * pitch_y + MARGIN - GAP), "white")
    draw = ImageDraw.Draw(sheet)
    for i, line in enumerate(title_lines):
        draw.text((MARGIN, MARGIN + i * (TITLE_SIZE + 8)), line, fill="black", font=title_font)
    for column in range(columns):
        for i, heading in enumerate(headings):
            draw.text((MARGIN + column * group_width + i * pitch_x, top), heading, fill="black", font=font)
    for i, ((image, _), caption) in enumerate(zip(cells, wrapped, strict=True)):
        row, index_in_row = divmod(i, columns * group)
        column, member = divmod(index_in_row, group)
        x, y = MARGIN + column * group_width + member * pitch_x, top + heading_height + row * pitch_y
        scale = cell_size / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        scaled = image.convert("RGB").resize(size, Image.Resampling.LANCZOS)
        sheet.paste(scaled, (x + (cell_size - size[0]) // 2, y + (cell_size - size[1]) // 2))
        for j, line in enumerate(caption):
            draw.text((x, y + cell_size + 4 + j * LINE_HEIGHT), line, fill=(40, 40, 40), font=font)
    return sheet


Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def wrap_text(text: str, width: float, font: Font, max_lines: int = 2) -> list[str]:
    """Break a text at spaces into at most `max_lines` lines of `width` pixels; too long lines end in an ellipsis."""
    words, lines = text.split(" "), list[str]()
    while words:
        line = words.pop(0)
        while words and font.getlength(f"{line} {words[0]}") <= width:
            line += f" {words.pop(0)}"
        if len(lines) == max_lines - 1 and words:
            line = " ".join([line, *words])
            words = []
        lines.append(ellipsize(line, width, font))
    return lines


def ellipsize(text: str, width: float, font: Font) -> str:
    """Shorten a text to `width` pixels with an ellipsis, if it is longer."""
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(f"{text}…") > width:
        text = text[:-1]
    return f"{text.rstrip()}…"
