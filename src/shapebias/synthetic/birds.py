"""Silhouettes of birds: a songbird and a long-legged wader, each at rest and in flight."""

import numpy as np

from shapebias.synthetic.parts import FilledOutline, ellipse
from shapebias.synthetic.sketching import contour, corners, fit_drawing, limb, rotate_parts


def perched_songbird(rng: np.random.Generator) -> list[FilledOutline]:
    """A round-headed songbird on a twig, tail pointing down."""
    twig = limb("16,93 46,91 78,94", [4, 4.5, 4], tone=0.6)
    legs = limb("46,72 44,82 45,91", [5, 3.5, 4], tone=0.6) + limb("56,74 56,83 58,91", [5, 3.5, 4], tone=0.6)
    tail = rotate_parts([corners("66,58 78,58 98,88 88,93")], (70, 62), rng.uniform(-9, 9))
    body = contour("19,26 25,16 36,13 45,19 54,32 68,46 80,66 70,74 56,78 40,76 26,66 19,52 18,38")
    beak = rotate_parts([corners("21,22 4,29 20,33", tone=0.6)], (22, 28), rng.uniform(-8, 8))
    gap = contour("38,36 52,40 66,56 78,75 60,71 44,62", hole=True)  # sets the wing off from the breast
    wing = contour("40,34 54,38 68,54 84,76 62,68 46,58", tone=0.7)
    return fit_drawing([*twig, *legs, *tail, *beak, body, gap, wing, ellipse(28, 25, 2, tone=0.2)], rng)


def flying_songbird(rng: np.random.Generator) -> list[FilledOutline]:
    """A songbird in flight, both wings raised, tail fanned."""
    beat = rng.uniform(-9, 9, 2)
    far = rotate_parts([contour("26,58 18,42 8,24 4,10 16,16 28,28 38,42 42,56", tone=0.75)], (34, 58), beat[0])
    near = contour("32,58 36,40 46,22 64,4 67,12 66,20 72,22 70,31 73,35 67,43 67,49 58,60 46,66")
    body = contour("10,60 15,52 24,51 38,56 54,60 68,66 78,70 66,76 50,77 32,74 18,69")
    tail = rotate_parts([corners("64,65 97,62 95,70 98,76 91,80 88,86 64,75")], (66, 70), rng.uniform(-8, 8))
    beak = corners("13,55 1,61 13,65", tone=0.6)
    return fit_drawing(
        [*far, *tail, beak, body, *rotate_parts([near], (44, 60), beat[1]), ellipse(18, 58, 1.8, tone=0.2)], rng
    )


def standing_heron(rng: np.random.Generator) -> list[FilledOutline]:
    """A heron on long legs: S-shaped neck, dagger bill, plume."""
    turns = rng.uniform(-4, 4, 2)
    legs = limb("52,60 50,78 53,97 45,98", [5, 4, 4, 3.5], turn=turns[0], tone=0.7)
    legs += limb("60,60 66,78 64,97 56,98", [5, 4, 4, 3.5], turn=turns[1])
    head = [corners("22,4 0,14 23,16", tone=0.6), ellipse(25, 10, 8, 6), *limb("28,6 36,9 43,15", [5, 4, 2])]
    head = rotate_parts([*head, ellipse(22, 9, 1.3, tone=0.2)], (27, 12), rng.uniform(-7, 7))
    neck = limb("27,11 33,19 30,28 26,36 30,45 44,50", [9, 7, 7, 9, 13, 20])
    body = contour("30,46 40,39 54,40 70,50 84,62 94,73 80,71 64,68 48,66 34,58")
    wing = contour("44,44 60,48 78,63 88,71 66,64 50,57", tone=0.7)
    return fit_drawing([*legs, *neck, body, wing, *head], rng)


def flying_stork(rng: np.random.Generator) -> list[FilledOutline]:
    """A stork in flight: outstretched neck, fingered wings, long legs trailing."""
    beat = rng.uniform(-8, 8, 2)
    legs = limb("66,62 80,69 97,75", [6, 4, 4.5], turn=rng.uniform(-4, 4), tone=0.7)
    far = contour("32,58 26,40 18,22 8,4 20,6 32,18 42,36 50,54", tone=0.75)
    near = contour("40,60 45,36 52,14 64,-8 68,1 73,-3 75,6 81,6 80,16 85,21 77,40 66,56 55,65")
    body = contour("28,56 42,53 58,55 70,60 82,70 66,70 50,69 35,65")
    neck = limb("14,46 23,53 35,59", [8, 7.5, 13])
    head = [ellipse(13, 46, 7, 5.5), corners("14,41 -6,46 12,51", tone=0.6)]
    return fit_drawing(
        [*legs, *rotate_parts([far], (42, 58), beat[0]), body, *neck, *head, *rotate_parts([near], (52, 60), beat[1])],
        rng,
    )
