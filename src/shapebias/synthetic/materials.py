"""Texture families of made things: metal, wood, cloth, glass, stone.

Each takes (rng, size) and returns float32 [size, size, 3]; the range is clipped by `textures.texture`.
"""

import numpy as np

from shapebias.synthetic.noise import (
    clouds,
    edge,
    lattice,
    mix,
    palette,
    ramp,
    random_per_tile,
    voronoi_cells,
    warp,
    wave,
)


def box_distance(x: np.ndarray, y: np.ndarray, half_x: float, half_y: float, corner: float) -> np.ndarray:
    """Return the distance to the outline of a rounded box around the origin; negative inside."""
    out_x, out_y = np.abs(x) - half_x + corner, np.abs(y) - half_y + corner
    return np.hypot(np.maximum(out_x, 0), np.maximum(out_y, 0)) + np.minimum(np.maximum(out_x, out_y), 0) - corner


def brushed_aluminium(rng: np.random.Generator, size: int) -> np.ndarray:
    """Pale blue-grey metal with very long, fine scratches and broad bands of sheen."""
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    scratches = clouds(rng, size, 0.45 * zoom, 40, angle)
    sheen = clouds(rng, size, 2.5 * zoom, 12, angle)
    colours = palette(rng, "71869d", "a5b6c8", "ccd8e2", "f6fafd")
    return ramp(colours, 0.5 + 0.15 * scratches + 0.18 * sheen)


def camouflage(rng: np.random.Generator, size: int) -> np.ndarray:
    """Hard-edged blots of khaki, olive, dark green and black."""
    zoom = rng.uniform(0.8, 1.25)
    khaki, olive, green, black = palette(rng, "a39b67", "66703a", "34472a", "15190f")[:, None, None, :]
    image = np.broadcast_to(khaki, (size, size, 3))
    for colour, cover in ((olive, 0.1), (green, 0.5), (black, 0.95)):
        blots = clouds(rng, size, 2.4 * zoom) + 0.25 * clouds(rng, size, 0.9 * zoom)
        image = mix(image, colour, edge(blots, cover, 0.15))
    return image


def tread(rng: np.random.Generator, size: int) -> np.ndarray:
    """Black rubber lugs in chevron rows, orange mud between them."""
    x, y = lattice(rng, size)
    column = np.floor(x / 9)
    in_x = x - (column + 0.5) * 9
    slant = np.where(column % 2 == 0, 0.6, -0.6)
    in_y = (y + slant * in_x) % 8 - 4
    lug = box_distance(in_x, in_y, 3.7, 2.7, 0.6)
    rubber = palette(rng, "08080a", "26262a", "45454a", light=0.3)
    mud = palette(rng, "a2541a", "d8853a")
    top = ramp(rubber, 0.55 - 0.12 * in_y + 0.1 * clouds(rng, size, 0.5))
    return mix(top, ramp(mud, 0.5 + 0.3 * clouds(rng, size, 1)), edge(lug, 0, 0.9))


def carbon_weave(rng: np.random.Generator, size: int) -> np.ndarray:
    """A diagonal twill of black and gleaming grey-blue ribbons."""
    x, y = lattice(rng, size)
    x, y = x / 4, y / 4
    column, row = np.floor(x), np.floor(y)
    lengthwise = (column + row) % 4 < 2
    across = np.where(lengthwise, x - column, y - row)
    # A ribbon is visible over two cells: it rises in the first and sinks in the second.
    run = np.where(lengthwise, (y + column) % 4, (x + row + 2) % 4) / 2 % 1
    shine = (1 - np.abs(across - 0.5) * 1.5) * (0.45 + 0.55 * np.sin(np.pi * run))
    colours = palette(rng, "040508", "1c232e", "4a5768", "b4c2d4")
    return ramp(colours, np.where(lengthwise, 1.0, 0.42) * shine + 0.04 * clouds(rng, size, 0.4))


def planks(rng: np.random.Generator, size: int) -> np.ndarray:
    """Honey-coloured deck boards with dark caulked seams and staggered ends."""
    x, y = lattice(rng, size)
    row = np.floor(y / 7.5)
    shift = random_per_tile(rng, row, np.zeros_like(row))
    board = np.floor(x / 30 + shift)
    tone = random_per_tile(rng, board, row)
    in_y = y - (row + 0.5) * 7.5
    in_x = ((x / 30 + shift) % 1 - 0.5) * 30
    seam = edge(box_distance(in_x, in_y, 15, 3.75, 0.3), -0.65, 0.7)
    grain = wave(in_y / 2.2 + 0.5 * np.sin(x / 9 + 6 * tone) + 3 * tone)
    colours = palette(rng, "a56f22", "cf9a3f", "eec878", hue=0.015)
    caulk = palette(rng, "1a120a")
    return mix(ramp(colours, 0.15 + 0.65 * tone + 0.25 * (grain - 0.5)), caulk, seam)


def riveted_plate(rng: np.random.Generator, size: int) -> np.ndarray:
    """Sea-green painted steel plates bordered by rows of rivets, with rust running from them."""
    x, y = lattice(rng, size)
    row = np.floor(y / 13)
    shifted = x + 9.5 * (row % 2)
    in_x, in_y = shifted % 19 - 9.5, y - (row + 0.5) * 13
    seam = edge(box_distance(in_x, in_y, 9.5, 6.5, 0.4), -0.5, 0.7)
    near_x, near_y = (shifted - 0.1) % 3.8 - 1.9, np.abs(in_y) - 4.1
    rivet = np.hypot(near_x, near_y)
    dome = edge(-rivet, -1.25, 0.5)
    lit = 0.45 - 0.5 * dome * (near_x + near_y * np.sign(in_y)) / 1.3 - 0.25 * (edge(-rivet, -1.9, 0.8) - dome)
    paint = ramp(palette(rng, "17302f", "3f6d68", "7fb0a6", "d6efe6"), lit + 0.05 * clouds(rng, size, 1.5))
    rust = palette(rng, "7c3512")
    streaks = edge(clouds(rng, size, 1.6) - 0.12 * np.abs(near_y), 0.75, 1.2) * 0.8
    return mix(mix(paint, rust, streaks), palette(rng, "10201f"), seam)


def bubble_glass(rng: np.random.Generator, size: int) -> np.ndarray:
    """Deep green glass with bright-rimmed bubbles of many sizes."""
    x, y = lattice(rng, size)
    depth = 0.3 + 0.07 * clouds(rng, size, 6)
    for side, rim in ((13.0, 1.0), (6.5, 0.8)):
        near, _, value = voronoi_cells(rng, x / side, y / side, 0.6)
        radius = 0.14 + 0.22 * value
        ring = edge(-np.abs(near - radius), -0.08, 0.09)
        depth = depth + rim * 0.6 * ring - 0.2 * edge(radius - near, 0, 0.06)
    colours = palette(rng, "03200f", "0c5a2a", "3fae58", "d2ffc4")
    return ramp(colours, depth)


def caustics(rng: np.random.Generator, size: int) -> np.ndarray:
    """Turquoise water under a net of bright light."""
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 2.5) * 1.6, y + clouds(rng, size, 2.5) * 1.6
    near, second, _ = voronoi_cells(rng, x / 11, y / 11, 0.9)
    net = np.exp(-9 * (second - near))
    colours = palette(rng, "0a6f93", "1fa3bd", "6fd9dc", "f2fffb")
    return ramp(colours, 0.12 + 0.8 * net + 0.05 * clouds(rng, size, 3))


def metallic_flakes(rng: np.random.Generator, size: int) -> np.ndarray:
    """Violet paint sown with sparkling flakes."""
    x, y = lattice(rng, size)
    near, _, value = voronoi_cells(rng, x / 2.6, y / 2.6, 0.9)
    glint = edge(-near, -0.42, 0.25) * np.maximum(value - 0.45, 0) * 2.2
    colours = palette(rng, "2a0a5c", "5b1fa8", "a86be6", "fbeaff")
    return ramp(colours, 0.2 + 0.05 * clouds(rng, size, 5) + glint)


def mud_splatter(rng: np.random.Generator, size: int) -> np.ndarray:
    """Sky-blue paint hit by brown splashes, drawn out in the direction they flew."""
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 0.9) * 0.7, y + clouds(rng, size, 0.9) * 0.7
    mud = np.zeros_like(x)
    for side, share in ((7.5, 0.9), (3.2, 0.7)):
        near, _, value = voronoi_cells(rng, x / (side * 2.8), y / side)
        radius = 0.42 * np.clip((value - 1 + share) / share, 0, 1) ** 0.5
        mud = np.maximum(mud, edge(radius - near, 0.04, 1.2 / side))
    paint = palette(rng, "7fb6e8", "a9d4f7")
    dirt = palette(rng, "3a2414", "70492a")
    return mix(ramp(paint, 0.5 + 0.2 * clouds(rng, size, 4)), ramp(dirt, 0.4 + 0.3 * clouds(rng, size, 1)), mud)


def wood_grain(rng: np.random.Generator, size: int) -> np.ndarray:
    """Red walnut: growth rings drawn out lengthwise around a few knots."""
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    rings = (clouds(rng, size, 5 * zoom, 3.2, angle) * 2.3) % 1
    pores = clouds(rng, size, 0.35, 8, angle)
    colours = palette(rng, "260a07", "692a1d", "a3513a", "d08a66")
    # A ring darkens slowly and ends abruptly, like summer wood.
    return ramp(colours, 0.95 - 0.9 * rings * edge(-rings, -0.92, 0.16) + 0.08 * pores)


def plaid(rng: np.random.Generator, size: int) -> np.ndarray:
    """A tartan of red, green and navy with thin yellow lines, woven in twill."""
    x, y = lattice(rng, size)
    threads = palette(rng, "b3121d", "0e5a35", "b3121d", "14204f", "f0cf3c", hue=0.02)
    starts = np.array([0.0, 0.26, 0.44, 0.66, 0.93])
    warp_colour, weft_colour = (
        threads[np.searchsorted(starts, (along / 19) % 1, side="right") - 1] for along in (x, y)
    )
    over = edge(wave((x + y) / 2.3), 0.5, 0.6)
    return mix(warp_colour, weft_colour, 0.2 + 0.6 * over)


def marble(rng: np.random.Generator, size: int) -> np.ndarray:
    """White stone with dark green, branching veins."""
    zoom = rng.uniform(0.8, 1.25)
    bend_x, bend_y = (clouds(rng, size, 1.6 * zoom) * 1.3 for _ in range(2))
    broad = np.abs(warp(clouds(rng, size, 4.2 * zoom), bend_x, bend_y))
    thin = np.abs(warp(clouds(rng, size, 3.2 * zoom), bend_x, bend_y))
    veins = 0.95 * np.exp(-5 * broad) + 0.5 * np.exp(-12 * thin)
    colours = palette(rng, "0c2a1f", "6f8f80", "d8e2dc", "fafaf8")
    return ramp(colours, 0.98 - veins + 0.03 * clouds(rng, size, 4))


def guilloche(rng: np.random.Generator, size: int) -> np.ndarray:
    """Gold engraved with crossing circular waves."""
    x, y = lattice(rng, size)
    in_x, in_y = x % 19 - 9.5, y % 19 - 9.5
    radius, turn = np.hypot(in_x, in_y), np.arctan2(in_y, in_x)
    rays = wave(turn * 8 / (2 * np.pi) + radius / 9) * wave(turn * 8 / (2 * np.pi) - radius / 9)
    rings = wave(radius / 3.2)
    colours = palette(rng, "5a3a04", "b3860f", "ebc53f", "fff6bd")
    return ramp(colours, 0.12 + 0.45 * rays + 0.45 * rings)


def key_grid(rng: np.random.Generator, size: int) -> np.ndarray:
    """Light square keys with small dark letters, black gaps between them."""
    x, y = lattice(rng, size)
    row = np.floor(y / 8)
    x = x + 3 * random_per_tile(rng, row, np.zeros_like(row)) + 2.5 * row
    column = np.floor(x / 8)
    in_x, in_y = x - (column + 0.5) * 8, y - (row + 0.5) * 8
    key = box_distance(in_x, in_y, 3.5, 3.5, 0.9)
    letter = edge(-box_distance(in_x + 0.6, in_y + 0.4, 1.3, 1.6, 0.2), 0, 0.5)
    letter *= 0.4 + 0.6 * random_per_tile(rng, column, row)
    shade = 0.85 + 0.08 * edge(-key, 0.9, 0.6) - 0.03 * in_y
    colours = palette(rng, "0c0d10", "62666d", "c6cad0", "eef0f2")
    return ramp(colours, (shade - 0.55 * letter) * edge(-key, 0, 0.7))


def round_keys(rng: np.random.Generator, size: int) -> np.ndarray:
    """Black round keys with silver rims and a white mark, staggered on mint enamel."""
    x, y = lattice(rng, size)
    row = np.floor(y / 9)
    column = np.floor(x / 10.4 + 0.5 * (row % 2))
    in_x = (x / 10.4 + 0.5 * (row % 2) - column - 0.5) * 10.4
    in_y = y - (row + 0.5) * 9
    radius = np.hypot(in_x, in_y)
    mark_height = 0.5 + 1.4 * random_per_tile(rng, column, row)
    mark = edge(-box_distance(in_x, in_y, 0.8, mark_height, 0.2), 0, 0.6)
    rim = edge(-np.abs(radius - 3.6), -0.6, 0.5)
    key = ramp(palette(rng, "0a0a0c", "85888c", "fafafa"), np.maximum(mark, rim * (0.75 - 0.08 * in_y)))
    mint = palette(rng, "6cbf9d", "a5e3c8")
    return mix(ramp(mint, 0.5 - 0.4 * edge(-radius, -5, 1.5)), key, edge(-radius, -4.1, 0.6))


def damascus(rng: np.random.Generator, size: int) -> np.ndarray:
    """Folded steel: contour lines of light and dark grey."""
    zoom = rng.uniform(0.8, 1.25)
    angle = rng.uniform(0, np.pi)
    height = clouds(rng, size, 4.5 * zoom, 1.7, angle) + 0.1 * clouds(rng, size, 1.2 * zoom)
    layers = edge(wave(height * 1.7), 0.5, 0.7)
    colours = palette(rng, "2a2d33", "6d747d", "c4cbd2", "eef2f5")
    return ramp(colours, 0.08 + 0.72 * layers + 0.06 * clouds(rng, size, 0.4))


def tortoiseshell(rng: np.random.Generator, size: int) -> np.ndarray:
    """Glowing amber with ragged black-brown blotches."""
    zoom = rng.uniform(0.8, 1.25)
    bend_x, bend_y = (clouds(rng, size, 1 * zoom) * 1.2 for _ in range(2))
    blotches = warp(clouds(rng, size, 1.9 * zoom), bend_x, bend_y)
    colours = palette(rng, "120502", "5a1c02", "d9780a", "ffb52e", "ffd766")
    return ramp(colours, 0.58 + 0.3 * blotches)


def checker_tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """Glossy enamel tiles, cherry red and white in turn, each with a highlight."""
    x, y = lattice(rng, size)
    column, row = np.floor(x / 5), np.floor(y / 5)
    in_x, in_y = x - (column + 0.5) * 5, y - (row + 0.5) * 5
    white = (column + row) % 2
    red_tile = palette(rng, "8f0512", "d5142a", "ff8b8b")
    white_tile = palette(rng, "c9c5bf", "f3f0ea", "ffffff")
    gloss = 0.45 - 0.14 * in_y + 0.7 * edge(-np.hypot(in_x + 0.8, in_y + 0.8), -0.8, 0.8)
    tiles = np.where(white[..., None] > 0, ramp(white_tile, gloss), ramp(red_tile, gloss))
    return mix(tiles, palette(rng, "3a3f45"), edge(box_distance(in_x, in_y, 2.5, 2.5, 0.4), -0.3, 0.5))


def brick(rng: np.random.Generator, size: int) -> np.ndarray:
    """Rough bricks of uneven reds in running bond, pale mortar between them."""
    x, y = lattice(rng, size)
    x, y = x + clouds(rng, size, 0.8) * 0.2, y + clouds(rng, size, 0.8) * 0.2
    row = np.floor(y / 6.5)
    shifted = x / 13.5 + 0.5 * (row % 2)
    column = np.floor(shifted)
    in_x, in_y = (shifted - column - 0.5) * 13.5, y - (row + 0.5) * 6.5
    tone = random_per_tile(rng, column, row)
    colours = palette(rng, "5d2417", "94402a", "bd6242")
    mortar = palette(rng, "d8cfc0")
    face = ramp(colours, 0.1 + 0.75 * tone + 0.12 * clouds(rng, size, 0.5))
    return mix(face, mortar, edge(box_distance(in_x, in_y, 6.75, 3.25, 0.7), -0.8, 0.7))


def diamond_plate(rng: np.random.Generator, size: int) -> np.ndarray:
    """Lime-painted plate with raised lozenges that point two ways in turn."""
    x, y = lattice(rng, size)
    column, row = np.floor(x / 7.4), np.floor(y / 7.4)
    in_x, in_y = x - (column + 0.5) * 7.4, y - (row + 0.5) * 7.4
    upright = (column + row) % 2 > 0
    along, across = np.where(upright, in_y, in_x), np.where(upright, in_x, in_y)
    lozenge = np.abs(along) / 4.6 + np.abs(across) / 1.9
    raised = edge(-lozenge, -1, 0.35)
    facing = np.where(across + 0.3 * along < 0, 1.0, -0.35)
    colours = palette(rng, "33460a", "7d9c14", "b9d531", "f8ffc0")
    shadow = edge(-lozenge, -1.35, 0.5) - raised
    return ramp(colours, 0.5 + 0.42 * raised * facing - 0.25 * shadow + 0.04 * clouds(rng, size, 0.5))


def tarpaulin(rng: np.random.Generator, size: int) -> np.ndarray:
    """Ultramarine canvas in broad sharp folds, with a fine square weave."""
    x, y = lattice(rng, size)
    angle, zoom = rng.uniform(0, np.pi), rng.uniform(0.8, 1.25)
    height = clouds(rng, size, 3.2 * zoom, 3, angle)
    folds = np.abs(height) - 0.35 * np.abs(clouds(rng, size, 4 * zoom, 3, angle + 1))
    weave = wave(x / 2.2) * wave(y / 2.2)
    colours = palette(rng, "06103f", "1334a0", "3f6ae6", "a9c4ff")
    return ramp(colours, 0.22 + 0.38 * folds + 0.22 * (weave - 0.25))
