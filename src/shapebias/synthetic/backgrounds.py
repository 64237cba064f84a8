"""Cluttered backgrounds that carry no information about the object."""

import numpy as np
from PIL import Image, ImageDraw

from shapebias.synthetic.noise import clouds, edge, labyrinth, lattice, mix, wave

SUPERSAMPLING = 2  # the shapes are drawn this much larger, then averaged down


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return one scene: float32 [size, size, 3], RGB in [0, 1].

    Ground and sky, overlapping shapes and faint patterns, all in muted colours around one
    brightness, so that a textured object stands out. No part of it depends on a class.
    """
    light = rng.uniform(0.35, 0.7)
    image = _draw_shapes(rng, _ground(rng, size, light), light)
    for _ in range(2):
        colour = _muted_colours(rng, 1, light)[0]
        image = mix(image, colour, _patch(rng, size) * rng.uniform(0.15, 0.5) * _pattern(rng, size))
    image += rng.uniform(0, 0.03) * clouds(rng, size, rng.uniform(0.3, 1.5))[..., None]
    return np.clip(image, 0, 1).astype(np.float32, copy=False)


def _muted_colours(rng: np.random.Generator, count: int, light: float) -> np.ndarray:
    """Greyish colours [count, 3] whose brightness scatters around `light`."""
    brightness = light + rng.normal(0, 0.1, (count, 1))
    return np.clip(brightness + rng.normal(0, 0.055, (count, 3)), 0, 1).astype(np.float32)


def _ground(rng: np.random.Generator, size: int, light: float) -> np.ndarray:
    """Two blurred colour gradients that meet at a tilted, more or less soft horizon."""
    top, high, low, bottom = _muted_colours(rng, 4, light)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) / size
    tilt = float(rng.normal(0, 0.25))
    height = (pixel[:, None] + tilt * (pixel[None, :] - 0.5)).astype(np.float32)
    horizon, blur = rng.uniform(0.25, 0.75), rng.choice([0.03, 0.3])
    height = height + 0.05 * clouds(rng, size, rng.uniform(3, 8))
    sky = mix(top, high, np.clip(height / horizon, 0, 1))
    land = mix(low, bottom, np.clip((height - horizon) / (1 - horizon), 0, 1))
    return mix(sky, land, edge(height, horizon, blur))


def _draw_shapes(rng: np.random.Generator, image: np.ndarray, light: float) -> np.ndarray:
    """Polygons, ellipses and bars of muted colours, drawn over `image`, some of them see-through."""
    size = image.shape[0]
    large = size * SUPERSAMPLING
    picture = Image.fromarray((np.clip(image, 0, 1) * 255).astype(np.uint8)).resize(
        (large, large), Image.Resampling.NEAREST
    )
    draw = ImageDraw.Draw(picture, "RGBA")  # the mode in which a fill may be see-through
    count = int(rng.integers(6, 17))
    fills = (np.c_[_muted_colours(rng, count, light), rng.uniform(0.3, 1, count)] * 255).astype(int)
    outlines = (_outlines(rng, count) * large).reshape(count, -1)
    for outline, fill in zip(outlines.tolist(), fills.tolist(), strict=True):
        draw.polygon(outline, fill=tuple(fill))
    return np.asarray(picture.reduce(SUPERSAMPLING), dtype=np.float32) / 255


def _outlines(rng: np.random.Generator, count: int) -> np.ndarray:
    """Outlines [count, 24, 2] in the unit square of triangles, boxes, pentagons and ellipses of any size and tilt."""
    corners = rng.choice([3, 4, 5, 8, 24], (count, 1))
    # Points that share a corner coincide: 24 corners make an ellipse, three a triangle.
    angles = np.floor(np.arange(24) * corners / 24) / corners * 2 * np.pi + rng.uniform(0, 2 * np.pi, (count, 1))
    radii = rng.uniform(0.04, 0.22, (2, count, 1))
    radii[1] *= rng.choice([1, 2.5], (count, 1))
    tilt = rng.uniform(0, 2 * np.pi, (count, 1))
    x, y = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
    turned = np.stack([x * np.cos(tilt) - y * np.sin(tilt), x * np.sin(tilt) + y * np.cos(tilt)], axis=-1)
    return turned + rng.uniform(-0.05, 1.05, (count, 1, 2))


def _patch(rng: np.random.Generator, size: int) -> np.ndarray:
    """A soft-edged region [size, size] in [0, 1] that covers about half of the image."""
    return edge(clouds(rng, size, rng.uniform(4, 9)), rng.uniform(-0.3, 0.5), rng.uniform(0.1, 1))


def _pattern(rng: np.random.Generator, size: int) -> np.ndarray:
    """A pattern [size, size] in [0, 1] of a random kind, orientation and scale."""
    kind = rng.integers(5)
    period = rng.uniform(3, 12)
    if kind == 0:
        return edge(labyrinth(rng, size, period), 0, 0.6)
    if kind == 1:
        return edge(clouds(rng, size, period / 6, rng.uniform(1, 6), rng.uniform(0, np.pi)), 0.2, 0.8)
    x, y = lattice(rng, size)
    if kind == 2:
        return edge(wave(x / period), 0.5, 0.4)
    if kind == 3:
        return edge(wave(x / period) * wave(y / period), 0.4, 0.4)
    return edge(wave(x / period + clouds(rng, size, 4) * 0.4), 0.5, 0.8)
