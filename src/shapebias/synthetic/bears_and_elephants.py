"""Silhouettes of the heavy animals: two bears and two elephants, each in two poses."""

import numpy as np

from shapebias.synthetic.parts import FilledOutline, ellipse
from shapebias.synthetic.sketching import contour, fit_drawing, limb, mirror_parts


def walking_bear(rng: np.random.Generator) -> list[FilledOutline]:
    """A brown bear on all fours: shoulder hump, head carried low, heavy paws."""
    turns = rng.uniform(-6, 6, 4)
    far = limb("42,56 46,70 49,83 44,86", [16, 13, 10, 7], turn=turns[0], tone=0.7)
    far += limb("76,54 70,69 67,83 61,86", [18, 14, 10, 7], turn=turns[1], tone=0.7)
    body = contour(
        "3,51 6,46 13,43 17,37 25,34 36,24 45,26 58,32 72,30 85,34 92,44 93,56 88,64 66,66 50,67 34,64 24,59 14,58 6,57"
    )
    near = limb("34,54 28,70 25,84 19,87", [20, 14, 11, 8], turn=turns[2])
    near += limb("82,48 82,68 87,84 80,87", [24, 16, 11, 8], turn=turns[3])
    face = [ellipse(22, 34, 4.2 + rng.uniform(-0.5, 0.5)), ellipse(14, 48, 1.3, tone=0.2)]
    face += [ellipse(6, 53, 4, 4, tone=0.85), ellipse(4, 51, 1.8, tone=0.2)]
    return fit_drawing([*far, body, *near, *face], rng)


def standing_bear(rng: np.random.Generator) -> list[FilledOutline]:
    """A brown bear upright on its hind legs, seen from the front with raised paws."""
    raised = rng.uniform(-10, 10, 2)
    arms = limb("34,40 18,44 10,32", [18, 14, 13], turn=raised[0])
    arms += limb("66,40 82,44 90,32", [18, 14, 13], turn=raised[1])
    legs = limb("40,74 36,86 34,95 28,97", [24, 18, 14, 9]) + limb("60,74 64,86 66,95 72,97", [24, 18, 14, 9])
    body = contour("40,26 60,26 70,36 73,54 72,72 64,82 50,84 36,82 28,72 27,54 30,36")
    ear = 5.5 + rng.uniform(-0.6, 0.6)
    head = [ellipse(38, 7, ear), ellipse(62, 7, ear), ellipse(50, 17, 16, 14)]
    face = [ellipse(50, 22, 8, 6.5, tone=0.85), ellipse(50, 19, 3, 2, tone=0.2)]
    face += [ellipse(43, 14, 1.5, tone=0.2), ellipse(57, 14, 1.5, tone=0.2)]
    return fit_drawing([*arms, *legs, body, *head, *face], rng)


def sitting_polar_bear(rng: np.random.Generator) -> list[FilledOutline]:
    """A polar bear sitting upright on its rump like a person, hind legs stretched out in front."""
    turns = rng.uniform(-7, 7, 3)
    far = limb("58,82 40,80 24,82 17,74", [24, 18, 14, 9], turn=turns[0], tone=0.7)
    far += limb("50,40 38,52 30,62 26,66", [18, 14, 12, 10], turn=turns[1], tone=0.7)
    body = contour(
        "14,20 20,14 29,12 36,5 46,5 56,13 66,24 78,40 87,58 90,76 83,93 52,93 44,76 44,58 42,42 36,32 27,28 16,27"
    )
    hind = limb("70,82 50,88 32,91 22,90 16,82", [32, 22, 16, 14, 9], turn=turns[2] / 2)
    fore = limb("58,42 46,58 36,70 32,74", [22, 16, 12, 10], turn=turns[2])
    face = [ellipse(43, 4, 4.2), ellipse(28, 17, 1.3, tone=0.2), ellipse(15, 22, 2, tone=0.2)]
    return fit_drawing([*far, body, *hind, *fore, *face], rng)


def prowling_polar_bear(rng: np.random.Generator) -> list[FilledOutline]:
    """A polar bear walking with its nose to the ice: the rump is the highest point."""
    turns = rng.uniform(-6, 6, 4)
    far = limb("46,52 51,70 55,84 49,88", [18, 13, 11, 8], turn=turns[0], tone=0.7)
    far += limb("74,52 67,70 63,84 57,88", [20, 14, 11, 8], turn=turns[1], tone=0.7)
    body = contour(
        "1,72 2,66 9,61 13,53 20,47 32,40 44,33 60,30 76,27 88,32 94,45 91,58 70,61 40,62 32,66 24,74 14,78 6,80 2,77"
    )
    near = limb("42,46 37,68 34,86 27,90", [22, 14, 11, 8], turn=turns[2])
    near += limb("83,44 84,68 91,87 84,91", [25, 16, 11, 8], turn=turns[3])
    face = [ellipse(23, 46, 4.2), ellipse(13, 60, 1.3, tone=0.2), ellipse(3, 70, 2.2, tone=0.2)]
    return fit_drawing([*far, body, *near, *face], rng)


def african_elephant_side(rng: np.random.Generator) -> list[FilledOutline]:
    """An African elephant from the side: hollow back, huge ear, long tusk."""
    turns = rng.uniform(-4, 4, 6)
    far = limb("46,58 50,76 50,92", [16, 13, 13], turn=turns[0], blunt=True, tone=0.7)
    far += limb("74,58 69,76 68,92", [17, 13, 13], turn=turns[1], blunt=True, tone=0.7)
    body = contour(
        "10,30 16,20 27,15 38,20 46,20 58,26 70,21 82,25 90,36 91,50 86,64 70,66 50,67 36,66 28,60 20,54 12,44"
    )
    near = limb("37,56 35,75 34,95", [18, 14, 14], turn=turns[2], blunt=True)
    near += limb("80,46 81,72 84,95", [24, 16, 14], turn=turns[3], blunt=True)
    trunk = limb("16,36 6,52 3,68 4,80 10,87 16,83", [17, 12, 9, 7.5, 6.5, 5.5], turn=turns[4])
    tail = limb("89,35 97,46 98,62", [4, 3.5, 5], turn=turns[5])
    tusk = limb("16,52 4,61 -6,59", [5, 5, 3.5], tone=1.5)
    ear = contour("25,22 37,18 47,26 50,40 45,54 38,63 32,54 27,42", tone=0.75)
    gap = contour("25,22 38,15 50,24 53,40 48,56 38,66 32,57 27,42", hole=True)  # sets the ear off from the shoulder
    return fit_drawing([*far, body, *near, *tail, *trunk, *tusk, gap, ear, ellipse(17, 34, 1.4, tone=0.2)], rng)


def african_elephant_front(rng: np.random.Generator) -> list[FilledOutline]:
    """An African elephant facing the viewer, ears spread."""
    flap, swing = rng.uniform(0.92, 1.06), rng.uniform(-5, 5)
    ear = contour("40,18 26,7 10,9 0,26 5,46 18,60 29,56 39,44", tone=0.75)
    ear = FilledOutline((ear.outline - (40, 30)) * (flap, 1) + (40, 30), tone=0.75)
    gap = limb("35,16 34,30 36,42 40,54", [1.5, 2, 2, 2], hole=True)  # sets the head off from the ear
    leg = limb("32,54 28,78 27,99", [20, 14, 15], turn=rng.uniform(-3, 3), blunt=True)
    body = contour("30,40 50,30 70,40 78,54 72,63 50,65 28,63 22,54", tone=0.7)
    head = contour("36,22 41,10 50,10 59,10 64,22 64,42 57,56 43,56 36,42")
    trunk = limb("50,36 50,56 50,72 49,86 54,95", [26, 14, 10, 9, 8], turn=swing)
    tusk = limb("43,52 38,64 40,79", [6, 5.5, 4], tone=1.5)
    eyes = [ellipse(40, 34, 1.5, tone=0.2), ellipse(60, 34, 1.5, tone=0.2)]
    side = [*leg, body, ear]
    return fit_drawing(
        [*side, *mirror_parts(side), head, *gap, *mirror_parts(gap), *trunk, *tusk, *mirror_parts(tusk), *eyes], rng
    )


def trumpeting_elephant(rng: np.random.Generator) -> list[FilledOutline]:
    """An Indian elephant with its trunk raised above its head."""
    turns = rng.uniform(-4, 4, 6)
    far = limb("46,62 42,78 39,95", [16, 13, 13], turn=turns[0], blunt=True, tone=0.7)
    far += limb("72,62 69,78 69,95", [17, 13, 13], turn=turns[1], blunt=True, tone=0.7)
    body = contour(
        "16,36 20,27 28,22 34,26 40,27 54,23 68,25 82,31 90,42 91,56 86,68 70,71 50,72 38,70 31,62 24,57 17,48"
    )
    near = limb("40,60 46,78 48,97", [18, 14, 14], turn=turns[2], blunt=True)
    near += limb("80,52 80,74 84,97", [24, 16, 14], turn=turns[3], blunt=True)
    trunk = limb("22,42 12,44 5,36 5,24 10,13 18,8", [16, 12, 10, 8, 7, 6], turn=turns[4])
    tail = limb("89,40 98,50 99,64", [4, 3.5, 5], turn=turns[5])
    tusk = limb("23,54 15,59 9,56", [5, 4.5, 3], tone=1.5)
    ear = contour("31,34 38,34 42,42 39,54 34,58 30,48", tone=0.75)
    gap = contour("31,34 40,31 45,41 42,56 34,61 30,48", hole=True)
    return fit_drawing([*far, body, *near, *tail, *trunk, *tusk, gap, ear, ellipse(23, 36, 1.4, tone=0.2)], rng)


def walking_elephant(rng: np.random.Generator) -> list[FilledOutline]:
    """An Indian elephant in mid-stride: domed head, arched back, trunk reaching the ground."""
    turns = rng.uniform(-5, 5, 6)
    far = limb("46,56 52,74 57,90", [16, 13, 12], turn=turns[0], blunt=True, tone=0.7)
    far += limb("72,56 65,74 60,90", [17, 13, 12], turn=turns[1], blunt=True, tone=0.7)
    body = contour(
        "9,28 13,16 21,11 28,15 34,20 46,15 60,14 76,19 88,32 90,46 86,60 70,65 50,66 36,64 27,56 19,52 11,42"
    )
    near = limb("38,54 33,74 29,93", [18, 14, 13], turn=turns[2], blunt=True)
    near += limb("79,44 83,70 88,93", [24, 16, 13], turn=turns[3], blunt=True)
    trunk = limb("15,34 11,50 12,66 8,80 1,88", [17, 12, 9, 8, 6], turn=turns[4])
    tail = limb("88,34 98,46 100,61", [4, 3.5, 5], turn=turns[5])
    tusk = limb("18,50 9,57 1,55", [5, 4.5, 3], tone=1.5)
    ear = contour("27,26 35,26 41,34 39,47 33,53 28,43", tone=0.75)
    gap = contour("27,26 37,23 44,33 42,49 33,56 28,43", hole=True)
    return fit_drawing([*far, body, *near, *tail, *trunk, *tusk, gap, ear, ellipse(17, 30, 1.4, tone=0.2)], rng)
