"""Abstract paintings in a dozen genres: the styles for style transfer.

A style replaces an object's texture only where the style itself has texture. Every genre therefore covers the
entire canvas with strong local structure.
"""

import colorsys
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageDraw

from shapebias.synthetic.noise import UNITS, clouds, edge, lattice, mix, ramp, random_per_tile, voronoi_cells, wave

SUPERSAMPLING = 2  # strokes are drawn this much larger, then averaged down
HUE_SCHEMES = (
    (0, 0.04, -0.05, 0.09),  # analogous
    (0, 0.5, 0.06, 0.45),  # complementary
    (0, 0.33, 0.66, 0.03),  # triad
    (0, 0.25, 0.5, 0.75),  # tetrad
    (0, 0.42, 0.58, 0.02),  # split complement
)
# The painter's wheel: red, orange, yellow, green, blue and violet get equal shares, as HSV hues.
PAINTERS_WHEEL = (0.0, 0.075, 0.15, 0.33, 0.6, 0.76, 1.0)


def painting(rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """Return a painting of a random genre: uint8 [size, size, 3], RGB."""
    genre = GENRES[rng.integers(len(GENRES))]
    return paint(genre, rng, size)


def paint(genre: str, rng: np.random.Generator, size: int = 256) -> np.ndarray:
    """Return a painting of the named genre, one of GENRES: uint8 [size, size, 3], RGB."""
    return np.round(np.clip(PAINTERS[genre](rng, size), 0, 1) * 255).astype(np.uint8)


def _paint_colours(rng: np.random.Generator, count: int = 6) -> np.ndarray:
    """Return colours [count, 3] of one hue scheme, from dark to light."""
    base, scheme = rng.random(), HUE_SCHEMES[rng.integers(len(HUE_SCHEMES))]
    vivid = rng.uniform(0.35, 1)
    hues = base + rng.choice(scheme, count) + rng.normal(0, 0.02, count)
    hues = np.interp(hues % 1, np.linspace(0, 1, len(PAINTERS_WHEEL)), PAINTERS_WHEEL)
    values = np.linspace(rng.uniform(0.08, 0.3), 1, count)
    chromas = np.clip(vivid * rng.uniform(0.5, 1.2, count), 0, 1)
    chromas[-1] *= rng.uniform(0.2, 1)  # usually nearly white
    rgb = [colorsys.hsv_to_rgb(hue, chroma, value) for hue, chroma, value in zip(hues, chromas, values, strict=True)]
    return np.array(rgb, dtype=np.float32)


def _shuffle_colours(rng: np.random.Generator, colours: np.ndarray) -> np.ndarray:
    """Return the colours in random order, so that neighbours on a ramp contrast."""
    return colours[rng.permutation(len(colours))]


def _palette_positions(rng: np.random.Generator, size: int, grain: float = 7) -> np.ndarray:
    """Return each pixel's position on the palette: [size, size] in (0, 1)."""
    return 0.5 + 0.5 * np.tanh(0.8 * clouds(rng, size, grain))


def _flow(rng: np.random.Generator, size: int, grain: float) -> np.ndarray:
    """Return the directions (radians) of a swirling flow, along the contours of smooth hills."""
    down, right = np.gradient(clouds(rng, size, grain))
    return np.arctan2(-right, down)


def _paths(rng: np.random.Generator, flow: np.ndarray, count: int, length: float, steps: int) -> np.ndarray:
    """Trace `count` strokes of `length` (units) along the flow: pixel positions (x, y) [count, steps + 1, 2]."""
    size = flow.shape[0]
    position = rng.uniform(-0.05, 1.05, (count, 2)) * size
    reach = length * size / UNITS / steps * rng.uniform(0.6, 1.4, count)
    path = [position]
    for _ in range(steps):
        column, row = np.clip(position, 0, size - 1).astype(int).T
        angle = flow[row, column]
        position = position + np.stack([np.cos(angle), np.sin(angle)], axis=1) * reach[:, None]
        path.append(position)
    return np.stack(path, axis=1)


def _read_at_starts(field: np.ndarray, path: np.ndarray) -> np.ndarray:
    """Read a field [size, size, ...] at the first position of each path."""
    column, row = np.clip(path[:, 0], 0, field.shape[0] - 1).astype(int).T
    return field[row, column]


def _pick_colours(rng: np.random.Generator, colours: np.ndarray, place: np.ndarray, spread: float = 0.12) -> np.ndarray:
    """Return one unmixed palette colour for each position in [0, 1], randomly shifted by up to about `spread`."""
    scattered = place + rng.normal(0, spread, place.shape)
    index = np.clip(scattered * len(colours), 0, len(colours) - 1).astype(int)
    return np.clip(colours[index] + rng.normal(0, 0.03, (len(index), 3)), 0, 1)


def _lines(canvas: np.ndarray, paths: np.ndarray, colours: np.ndarray, widths: np.ndarray) -> np.ndarray:
    """Draw lines over the canvas, in order.

    paths: [n, points, 2] in pixels; colours: [n, 3]; widths: [n] in units.
    """
    size = canvas.shape[0]
    image = _image(canvas).resize((size * SUPERSAMPLING,) * 2, Image.Resampling.NEAREST)
    draw = ImageDraw.Draw(image)
    fills = (np.clip(colours, 0, 1) * 255).astype(int).tolist()
    points = (paths * SUPERSAMPLING).reshape(len(paths), -1).tolist()
    pixels = np.maximum(1, widths * (SUPERSAMPLING * size / UNITS)).round().astype(int).tolist()
    for line, fill, width in zip(points, fills, pixels, strict=True):
        draw.line(line, fill=tuple(fill), width=width)
    return np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32) / 255


def _image(canvas: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(canvas, 0, 1) * 255).astype(np.uint8))


def _bristles(
    rng: np.random.Generator, paths: np.ndarray, colours: np.ndarray, width: float, size: int, count: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split each stroke into `count` parallel hairs of uneven lightness, as arguments of `_lines`."""
    along = np.gradient(paths, axis=1)
    across = np.stack([-along[..., 1], along[..., 0]], axis=-1)
    across /= np.maximum(np.linalg.norm(across, axis=-1, keepdims=True), 1e-6)
    offsets = np.linspace(-0.5, 0.5, count) * width * size / UNITS
    hairs = paths[:, None] + across[:, None] * offsets[None, :, None, None]  # [n, count, points, 2]
    shades = colours[:, None] + rng.normal(0, 0.07, (len(paths), count, 1))
    widths = np.full(len(paths) * count, 1.5 * width / count)
    return hairs.reshape(-1, *paths.shape[1:]), shades.reshape(-1, 3), widths


def _relief(canvas: np.ndarray, strength: float) -> np.ndarray:
    """Light the paint from the upper left, with brightness as thickness."""
    down, right = np.gradient(canvas.mean(axis=2))
    return canvas * (1 + strength * np.clip(down + right, -0.25, 0.25))[..., None]


def impasto(rng: np.random.Generator, size: int) -> np.ndarray:
    """Short, thick strokes of bristly paint, lit from the side."""
    colours, theme, flow = (
        _shuffle_colours(rng, _paint_colours(rng)),
        _palette_positions(rng, size),
        _flow(rng, size, rng.uniform(5, 12)),
    )
    canvas = ramp(colours, theme)
    width = rng.uniform(2, 3.6)
    paths = _paths(rng, flow + rng.normal(0, 0.3), int(1700 / width), 3.2 * width, 2)
    strokes = _bristles(rng, paths, _pick_colours(rng, colours, _read_at_starts(theme, paths)), width, size, 5)
    return _relief(_lines(canvas, *strokes), 2.2)


def swirls(rng: np.random.Generator, size: int) -> np.ndarray:
    """Long narrow strokes that follow whirls, dark and light side by side."""
    colours, theme, flow = _paint_colours(rng), _palette_positions(rng, size, 8), _flow(rng, size, rng.uniform(4, 7))
    canvas = ramp(colours, theme * 0.6)
    width = rng.uniform(0.8, 1.5)
    paths = _paths(rng, flow, int(1700 / width), 11, 7)
    strokes = _bristles(rng, paths, _pick_colours(rng, colours, _read_at_starts(theme, paths), 0.22), width, size, 2)
    return _relief(_lines(canvas, *strokes), 1.2)


def mosaic(rng: np.random.Generator, size: int) -> np.ndarray:
    """Small stone tesserae laid in bending rows with grout between them."""
    colours, theme = _shuffle_colours(rng, _paint_colours(rng)), _palette_positions(rng, size, 6)
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 8) * 2.5, y + clouds(rng, size, 8) * 2.5
    side = rng.uniform(2.6, 4.2)
    near, second, value = voronoi_cells(rng, x / side, y / side, 0.35)
    stones = ramp(colours, 0.55 * theme + 0.45 * value) * (0.8 + 0.35 * ((value * 13) % 1))[..., None]
    grout = _paint_colours(rng)[rng.choice([0, 1, 5])]
    return mix(grout, stones * (1.1 - 0.25 * near)[..., None], edge(second - near, 0.16, 0.16))


def pointillism(rng: np.random.Generator, size: int) -> np.ndarray:
    """Round dots of unmixed paint, layer over layer."""
    colours, theme = _shuffle_colours(rng, _paint_colours(rng, 8)), _palette_positions(rng, size)
    canvas = ramp(colours, theme)
    side = rng.uniform(1.8, 3)
    for zoom in (1.3, 1.0, 0.8):
        x, y = lattice(rng, size, 0.1)
        near, _, value = voronoi_cells(rng, x / (side * zoom), y / (side * zoom), 0.8)
        index = (theme * 4 + value * 3.99).astype(int)  # four neighbouring colours at a time
        canvas = mix(canvas, colours[index], edge(-near, -0.4, 0.15))
    return canvas


def cubist(rng: np.random.Generator, size: int) -> np.ndarray:
    """Straight-edged facets, each shaded across and brushed in its own direction."""
    colours = _shuffle_colours(rng, _paint_colours(rng))
    facet, shade = np.zeros((2, size, size), np.float32)
    outline = np.full((size, size), 9, np.float32)
    for _ in range(int(rng.integers(22, 34))):
        x, _ = lattice(rng, size)
        distance = x - x.ravel()[rng.integers(x.size)]
        side = distance > 0
        # Each line adds its own number on one side, so facets differ in the sum.
        facet += side * np.float32(rng.random())
        shade += np.where(side, distance, 0) * rng.choice([-0.08, 0.08])
        outline = np.minimum(outline, np.abs(distance))
    facet %= 1
    tone = wave(shade + facet)
    first, second = (clouds(rng, size, 0.35, 9, rng.uniform(0, np.pi)) for _ in range(2))
    brush = 0.15 * np.where((facet * 17) % 1 < 0.5, first, second)
    canvas = colours[(facet * len(colours)).astype(int)] * (0.6 + 0.55 * tone + brush)[..., None]
    return canvas * (0.3 + 0.7 * edge(outline, 0.3, 0.4))[..., None]


def ink_wash(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dark ink on pale paper: wet washes with hard rims, dry-brush strokes, a few red ones."""
    paints = _paint_colours(rng)
    ink, paper = paints[0] * 0.5, 0.75 + 0.25 * paints[-1]
    tone = np.zeros((size, size), np.float32)
    for grain in (6.0, 3.5, 2.0):
        wash = clouds(rng, size, grain) + 0.12 * clouds(rng, size, 0.5)
        tone += 0.22 * edge(wash, 0.1, 0.25) + 0.25 * np.exp(-((wash - 0.1) ** 2) / 0.01)
    canvas = mix(paper, ink, np.clip(tone + 0.06 * clouds(rng, size, 0.3), 0, 0.9))
    paths = _paths(rng, _flow(rng, size, 9), 110, 22, 8)
    red = rng.random(len(paths)) < 0.12
    colours = np.where(red[:, None], (0.72, 0.12, 0.08), ink + rng.uniform(0, 0.25, (len(paths), 1)))
    hairs, shades, widths = _bristles(rng, paths, colours, rng.uniform(2, 4), size, 12)
    dry = rng.random(len(hairs)) < 0.55  # the brush is nearly dry: hairs are missing
    return _lines(canvas, hairs[dry], shades[dry], widths[dry] * 0.6)


def woodcut(rng: np.random.Generator, size: int) -> np.ndarray:
    """Fields of parallel cuts, each field with its own direction, in dark ink over colour blocks."""
    paints = _paint_colours(rng)
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 5) * 1.8, y + clouds(rng, size, 5) * 1.8
    side = rng.uniform(9, 15)
    near, second, value = voronoi_cells(rng, x / side, y / side)
    angle = value * 2 * np.pi
    period = rng.uniform(1.5, 2.6)
    cuts = wave((x * np.cos(angle) + y * np.sin(angle)) / period)
    tone = 0.5 + 0.25 * clouds(rng, size, 5) + 0.3 * ((value * 7.7) % 1 - 0.5)
    inked = 1 - edge(cuts + 0.12 * clouds(rng, size, 0.4), 1 - np.clip(tone, 0.12, 0.88), 0.25)
    inked = np.maximum(inked, 1 - edge(second - near, 0.05, 0.05))
    blocks = _shuffle_colours(rng, paints[2:])[(value * 4).astype(int)]
    return mix(blocks, paints[0] * 0.6, inked)


def drips(rng: np.random.Generator, size: int) -> np.ndarray:
    """Looping threads of thrown paint and splatter, many layers deep."""
    colours = _shuffle_colours(rng, _paint_colours(rng))
    canvas = ramp(colours, 0.15 * _palette_positions(rng, size, 2))
    image = _image(canvas).resize((size * SUPERSAMPLING, size * SUPERSAMPLING))
    draw = ImageDraw.Draw(image)
    large = size * SUPERSAMPLING
    for layer in range(70):
        fill = tuple((colours[1 + layer % (len(colours) - 1)] * 255).astype(int).tolist())
        # The curvature changes slowly, so the thread loops.
        turn = np.cumsum(rng.normal(0, 0.18) + rng.normal(0, 0.3, 90))
        step = np.stack([np.cos(turn), np.sin(turn)], axis=1) * large * 0.02
        thread = np.cumsum(step, axis=0) + rng.uniform(0, large, 2)
        width = max(1, round(large * rng.choice([0.005, 0.009, 0.018])))
        draw.line(thread.ravel().tolist(), fill=fill, width=width)
        radii = large * 0.003 * (1 + rng.pareto(2.5, 30)).clip(0, 9)
        for (x, y), radius in zip(rng.uniform(0, large, (30, 2)).tolist(), radii.tolist(), strict=True):
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=fill)
    return _relief(np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32) / 255, 1.2)


def stained_glass(rng: np.random.Generator, size: int) -> np.ndarray:
    """Glowing panes of streaky glass in dark lead."""
    colours = _shuffle_colours(rng, _paint_colours(rng))
    x, y = lattice(rng, size)
    side = rng.uniform(5.5, 9)
    near, second, value = voronoi_cells(rng, x / side, y / side, 0.9)
    streaks = 0.17 * clouds(rng, size, 0.5, 6, rng.uniform(0, np.pi)) + 0.1 * clouds(rng, size, 0.5)
    glass = colours[(value * len(colours)).astype(int)] * (1.25 - 0.6 * near + streaks)[..., None]
    lead = np.float32(0.06) + 0.12 * edge(second - near, 0.02, 0.04)[..., None]
    return lead + (glass - lead) * edge(second - near, 0.17, 0.08)[..., None]


def watercolour(rng: np.random.Generator, size: int) -> np.ndarray:
    """Transparent blooms with dark rims, overlapping on grainy paper."""
    colours = _shuffle_colours(rng, _paint_colours(rng)) * 0.8 + 0.1
    canvas = np.full((size, size, 3), 0.97, np.float32)
    wobble_x, wobble_y = (clouds(rng, size, 2) * 1.1 + clouds(rng, size, 0.6) * 0.3 for _ in range(2))
    for side in (17.0, 10.0, 6.0):
        x, y = lattice(rng, size)
        near, _, value = voronoi_cells(rng, (x + wobble_x) / side, (y + wobble_y) / side)
        inside = 0.3 + 0.35 * value - near
        strength = edge(inside, 0.02, 0.5 / side) * (0.5 + 0.5 * np.exp(-inside * 9))
        colour = colours[((value * 7.3) % 1 * len(colours)).astype(int)]
        canvas = canvas * (1 - strength[..., None] * (1 - colour))
    return canvas * (1 + 0.07 * clouds(rng, size, 0.3) + 0.05 * clouds(rng, size, 1.2))[..., None]


def stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Bands of thick colour with torn edges and streaks of a broad brush."""
    colours = _shuffle_colours(rng, _paint_colours(rng, 8))
    angle = rng.uniform(0, np.pi)
    along, across = np.cos(angle), np.sin(angle)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) * (UNITS / size)
    height = -pixel[None, :] * across + pixel[:, None] * along + clouds(rng, size, 8) * rng.uniform(0.3, 2.5)
    height += 0.35 * clouds(rng, size, 0.4, 6, angle) + 0.3 * clouds(rng, size, 0.8, 2, angle)
    width = rng.uniform(1.8, 4.5)
    band = random_per_tile(rng, np.zeros((size, size)), np.floor(height / width + 0.3 * np.sin(height / 5)))
    streaks = 0.2 * clouds(rng, size, 0.35, 14, angle) + 0.08 * clouds(rng, size, 0.3)
    return colours[(band * len(colours)).astype(int)] * (1 + streaks)[..., None]


def pastel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Scribbled zigzags of chalk that leave the paper's grain open."""
    colours, theme = _shuffle_colours(rng, _paint_colours(rng)), _palette_positions(rng, size)
    paper = np.broadcast_to(_paint_colours(rng)[rng.integers(6)], (size, size, 3))
    turns, count = 22, 420
    centre = rng.uniform(0, size, (count, 1, 2))
    angle = rng.uniform(0, np.pi) + rng.normal(0, 0.5, (count, 1))
    reach = rng.uniform(2, 6, (count, 1)) * size / UNITS
    swing = np.where(np.arange(turns) % 2, 1, -1) * reach * rng.uniform(0.6, 1.1, (count, turns))
    drift = np.linspace(-1, 1, turns) * rng.uniform(6, 12, (count, 1)) * size / UNITS
    cos, sin = np.cos(angle), np.sin(angle)
    paths = centre + np.stack([swing * cos - drift * sin, swing * sin + drift * cos], axis=-1)
    scribble = _lines(
        paper, paths, _pick_colours(rng, colours, _read_at_starts(theme, centre)), rng.uniform(0.4, 1, count)
    )
    return mix(paper, scribble, 0.35 + 0.65 * edge(clouds(rng, size, 0.16), -0.4, 2.4))


def ornament(rng: np.random.Generator, size: int) -> np.ndarray:
    """Concentric rings of many colours in every square of an uneven grid."""
    colours = _shuffle_colours(rng, _paint_colours(rng, 8))
    x, y = lattice(rng, size)
    wobble = rng.uniform(0.2, 0.8)
    x, y = x + clouds(rng, size, 2.5) * wobble, y + clouds(rng, size, 2.5) * wobble
    side = rng.uniform(8, 14)
    near, _, value = voronoi_cells(rng, x / side, y / side, rng.uniform(0.2, 1))
    rings = near * side / rng.uniform(1.3, 2.2) + 3 * value
    index = (np.floor(rings) * 3 + np.floor(value * 97)).astype(int) % len(colours)
    brush = 0.1 * clouds(rng, size, 0.4) + 0.08 * clouds(rng, size, 1)
    return colours[index] * (0.8 + 0.35 * wave(rings - 0.25) + brush)[..., None]


PAINTERS: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    painter.__name__: painter
    for painter in (
        impasto,
        swirls,
        mosaic,
        pointillism,
        cubist,
        ink_wash,
        woodcut,
        drips,
        stained_glass,
        watercolour,
        stripes,
        pastel,
        ornament,
    )
}
GENRES: tuple[str, ...] = tuple(PAINTERS)
