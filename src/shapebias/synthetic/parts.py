"""Drawing tools for silhouettes: closed outlines in the unit square, rendered to a mask.

Coordinates are (x, y) in [0, 1] with y pointing down, as in an image.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

Points = Sequence[tuple[float, float]] | np.ndarray

SUPERSAMPLING = 4  # outlines are drawn this much larger, then averaged down: smooth edges at 64 px


@dataclass(frozen=True)
class FilledOutline:
    """One filled outline of a silhouette, painted over the parts before it.

    outline: float64 [N, 2], in drawing units. hole: cut away instead of filled.
    tone: factor on the texture's brightness inside; 1 is unchanged, windows are below 1, highlights above.
    """

    outline: np.ndarray
    hole: bool = False
    tone: float = 1.0


def polygon(points: Points, *, hole: bool = False, tone: float = 1.0) -> FilledOutline:
    """A part with straight edges through the given corners."""
    return FilledOutline(np.asarray(points, dtype=np.float64), hole, tone)


def smooth_outline(points: Points, *, hole: bool = False, tone: float = 1.0, samples: int = 8) -> FilledOutline:
    """A part whose outline is a closed Catmull-Rom curve through the given points."""
    p1 = np.asarray(points, dtype=np.float64)
    p0, p2, p3 = np.roll(p1, 1, axis=0), np.roll(p1, -1, axis=0), np.roll(p1, -2, axis=0)
    t = np.linspace(0, 1, samples, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (p[:, None, :] for p in (p0, p1, p2, p3))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return FilledOutline(curve.reshape(-1, 2), hole, tone)


def ellipse(
    cx: float,
    cy: float,
    rx: float,
    ry: float | None = None,
    *,
    angle: float = 0.0,
    hole: bool = False,
    tone: float = 1.0,
) -> FilledOutline:
    """An ellipse with the given centre and radii, turned clockwise by `angle` degrees; a circle without `ry`."""
    ry = rx if ry is None else ry
    t = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    points = np.stack([rx * np.cos(t), ry * np.sin(t)], axis=1) @ rotation(angle).T
    return FilledOutline(points + (cx, cy), hole, tone)


def box(
    x0: float, y0: float, x1: float, y1: float, *, radius: float = 0.0, hole: bool = False, tone: float = 1.0
) -> FilledOutline:
    """An upright rectangle between two corners, its own corners rounded by `radius`."""
    if radius <= 0:
        return polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], hole=hole, tone=tone)
    t = np.linspace(0, np.pi / 2, 6)
    arc = np.stack([np.cos(t), np.sin(t)], axis=1) * radius
    corners = [
        arc + (x1 - radius, y1 - radius),
        arc @ rotation(90).T + (x0 + radius, y1 - radius),
        arc @ rotation(180).T + (x0 + radius, y0 + radius),
        arc @ rotation(270).T + (x1 - radius, y0 + radius),
    ]
    return FilledOutline(np.concatenate(corners), hole, tone)


def stroke(
    points: Points, width: float | Sequence[float], *, hole: bool = False, tone: float = 1.0
) -> list[FilledOutline]:
    """A line of the given width through the points, with round joints and ends; one width per point makes it taper."""
    p = np.asarray(points, dtype=np.float64)
    w = np.broadcast_to(np.asarray(width, dtype=np.float64), len(p)) / 2
    parts = [ellipse(x, y, r, hole=hole, tone=tone) for (x, y), r in zip(p, w, strict=True)]
    for a, b, ra, rb in zip(p[:-1], p[1:], w[:-1], w[1:], strict=True):
        along = (b - a) / (np.linalg.norm(b - a) + 1e-12)
        across = np.array([-along[1], along[0]])
        parts.append(
            FilledOutline(np.stack([a + across * ra, b + across * rb, b - across * rb, a - across * ra]), hole, tone)
        )
    return parts


def ring(cx: float, cy: float, outer: float, inner: float, *, tone: float = 1.0) -> list[FilledOutline]:
    """A circle with a circular hole."""
    return [ellipse(cx, cy, outer, tone=tone), ellipse(cx, cy, inner, hole=True)]


def rotation(degrees: float) -> np.ndarray:
    """The 2×2 matrix that turns a point clockwise on the screen (y points down)."""
    a = np.deg2rad(degrees)
    return np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])


def transform_parts(
    parts: Iterable[FilledOutline], matrix: np.ndarray, offset: Sequence[float] = (0.0, 0.0)
) -> list[FilledOutline]:
    """Apply the linear map `matrix` [2, 2] about the centre (0.5, 0.5), then move the parts by `offset`."""
    centre = np.array([0.5, 0.5])
    return [
        FilledOutline((p.outline - centre) @ np.asarray(matrix).T + centre + np.asarray(offset), p.hole, p.tone)
        for p in parts
    ]


def render_mask(parts: Iterable[FilledOutline], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the parts; return coverage in [0, 1] and tone, each float32 [size, size].

    The unit square fills the image. Tone is 1 where nothing is drawn.
    """
    large = size * SUPERSAMPLING
    coverage = Image.new("L", (large, large), 0)
    tone = Image.new("L", (large, large), 100)
    draw_coverage, draw_tone = ImageDraw.Draw(coverage), ImageDraw.Draw(tone)
    for part in parts:
        corners = [(float(x), float(y)) for x, y in part.outline * large]
        draw_coverage.polygon(corners, fill=0 if part.hole else 255)
        if not part.hole:
            draw_tone.polygon(corners, fill=round(min(2.5, part.tone) * 100))
    reduced = [np.asarray(image.reduce(SUPERSAMPLING), dtype=np.float32) for image in (coverage, tone)]
    return reduced[0] / 255, reduced[1] / 100
