"""Silhouettes of the animal categories; this module draws cats and dogs, its neighbours draw the others."""

import numpy as np

from shapebias.synthetic import bears_and_elephants as heavy
from shapebias.synthetic import birds
from shapebias.synthetic.parts import FilledOutline, ellipse
from shapebias.synthetic.sketching import Kind, contour, corners, fit_drawing, limb, mirror_parts, rotate_parts


def cat_head(x: float, y: float, size: float) -> list[FilledOutline]:
    """A cat's face from the front, `size` times as large as on its own 30-unit board, centred at (x, y)."""
    ear = corners("-14,-3 -13,-20 -2,-11")
    inner = corners("-12,-8 -11,-15 -6,-11", tone=0.7)
    eye = ellipse(-6, -2, 2, 2.4, tone=0.2)
    face = contour("-8,-11 8,-11 14,-4 14,4 8,11 0,13 -8,11 -14,4 -14,-4")
    muzzle = [ellipse(0, 6, 5.5, 4, tone=0.85), corners("-2,3 2,3 0,6", tone=0.2)]
    parts = [face, ear, inner, eye, *mirror_parts([ear, inner, eye], 0), *muzzle]
    return [FilledOutline(p.outline * size + (x, y), p.hole, p.tone) for p in parts]


def sitting_cat(rng: np.random.Generator) -> list[FilledOutline]:
    """A cat sitting sideways, face to the viewer, tail curling up behind it."""
    tail = limb("66,90 80,93 91,84 88,70 92,58", [8, 8, 7.5, 7, 6], turn=rng.uniform(-7, 7), tone=0.85)
    body = contour("25,30 40,26 52,36 64,54 72,74 71,90 62,96 40,96 22,96 21,91 28,86 29,70 25,52")
    gap = limb("42,62 45,78 42,90", [1.5, 2, 2], hole=True)  # between the foreleg and the thigh
    head = rotate_parts(cat_head(32, 22, 1.15), (34, 34), rng.uniform(-7, 7))
    return fit_drawing([*tail, body, *gap, *head], rng)


def walking_cat(rng: np.random.Generator) -> list[FilledOutline]:
    """A cat walking with its tail held high."""
    turns = rng.uniform(-6, 6, 5)
    far = limb("36,56 42,70 46,84 42,86", [11, 7, 5.5, 5], turn=turns[0], tone=0.7)
    far += limb("76,54 70,66 72,76 67,85 63,86", [14, 9, 6, 5.5, 5], turn=turns[1], tone=0.7)
    body = contour("22,42 34,36 48,37 64,37 78,36 87,43 87,54 78,60 62,62 46,64 32,62 24,54")
    near = limb("32,52 28,68 24,84 19,86", [14, 8, 6, 5], turn=turns[2])
    near += limb("79,48 80,64 88,74 86,85 81,86", [18, 11, 6.5, 6, 5], turn=turns[3])
    tail = limb("82,42 91,32 93,18 88,5", [9, 7, 6.5, 6], turn=turns[4])
    head = rotate_parts(cat_head(20, 35, 0.95), (26, 42), rng.uniform(-6, 6))
    return fit_drawing([*far, body, *near, *tail, *head], rng)


def lying_cat(rng: np.random.Generator) -> list[FilledOutline]:
    """A cat lying as a loaf, paws tucked in, tail laid around its front."""
    body = contour("14,62 28,50 46,43 66,42 84,50 95,66 96,80 88,88 60,90 30,90 14,86 9,76")
    gap = limb("97,76 88,85 66,86 46,85", [2, 2, 2, 2], hole=True)
    tail = limb("95,78 87,88 68,90 46,89", [8, 8, 7.5, 6], tone=0.7)
    paws = [ellipse(22, 88, 9, 4.5), ellipse(36, 89, 8, 4)]
    head = rotate_parts(cat_head(29, 52, 1.35), (32, 62), rng.uniform(-7, 7))
    return fit_drawing([body, *gap, *tail, *paws, *head], rng)


def arching_cat(rng: np.random.Generator) -> list[FilledOutline]:
    """A frightened cat: arched back, straight legs, bristling tail."""
    turns = rng.uniform(-5, 5, 5)
    far = limb("38,44 39,68 40,89 36,91", [12, 8, 6, 5], turn=turns[0], tone=0.7)
    far += limb("70,44 66,66 69,78 67,89 63,91", [14, 10, 7, 6, 5], turn=turns[1], tone=0.7)
    back = limb("24,50 34,34 50,22 66,28 76,44", [15, 24, 27, 27, 22])
    near = limb("32,42 29,66 28,90 23,92", [15, 9, 6, 5], turn=turns[2])
    near += limb("76,44 77,64 83,76 81,90 76,92", [20, 12, 7, 6, 5], turn=turns[3])
    tail = limb("80,40 90,30 88,16 93,2", [9, 10, 10, 4], turn=turns[4])
    head = rotate_parts(cat_head(17, 50, 0.9), (24, 50), rng.uniform(-8, 8))
    return fit_drawing([*far, *tail, *back, *near, *head], rng)


def standing_shepherd(rng: np.random.Generator) -> list[FilledOutline]:
    """A German shepherd standing: pricked ears, sloping back, hanging brush."""
    turns = rng.uniform(-5, 5, 5)
    far = limb("44,56 48,76 51,93 46,96", [13, 8, 6.5, 5], turn=turns[0], tone=0.7)
    far += limb("72,52 64,66 68,80 61,94 56,96", [18, 12, 7.5, 6.5, 5], turn=turns[1], tone=0.7)
    tail = limb("84,42 96,49 104,61 105,74", [8, 9, 10, 4], turn=turns[2], tone=0.85)
    body = contour(
        "0,25 2,19 13,17 19,10 28,7 37,12 45,22 54,29 66,32 80,35 88,44 86,56 71,57 44,66 34,62 29,50 25,37 14,34 3,32"
    )
    near = limb("38,54 36,76 35,96 29,98", [17, 9, 7, 5.5], turn=turns[3])
    near += limb("79,46 76,64 87,78 84,96 78,98", [22, 15, 8, 7, 5.5], turn=turns[4])
    head = [corners("24,12 31,-5 38,16"), corners("19,12 23,-3 31,9", tone=0.7)]
    head += [ellipse(18, 18, 1.3, tone=0.2), ellipse(2, 22, 2.4, tone=0.2)]
    return fit_drawing([*far, *tail, body, *near, *head], rng)


def sitting_shepherd(rng: np.random.Generator) -> list[FilledOutline]:
    """A German shepherd sitting, tail on the ground."""
    turns = rng.uniform(-4, 4, 3)
    tail = limb("72,90 88,95 103,88", [9, 10, 4], turn=turns[0], tone=0.85)
    far = limb("44,56 44,76 42,91 36,94", [13, 8, 7, 5.5], turn=turns[1], tone=0.7)
    body = contour(
        "1,24 3,18 15,15 21,8 31,4 41,9 47,21 56,36 68,54 78,74 77,91 66,97 58,88 50,74 38,66 31,52 31,40 26,35 3,31"
    )
    thigh = [ellipse(66, 80, 12, 14), *limb("66,84 60,94 49,95", [14, 9, 7])]
    near = limb("38,54 36,74 34,92 28,95", [16, 9, 7.5, 5.5], turn=turns[2])
    head = [corners("26,9 34,-8 41,13"), corners("21,10 26,-6 34,6", tone=0.7)]
    head += [ellipse(20, 15, 1.3, tone=0.2), ellipse(3, 21, 2.4, tone=0.2)]
    return fit_drawing([*tail, *far, body, *thigh, *near, *head], rng)


def standing_dachshund(rng: np.random.Generator) -> list[FilledOutline]:
    """A dachshund from the side: long low body, short legs, hanging ear."""
    turns = rng.uniform(-7, 7, 5)
    far = limb("38,58 42,68 44,78 40,80", [10, 8, 7, 5.5], turn=turns[0], tone=0.7)
    far += limb("78,56 72,66 74,73 71,79 67,81", [14, 9, 7, 7, 5.5], turn=turns[1], tone=0.7)
    tail = limb("86,46 93,40 99,29", [6, 5, 3.5], turn=turns[2])
    body = contour(
        "1,36 4,32 13,29 18,24 26,23 32,30 38,40 60,43 80,42 90,50 88,60 72,63 52,65 36,67 27,58 22,44 13,41 3,40"
    )
    near = limb("32,58 30,68 30,80 25,82", [14, 9, 8, 6], turn=turns[3])
    near += limb("84,54 83,66 89,73 87,80 82,82", [17, 11, 8, 8, 6], turn=turns[4])
    gap = contour("24,25 32,27 36,38 32,50 26,46 23,36", hole=True)
    ear = contour("24,25 30,28 34,38 31,48 26,44 24,36", tone=0.7)
    return fit_drawing(
        [*far, *tail, body, *near, gap, ear, ellipse(17, 29, 1.4, tone=0.2), ellipse(3, 34, 2, tone=0.2)], rng
    )


def begging_dachshund(rng: np.random.Generator) -> list[FilledOutline]:
    """A dachshund sitting up to beg, forepaws raised."""
    turns = rng.uniform(-8, 8, 3)
    tail = limb("62,90 76,94 88,86", [7, 6, 4], turn=turns[0])
    far = limb("40,40 29,43 21,38", [10, 7, 6], turn=turns[1], tone=0.7)
    body = contour(
        "6,21 9,16 20,13 26,7 36,6 44,14 52,30 60,50 67,72 68,88 60,97 44,96 40,84 39,66 35,48 33,34 28,26 18,27 8,26"
    )
    foot = limb("56,84 44,93 27,94", [22, 12, 8])
    near = limb("40,46 28,54 20,51", [12, 8, 6.5], turn=turns[2])
    gap = contour("36,8 45,12 50,24 46,37 39,33 36,20", hole=True)
    ear = contour("36,8 43,13 48,24 45,35 39,31 37,20", tone=0.7)
    return fit_drawing(
        [*tail, *far, body, *foot, *near, gap, ear, ellipse(24, 13, 1.4, tone=0.2), ellipse(7, 19, 2, tone=0.2)], rng
    )


SILHOUETTES: dict[str, dict[str, tuple[Kind, ...]]] = {
    "bear": {
        "brown_bear": (heavy.walking_bear, heavy.standing_bear),
        "polar_bear": (heavy.sitting_polar_bear, heavy.prowling_polar_bear),
    },
    "bird": {
        "songbird": (birds.perched_songbird, birds.flying_songbird),
        "wader": (birds.standing_heron, birds.flying_stork),
    },
    "cat": {"tabby": (sitting_cat, walking_cat), "siamese": (lying_cat, arching_cat)},
    "dog": {
        "shepherd": (standing_shepherd, sitting_shepherd),
        "dachshund": (standing_dachshund, begging_dachshund),
    },
    "elephant": {
        "african_elephant": (heavy.african_elephant_side, heavy.african_elephant_front),
        "indian_elephant": (heavy.trumpeting_elephant, heavy.walking_elephant),
    },
}
