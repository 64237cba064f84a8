"""Save figures as PNG, SVG and PDF: the same figure gives the same bytes, and is printed at its size."""

import logging
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from PIL import Image

from shapebias.figures.style import TEXT_SHAPES
from shapebias.files import atomic_write

FORMATS = ("png", "svg", "pdf")
PNG_COLORS = 64
VECTOR_DPI = 200  # resolution of photographs inside SVG and PDF files
# Text is outlines in an SVG file, which then needs no installed font, and TrueType in a PDF file, as journals ask.
SETTINGS: Any = {"svg.hashsalt": "shapebias", "svg.fonttype": "path", "pdf.fonttype": 42, **TEXT_SHAPES}

logging.getLogger("fontTools").setLevel(logging.WARNING)  # it reports each table of the font of a PDF file


def save_figure(figure: Figure, stem: Path, dpi: int = 300) -> None:
    """Write `<stem>.png`, `<stem>.svg` and `<stem>.pdf`; dpi: resolution of the PNG file."""
    with mpl.rc_context(SETTINGS):
        # Lay out once for all files. Figure.savefig would lay out and draw each file twice.
        engine = figure.get_layout_engine()
        if figure.axes and engine is not None:
            engine.execute(figure)
            engine.execute(figure)  # again, because square axes have their final size only now
        figure.set_layout_engine("none")
        figure.set_facecolor("white")
        with atomic_write(stem.with_name(f"{stem.name}.png")) as draft:
            figure.set_dpi(dpi)
            image = render_image(figure)
            image.save(draft, format="PNG", dpi=(dpi, dpi), optimize=True)
        figure.set_dpi(VECTOR_DPI)
        with atomic_write(stem.with_name(f"{stem.name}.svg")) as draft:
            FigureCanvasSVG(figure).print_svg(draft, metadata=dict.fromkeys(["Date", "Creator", "Format", "Type"]))
        with atomic_write(stem.with_name(f"{stem.name}.pdf")) as draft:
            metadata = dict.fromkeys(["CreationDate", "ModDate", "Creator", "Producer"])
            FigureCanvasPdf(figure).print_pdf(draft, metadata=metadata)


def remove_figure(stem: Path) -> None:
    """Remove a figure that was written earlier, if there is one."""
    for ending in FORMATS:
        stem.with_name(f"{stem.name}.{ending}").unlink(missing_ok=True)


def render_image(figure: Figure) -> Image.Image:
    """Return the figure as an image of few colours, at a third of the size, unless it shows photographs."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    image = Image.fromarray(np.ascontiguousarray(pixels))
    dimensions = {np.ndim(np.asarray(artist.get_array())) for axes in figure.axes for artist in axes.images}
    if 3 in dimensions:  # a photograph; a matrix has two dimensions
        return image
    return reduce_colors(image)


def reduce_colors(image: Image.Image) -> Image.Image:
    """Return an image with a palette: its most frequent colours unchanged, and others that are spread over the rest.

    Pillow alone shifts the colour of large areas or loses the colours of small markers.
    """
    red, green, blue = (np.asarray(channel, np.int32) for channel in image.split())
    pixels = red << 16 | green << 8 | blue
    codes, counts = np.unique(pixels, return_counts=True)
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], axis=1)
    spread = image.quantize(PNG_COLORS // 2, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
    palette = np.concatenate(
        [colors[np.argsort(-counts, kind="stable")[: PNG_COLORS // 2]], np.array(spread).reshape(-1, 3)]
    )
    # Squared distances, without the squared norm of the colour, which is the same for the whole palette.
    distances = (palette**2).sum(axis=1) - 2 * colors @ palette.T
    indices = distances.argmin(axis=1).astype(np.uint8)
    # Row by row: the place of each pixel's colour takes eight bytes.
    reduced = Image.fromarray(np.stack([indices[np.searchsorted(codes, row)] for row in pixels]), mode="P")
    reduced.putpalette(palette.astype(np.uint8).tobytes())
    return reduced
