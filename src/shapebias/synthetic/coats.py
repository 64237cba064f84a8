"""Texture families of animals: fur, feathers, hides.

Each takes (rng, size) and returns float32 [size, size, 3]; the range is clipped by `textures.texture`.
"""

import numpy as np

from shapebias.synthetic.noise import clouds, edge, labyrinth, lattice, mix, palette, ramp, voronoi_cells, warp, wave


def shaggy_fur(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dark chocolate locks that bend this way and that, with near-black gaps between them."""
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    bend_x, bend_y = (clouds(rng, size, 5 * zoom) * 3 * zoom for _ in range(2))
    locks = warp(clouds(rng, size, 0.9 * zoom, 4, angle), bend_x, bend_y)
    hairs = warp(clouds(rng, size, 0.35, 9, angle), bend_x, bend_y)
    colours = palette(rng, "0d0603", "341a0c", "74431f", "b98050")
    return ramp(colours, 0.42 + 0.2 * locks + 0.17 * hairs)


def fleece(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cream-white wool: soft worm-like curls with blue shadows between them."""
    zoom = rng.uniform(0.8, 1.25)
    curls = labyrinth(rng, size, 6 * zoom)
    colours = palette(rng, "6f8bb0", "c2cdd8", "f3ecdd", "fffdf4")
    return ramp(colours, 0.52 + 0.32 * curls + 0.07 * clouds(rng, size, 0.4))


def scalloped_feathers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Rows of overlapping pink feathers with pale rims, like roof tiles."""
    x, y = lattice(rng, size)
    x, y = (x + clouds(rng, size, 4) * 0.5) / 10.5, (y + clouds(rng, size, 4) * 0.5) / 6.5
    shade = np.zeros_like(x)
    # Draw from the lowest row up: a feather covers the row below it.
    for behind in (1, 0, -1):
        row = np.floor(y) + behind
        across = (x + 0.5 * (row % 2)) % 1 - 0.5
        down = y - row
        radius = np.hypot(across * 2, down * 0.62)
        feather = 0.1 + 0.55 * radius + 0.3 * edge(radius, 0.86, 0.1) - 0.25 * edge(-np.abs(across), -0.04, 0.04)
        inside = (radius < 1) & (down > 0)
        shade = np.where(inside, feather, shade)
    colours = palette(rng, "7a0f45", "d8447f", "f58fae", "ffe3da")
    return ramp(colours, shade + 0.03 * clouds(rng, size, 0.4))


def barred_feathers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Black and white bars broken into chevrons by the shafts of the feathers."""
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 5) * 0.7, y + clouds(rng, size, 5) * 0.7
    across = np.abs((x / 13) % 1 - 0.5) * 2
    column = np.floor(x / 13)
    bars = wave((y + 7 * across) / 6 + 0.37 * column)
    colours = palette(rng, "16171c", "3a3a40", "d9d8d2", "fbfaf5")
    shade = edge(bars, 0.5, 0.5) + 0.05 * clouds(rng, size, 0.4)
    return ramp(colours, np.where(across < 0.09, 0.45, shade))


def tabby_stripes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Ginger fur with forking, mostly parallel dark stripes."""
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    stripes = labyrinth(rng, size, 11 * zoom, angle, 0.45)
    ragged = stripes + 0.25 * clouds(rng, size, 0.4, 5, angle)
    colours = palette(rng, "3a1704", "a34d12", "ee9a3a", "ffcf85")
    return ramp(colours, 0.15 + 0.6 * edge(ragged, 0, 0.9) + 0.08 * clouds(rng, size, 0.4, 5, angle))


def point_fur(rng: np.random.Generator, size: int) -> np.ndarray:
    """Smooth cream fur that melts into broad, soft chocolate points."""
    x, y = lattice(rng, size)
    near, _, _ = voronoi_cells(rng, x / 18, y / 18, 0.8)
    soft = edge(near, 0.38, 0.65)
    colours = palette(rng, "2e1f18", "86694f", "dcc29c", "f4e8d0")
    return ramp(colours, 0.03 + 0.93 * soft + 0.02 * clouds(rng, size, 0.4))


def long_hair(rng: np.random.Generator, size: int) -> np.ndarray:
    """Long straight strands, black mixed with tan."""
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    strands = clouds(rng, size, 0.55 * zoom, 20, angle) + 0.8 * clouds(rng, size, 1.4 * zoom, 8, angle)
    colours = palette(rng, "0d0b0a", "241a14", "a87b45", "e6c48c", hue=0.02)
    return ramp(colours, 0.5 + 0.27 * strands)


def wavy_hair(rng: np.random.Generator, size: int) -> np.ndarray:
    """Glossy mahogany hair lying in regular parallel waves."""
    x, y = lattice(rng, size)
    y = y + 2.6 * np.sin(2 * np.pi * x / 15 + 0.6 * clouds(rng, size, 8)) + clouds(rng, size, 6)
    gloss = 0.25 * np.sin(2 * np.pi * x / 15)
    hair = wave(y / 4.2 + 0.12 * clouds(rng, size, 1.2))
    colours = palette(rng, "3d0a05", "8a2410", "c95024", "f2a06a")
    return ramp(colours, 0.12 + 0.6 * hair + gloss * hair)


def cracked_hide(rng: np.random.Generator, size: int) -> np.ndarray:
    """Dry ochre-grey plates parted by dark cracks."""
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 1) * 0.4, y + clouds(rng, size, 1) * 0.4
    near, second, value = voronoi_cells(rng, x / 8.5, y / 8.5)
    plate = edge(second - near, 0.13, 0.14)
    colours = palette(rng, "2b2119", "85745c", "b6a582", "cfc19f", hue=0.02)
    dust = 0.12 * (value - 0.5) + 0.05 * clouds(rng, size, 0.5)
    return ramp(colours, plate * (0.72 + dust - 0.2 * near))


def wrinkled_hide(rng: np.random.Generator, size: int) -> np.ndarray:
    """Slate-grey folds that run side by side, crossed by finer ones, with pink freckles."""
    angle = rng.uniform(0, np.pi)
    zoom = rng.uniform(0.8, 1.25)
    # |noise| is zero along lines, which become the creases.
    folds = np.abs(labyrinth(rng, size, 12 * zoom, angle, 0.35))
    fine = np.abs(labyrinth(rng, size, 6 * zoom, angle + np.pi / 2, 0.5))
    skin = 0.2 + 0.5 * edge(folds, 0.35, 0.7) + 0.3 * edge(fine, 0.3, 0.6)
    colours = palette(rng, "23262f", "4b505c", "747a86", "a6abb3", hue=0.02)
    pink = palette(rng, "d99a96", hue=0.02)
    freckles = edge(clouds(rng, size, 0.9 * zoom), 1.5, 0.7) * 0.8
    return mix(ramp(colours, skin), np.broadcast_to(pink, (size, size, 3)), freckles)
