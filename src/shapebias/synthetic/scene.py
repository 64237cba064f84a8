"""Drawn photographs: an object of a class, its texture and its background, all determined by (seed, id)."""

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy import ndimage

from shapebias.seeding import generator
from shapebias.synthetic import animals, household, objects, vehicles
from shapebias.synthetic.backgrounds import background
from shapebias.synthetic.parts import FilledOutline, render_mask, rotation, transform_parts
from shapebias.synthetic.textures import TEXTURE_OF, texture

Kind = Callable[[np.random.Generator], list[FilledOutline]]

SILHOUETTES: dict[str, dict[str, tuple[Kind, ...]]] = {
    **animals.SILHOUETTES,
    **household.SILHOUETTES,
    **objects.SILHOUETTES,
    **vehicles.SILHOUETTES,
}
CLASSES = {name: category for category, classes in sorted(SILHOUETTES.items()) for name in sorted(classes)}
APPEARANCES = ("photograph", "silhouette", "edges")


def draw_image(class_name: str, sample_id: str, *, size: int, seed: int, appearance: str = "photograph") -> Image.Image:
    """Draw one image of a class, RGB of `size` × `size` pixels, a pure function of (seed, id).

    appearance: `photograph` (textured, lit, on a cluttered background), `silhouette` (black on white) or
    `edges` (its outlines, black on white), as in the stimuli of Geirhos et al. 2019.
    """
    rng = generator(seed, "object", sample_id)
    parts = place_parts(pick_variant(SILHOUETTES[CLASSES[class_name]][class_name], rng)(rng), rng)
    coverage, tone = render_mask(parts, size)
    if appearance == "silhouette":
        return to_image(np.repeat(1 - coverage[..., None], 3, axis=2))
    if appearance == "edges":
        return to_image(np.repeat(1 - outlines(coverage, tone)[..., None], 3, axis=2))
    surface = texture(TEXTURE_OF[class_name], generator(seed, "texture", sample_id), size)
    # The background is out of focus, as in most photographs of objects.
    blur = size * rng.uniform(0.02, 0.05)
    scene = ndimage.gaussian_filter(background(generator(seed, "background", sample_id), size), (blur, blur, 0))
    lit = surface * (tone * shading(coverage, rng))[..., None]
    shadow = 1 - 0.35 * shifted_shadow(coverage, rng)[..., None]
    return to_image(scene * shadow * (1 - coverage[..., None]) + lit * coverage[..., None])


def pick_variant(kinds: tuple[Kind, ...], rng: np.random.Generator) -> Kind:
    return kinds[rng.integers(len(kinds))]


def place_parts(parts: list[FilledOutline], rng: np.random.Generator) -> list[FilledOutline]:
    """Mirror, rotate, scale, shear, bend and move the silhouette at random, as objects vary in photographs."""
    mirror = np.diag([rng.choice([-1.0, 1.0]), 1.0])
    stretch = np.diag(np.exp(rng.normal(0, 0.06, 2)))
    shear = np.array([[1, rng.normal(0, 0.06)], [0, 1]])
    scale = rng.uniform(0.85, 1.05)
    parts = transform_parts(parts, scale * rotation(rng.normal(0, 7)) @ shear @ stretch @ mirror)
    # Centre the silhouette by its extent, so that the move never pushes much of it out of the image.
    corners = np.concatenate([part.outline for part in parts])
    low, high = corners.min(axis=0), corners.max(axis=0)
    room = np.maximum(1 - (high - low), 0.02)
    offset = (0.5 - (low + high) / 2) + rng.uniform(-0.5, 0.5, 2) * room
    phase, bend = rng.uniform(0, 2 * np.pi, 2), rng.normal(0, 0.012, 2)
    return [FilledOutline(bend_outline(part.outline + offset, phase, bend), part.hole, part.tone) for part in parts]


def bend_outline(outline: np.ndarray, phase: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Bend an outline by a slow wave: each coordinate's shift depends on the other coordinate."""
    return outline + bend * np.sin(2 * np.pi * outline[:, ::-1] + phase)


def shading(coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the brightness of a rounded body lit from a random side, about 0.6 to 1.3, float32 [H, W]."""
    size = len(coverage)
    height = ndimage.gaussian_filter(coverage, size / 16)
    slope_y, slope_x = np.gradient(height)
    angle = rng.uniform(0, 2 * np.pi)
    slope = (np.cos(angle) * slope_x + np.sin(angle) * slope_y) * size / 6
    return np.clip(0.75 + 0.35 * height + 0.5 * slope, 0.45, 1.35)


def shifted_shadow(coverage: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    size = len(coverage)
    soft = ndimage.gaussian_filter(coverage, size / 24)
    return np.roll(soft, (round(size * 0.04), round(size * rng.uniform(-0.05, 0.05))), axis=(0, 1))


def outlines(coverage: np.ndarray, tone: np.ndarray) -> np.ndarray:
    """Return the edge strength in [0, 1] of the object's border and of its inner parts."""
    lines = np.zeros_like(coverage)
    for picture in (coverage, np.where(coverage > 0.5, tone, 1.0)):
        grey_opening = ndimage.grey_dilation(picture, 3) - ndimage.grey_erosion(picture, 3)
        lines = np.maximum(lines, np.clip(grey_opening * 1.5, 0, 1))
    return lines


def to_image(values: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(values, 0, 1) * 255 + 0.5).astype(np.uint8))
