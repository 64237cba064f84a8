"""Silhouettes of bottles, keyboards and knives."""

import itertools

import numpy as np

from shapebias.synthetic.parts import FilledOutline, box, ellipse, smooth_outline
from shapebias.synthetic.sketching import (
    Kind,
    contour,
    corners,
    fit_drawing,
    limb,
    mirror_parts,
    parse_points,
    rotate_parts,
)


def lathed_part(text: str, *, axis: float = 50.0, tone: float = 1.0) -> FilledOutline:
    """A part symmetric about the vertical line x = axis: a smooth curve through a profile of "radius,y" points.

    Two points close together make a corner.
    """
    right = parse_points(text)
    return smooth_outline(np.concatenate([right, right[::-1] * (-1, 1)]) + (axis, 0), tone=tone, samples=4)


def bordeaux(rng: np.random.Generator) -> list[FilledOutline]:
    """A wine bottle with high, square shoulders."""
    neck = rng.uniform(28, 33)
    shoulder = f"5.5,{neck - 4} 7,{neck + 2} 14,{neck + 8} 17,{neck + 15}"
    body = lathed_part(f"5,1 6.5,2 6.5,6 5.5,7 {shoulder} 17,60 17,95 16,98 13,100 6,100")
    foil = box(44.5, 7, 55.5, neck - 8, tone=0.6)
    label = box(33, 58, 67, 86 + rng.uniform(-4, 4), tone=1.5)
    return fit_drawing([body, foil, label], rng, warp=0)


def champagne(rng: np.random.Generator) -> list[FilledOutline]:
    """A corked sparkling-wine bottle, tilted to pour: sloping shoulders, wide belly."""
    belly = rng.uniform(17, 20)
    shoulder, base = f"8,34 12,44 {belly - 2},54 {belly},64", f"{belly},94 {belly - 2},98 {belly - 5},100 6,100"
    body = lathed_part(f"6,8 8,10 8,14 6.5,16 6.5,24 {shoulder} {base}")
    foil = lathed_part("6.5,16 6.5,24 8,34 9,38", tone=1.5)
    cork = lathed_part("7,-4 8.5,-2 8,2 5.5,4 5.5,9", tone=0.6)
    label = box(50 - belly, 66, 50 + belly, 86, tone=1.4)
    return fit_drawing(rotate_parts([body, foil, cork, label], (50, 50), 42 + rng.uniform(-8, 8)), rng, warp=0)


def jug(rng: np.random.Generator) -> list[FilledOutline]:
    """A round-bellied water jug with a stopper and a ring handle at its neck."""
    belly = rng.uniform(0.94, 1.06)
    handle = limb("56,18 78,14 88,30 78,50", [7, 7, 7, 7])
    body = lathed_part("11,12 12.5,13 12.5,17 10,19 9,26 15,33 27,41 35,53 36,66 32,80 25,92 23,96 19,98 8,98")
    body = FilledOutline((body.outline - (50, 0)) * (belly, 1) + (50, 0))
    stopper = lathed_part("5,2 7,4 7,8 6,12", tone=0.6)
    return fit_drawing([*handle, body, stopper, ellipse(38, 56, 6, 14, angle=15, tone=1.4)], rng, warp=0)


def sports_bottle(rng: np.random.Generator) -> list[FilledOutline]:
    """A plastic drinking bottle with a waist to grip, a screw cap and a nozzle."""
    waist = rng.uniform(15, 17)
    body = lathed_part(f"11,27 13,30 19,37 20.5,44 {waist},54 {waist},60 20.5,70 20.5,92 19,98 15,100 8,100")
    cap = lathed_part("6,14 10,15 14,18 14.5,19 14.5,26 14,27", tone=0.6)
    nozzle = lathed_part("5,0 6.5,1 6.5,6 4,9 4,15", tone=1.4)
    gaps = [box(30, 27, 70, 29, hole=True), *(box(35, y, 65, y + 2.5, hole=True) for y in (76, 83, 90))]
    return fit_drawing([body, cap, nozzle, *gaps], rng, warp=0)


def key_row(
    x0: float, x1: float, y: float, height: float, widths: list[float], gap: float = 1.6
) -> list[FilledOutline]:
    """Keys side by side from x0 to x1, with the given relative widths."""
    edges = x0 + np.cumsum([0, *widths]) / sum(widths) * (x1 - x0 + gap)
    return [box(a, y, b - gap, y + height, tone=1.4) for a, b in itertools.pairwise(edges)]


def computer_keyboard(rng: np.random.Generator) -> list[FilledOutline]:
    """A flat computer keyboard from above: rows of square keys, the space bar below."""
    height = rng.uniform(7.6, 9.2)
    rows = [[1.0] * 12, [1.5] + [1.0] * 10 + [1.5], [1.8] + [1.0] * 9 + [2.2], [1.3, 1.3, 6.0, 1.3, 1.3]]
    pitch = height + 1.8
    keys = [key for i, row in enumerate(rows) for key in key_row(4.5, 95.5, 34 + i * pitch, height, row)]
    bottom = 34 + 4 * pitch
    frame = [box(0, 30, 100, bottom + 2.5, radius=3), box(3, 32.5, 97, bottom - 0.2, radius=1, hole=True)]
    return fit_drawing([*frame, *keys], rng, warp=0)


def ergonomic_keyboard(rng: np.random.Generator) -> list[FilledOutline]:
    """A gull-winged ergonomic keyboard: two fields of keys that slope down to the sides, wrist rest below."""
    slope = rng.uniform(10, 14)
    field = [box(6, 32, 45, 59, hole=True)]
    for row, widths in enumerate([[1.0] * 5, [1.4, 1, 1, 1, 1], [1.8, 1, 1, 1, 1], [1, 1, 3.2]]):
        field += key_row(7.2, 43.8, 33.2 + row * 6.5, 5.1, widths)
    field = rotate_parts(field, (50, 32), -slope)
    drop = 50 * np.sin(np.deg2rad(slope))
    right = np.array([(50, 27), (56, 27.5), (95, 27 + drop), (100, 31 + drop), (104, 64 + drop), (99, 72 + drop)])
    right = np.concatenate([right, [(80, 72 + drop), (62, 70), (50, 69)]])
    body = smooth_outline(np.concatenate([right, right[-2:0:-1] * (-1, 1) + (100, 0)]))
    return fit_drawing([body, *field, *mirror_parts(field)], rng, warp=0)


def typewriter_keys(
    rows: int, columns: int, y: float, half_width: float, widening: float, radius: float
) -> list[FilledOutline]:
    """Rows of round typewriter keys about x = 50, each row `widening` wider than the one above."""
    key = ellipse(0, 0, radius).outline[::3]
    return [
        FilledOutline(key + (x + (row % 2) * radius * 0.4, y + row * radius * 2.7), tone=1.4)
        for row in range(rows)
        for x in 50 + np.linspace(-1, 1, columns) * (half_width + row * widening)
    ]


def desk_typewriter(rng: np.random.Generator) -> list[FilledOutline]:
    """An old typewriter from the front: sheet of paper, roller with knobs, a slope of round keys."""
    sheet = box(28, 2 + rng.uniform(-2, 2), 72, 36, tone=1.5)
    lines = [box(34, y, 66, y + 2.2, hole=True) for y in (10, 16, 22)]
    roller = [box(8, 32, 92, 42, radius=3, tone=0.7), box(2, 33, 10, 41, radius=2), box(90, 33, 98, 41, radius=2)]
    body = corners("18,40 82,40 86,58 96,92 94,97 6,97 4,92 14,58")
    bars = [corners("30,46 70,46 64,56 36,56", hole=True)]
    pit = corners("17,60 83,60 91,92 9,92", hole=True)
    return fit_drawing(
        [sheet, *lines, *roller, body, *bars, pit, *typewriter_keys(4, 9, 64.5, 29, 2.2, 2.9)], rng, warp=0
    )


def portable_typewriter(rng: np.random.Generator) -> list[FilledOutline]:
    """A portable typewriter from above: carriage across the back, fan of type bars, round keys."""
    slide = rng.uniform(-3, 3)
    carriage = [box(2 + slide, 10, 98 + slide, 22, radius=2, tone=0.7), *limb(f"{6 + slide},16 {-4 + slide},5", [4, 4])]
    body = contour("14,20 50,19 86,20 92,40 94,70 90,90 50,92 10,90 6,70 8,40")
    fan = [ellipse(50, 46, 24, 19, hole=True), ellipse(50, 52, 20, 17)]
    pit = box(13, 52, 87, 87, radius=5, hole=True)
    return fit_drawing([*carriage, body, *fan, pit, *typewriter_keys(4, 9, 56.5, 31, 0.8, 3.0)], rng, warp=0)


def chefs_knife(rng: np.random.Generator) -> list[FilledOutline]:
    """A chef's knife: broad triangular blade, riveted handle."""
    blade = contour("0,60 20,47 42,43 66,42 66,60 64,62 40,63 18,62")
    handle = contour("66,42 72,41 86,43 97,41 101,46 99,52 90,52 78,53 66,52", tone=0.5)
    rivets = [ellipse(x, 47, 1.3, tone=1.5) for x in (73, 82, 91)]
    return fit_drawing(rotate_parts([blade, handle, *rivets], (50, 50), -35 + rng.uniform(-8, 8)), rng, warp=0)


def cleaver(rng: np.random.Generator) -> list[FilledOutline]:
    """A cleaver: rectangular blade with a hole, short handle."""
    blade = corners("2,30 4,28 62,28 62,60 58,64 30,66 2,64")
    handle = contour("60,29 68,30 84,30 97,28 101,33 98,39 84,38 68,39 60,40", tone=0.5)
    hole = ellipse(9, 35, 2.4, hole=True)
    return fit_drawing(rotate_parts([blade, handle, hole], (50, 50), rng.uniform(-14, 4)), rng, warp=0)


def pocket_knife(rng: np.random.Generator) -> list[FilledOutline]:
    """A pocket knife, its main blade half open and a small one at the other end."""
    blade = contour("13,60 9,50 10,34 13,18 20,4 23,3 29,14 33,28 32,44 25,52 27,60")
    blade = rotate_parts([blade, *limb("25,20 28,32", [1.8, 1.8], hole=True)], (20, 60), 8 + rng.uniform(-9, 9))
    small = rotate_parts([corners("88,58 97,30 85,42 78,58")], (84, 58), rng.uniform(-8, 8))
    handle = contour("10,60 16,54 30,52 50,51 78,52 91,55 96,63 92,72 80,76 50,75 24,75 13,71", tone=0.5)
    rivets = [ellipse(x, 63, 1.8, tone=1.5) for x in (20, 86)]
    return fit_drawing([*blade, *small, handle, *rivets], rng, warp=0)


def hunting_knife(rng: np.random.Generator) -> list[FilledOutline]:
    """A hunting knife: clip point, cross guard, grip with a pommel."""
    blade = contour("-4,44 8,44.5 18,43 24,41 25,41 62,41 64,50 62,57 61,57 30,58 14,56 4,51")
    guard = box(60, 35, 65, 65, radius=2.2)
    handle = contour(
        "64,44 70,43 76,46 82,43.5 88,46 94,42 95,42 101,43 102,56 95,58 94,58 88,55 82,57 76,55 70,57 64,56", tone=0.5
    )
    return fit_drawing(rotate_parts([blade, handle, guard], (50, 50), 40 + rng.uniform(-8, 8)), rng, warp=0)


SILHOUETTES: dict[str, dict[str, tuple[Kind, ...]]] = {
    "bottle": {"wine_bottle": (bordeaux, champagne), "water_jug": (jug, sports_bottle)},
    "keyboard": {
        "computer_keyboard": (computer_keyboard, ergonomic_keyboard),
        "typewriter": (desk_typewriter, portable_typewriter),
    },
    "knife": {"kitchen_knife": (chefs_knife, cleaver), "pocket_knife": (pocket_knife, hunting_knife)},
}
