"""Hand-made drawings in code: outlines on a 100 × 100 board, rotating limbs, scaling to the unit square.

On the board, x points right and y points down; animals and vehicles face left. Points are written as in SVG:
"x,y x,y x,y".
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from shapebias.synthetic.parts import FilledOutline, ellipse, polygon, rotation, smooth_outline

Kind = Callable[[np.random.Generator], list[FilledOutline]]  # draws one variant of a silhouette in the unit square

EXTENT = 0.9  # larger side of a finished drawing in the unit square
CIRCLE = ellipse(0, 0, 1).outline[::2]  # [20, 2]


def parse_points(text: str) -> np.ndarray:
    """Parse points from text, float64 [N, 2]."""
    return np.array([float(number) for number in text.replace(",", " ").split()]).reshape(-1, 2)


def contour(text: str, *, hole: bool = False, tone: float = 1.0) -> FilledOutline:
    """A part with a smooth outline through the points."""
    return smooth_outline(parse_points(text), hole=hole, tone=tone, samples=5)


def corners(text: str, *, hole: bool = False, tone: float = 1.0) -> FilledOutline:
    """A part with straight edges between the points."""
    return polygon(parse_points(text), hole=hole, tone=tone)


def limb(
    text: str, widths: Sequence[float], *, turn: float = 0.0, blunt: bool = False, hole: bool = False, tone: float = 1.0
) -> list[FilledOutline]:
    """A smoothly bent, tapering tube through the points, with one width per point: a leg, a trunk, a tail.

    turn: degrees clockwise about the first point. blunt: cut off flat at the last point, like an elephant's foot.
    """
    knots = np.column_stack([parse_points(text), widths])  # x, y, width
    knots[:, :2] = (knots[:, :2] - knots[0, :2]) @ rotation(turn).T + knots[0, :2]
    padded = np.concatenate([2 * knots[:1] - knots[1:2], knots, 2 * knots[-1:] - knots[-2:-1]])
    p0, p1, p2, p3 = (padded[i : len(padded) - 3 + i, None] for i in range(4))
    t = np.arange(3)[None, :, None] / 3
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    curve = np.concatenate([curve.reshape(-1, 3), knots[-1:]])
    spine, radius = curve[:, :2], np.maximum(curve[:, 2:], 0) / 2
    steps = np.diff(spine, axis=0)
    along = np.concatenate([steps[:1], steps[:-1] + steps[1:], steps[-1:]])
    across = along[:, ::-1] * (-1, 1) * (radius / np.hypot(along[:, :1], along[:, 1:]))
    left, right = spine + across, spine - across
    # Each step is a quadrilateral: a single outline would cancel itself where a sharp bend makes it overlap.
    quads = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    ends = [0] if blunt else [0, -1]
    caps = [FilledOutline(CIRCLE * radius[i] + spine[i], hole, tone) for i in ends]
    return caps + [FilledOutline(quad, hole, tone) for quad in quads]


def rotate_parts(parts: Iterable[FilledOutline], pivot: tuple[float, float], degrees: float) -> list[FilledOutline]:
    """Rotate parts clockwise about a pivot on the board: a nodding head, a raised wing."""
    matrix = rotation(degrees).T
    return [FilledOutline((p.outline - pivot) @ matrix + pivot, p.hole, p.tone) for p in parts]


def mirror_parts(parts: Iterable[FilledOutline], x: float = 50.0) -> list[FilledOutline]:
    """Reflect parts in the vertical line at x."""
    return [FilledOutline(p.outline * (-1, 1) + (2 * x, 0), p.hole, p.tone) for p in parts]


def fit_drawing(
    parts: Sequence[FilledOutline],
    rng: np.random.Generator,
    *,
    stretch: float = 0.06,
    tilt: float = 2.0,
    warp: float = 1.5,
) -> list[FilledOutline]:
    """Apply random variation to a complete drawing, then centre and scale it to EXTENT in the unit square.

    stretch: largest relative change of the aspect ratio. tilt: largest rotation in degrees.
    warp: amplitude, in board units, of a bend with a wavelength of about the board; 0 keeps straight edges straight.
    """
    aspect = 1 + rng.uniform(-stretch, stretch)
    matrix = rotation(rng.uniform(-tilt, tilt)) @ np.diag([aspect, 1 / aspect])
    waves = rng.uniform(0, 2 * np.pi, 2), rng.uniform(0, warp, 2)
    lengths = [len(p.outline) for p in parts]
    outline = np.concatenate([p.outline for p in parts])  # all parts at once, since there are many small ones
    outline = outline + waves[1] * np.sin(outline[:, ::-1] * (2 * np.pi / 100) + waves[0])
    outline = outline @ matrix.T
    filled = outline[np.repeat([not p.hole for p in parts], lengths)]
    low, high = filled.min(axis=0), filled.max(axis=0)
    outline = (outline - (low + high) / 2) * (EXTENT / (high - low).max()) + 0.5
    ends = np.cumsum(lengths)
    return [
        FilledOutline(outline[end - length : end], p.hole, p.tone)
        for p, end, length in zip(parts, ends, lengths, strict=True)
    ]
