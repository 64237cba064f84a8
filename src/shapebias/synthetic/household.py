"""Silhouettes of things in a house: chairs, clocks, ovens."""

from collections.abc import Callable

import numpy as np

from shapebias.synthetic.parts import (
    FilledOutline,
    Points,
    box,
    ellipse,
    polygon,
    rotation,
    smooth_outline,
    stroke,
    transform_parts,
)

Kind = Callable[[np.random.Generator], list[FilledOutline]]
Point = tuple[float, float] | np.ndarray

MIRROR = np.diag([-1.0, 1.0])  # left becomes right


def bar(start: Point, end: Point, width: float, *, tone: float = 1.0) -> FilledOutline:
    """A straight line with flat ends."""
    return stroke(np.array([start, end]), width, tone=tone)[-1]


def symmetric_part(right: Points, *, hole: bool = False, tone: float = 1.0) -> FilledOutline:
    """A smooth outline that is its own mirror image, from the right half, top to bottom."""
    half = np.asarray(right, dtype=np.float64)
    left = half[half[:, 0] > 0.5][::-1]  # points on the axis appear only once
    return smooth_outline(np.concatenate([half, left * (-1, 1) + (1, 0)]), hole=hole, tone=tone)


def ladder_back_chair(rng: np.random.Generator) -> list[FilledOutline]:
    """Three-quarter view: two back posts with slats between them, seat, four legs."""
    lean, depth = rng.uniform(0.02, 0.06), rng.uniform(0.19, 0.22)
    a, b = np.array([0.23, 0.56]), np.array([0.60, 0.51])  # the rear corners of the seat
    c, d = b + (depth, 0.08), a + (depth, 0.10)
    slats = [
        bar(a + (-lean * t, -0.50 * t), b + (-lean * t, -0.47 * t), 0.06, tone=0.8) for t in np.linspace(0.32, 0.94, 4)
    ]
    legs = [
        *stroke(np.array([b + (-lean, -0.47), b, (0.61, 0.84)]), 0.045, tone=0.7),
        *stroke(np.array([a + (-lean, -0.49), a, (0.22, 0.92)]), 0.05),
        *stroke(np.array([d, d + (0.01, 0.28)]), 0.05),
        *stroke(np.array([c, c + (0.01, 0.28)]), 0.05),
    ]
    rails = [bar((0.23, 0.77), d + (0, 0.15), 0.035), bar(d + (0, 0.15), c + (0, 0.15), 0.035, tone=0.7)]
    corners = [a - (0.03, 0), b, c + (0.03, 0), c + (0.03, 0.05), d + (0, 0.06), a + (-0.03, 0.05)]
    seat = polygon(np.array(corners), tone=1.3)
    return [*legs, *rails, *slats, seat]


def windsor_chair(rng: np.random.Generator) -> list[FilledOutline]:
    """Front view: a hooped back with spindles, saddle seat, splayed legs."""
    top, splay = rng.uniform(0.05, 0.08), rng.uniform(0.05, 0.08)
    hoop = symmetric_part([(0.5, top), (0.71, 0.15), (0.78, 0.36), (0.73, 0.60)])
    inside = symmetric_part([(0.5, top + 0.055), (0.67, 0.19), (0.72, 0.36), (0.68, 0.60)], hole=True)
    spindles = [
        part
        for x in (-1.5, -0.5, 0.5, 1.5)
        for part in stroke([(0.5 + 0.09 * x, 0.14), (0.5 + 0.08 * x, 0.58)], 0.03, tone=0.7)
    ]
    legs = [
        *stroke([(0.62, 0.62), (0.64, 0.86)], 0.04, tone=0.6),
        *stroke([(0.70, 0.62), (0.74 + splay, 0.94)], (0.06, 0.045)),
        *stroke([(0.5, 0.78), (0.73 + 0.3 * splay, 0.78)], 0.03),
    ]
    seat = symmetric_part([(0.5, 0.565), (0.80, 0.58), (0.82, 0.62), (0.74, 0.66), (0.5, 0.665)], tone=1.3)
    return [hoop, inside, *spindles, *legs, *transform_parts(legs, MIRROR), seat]


def wing_armchair(rng: np.random.Generator) -> list[FilledOutline]:
    """Front view: padded back with wings, rolled arms, cushion, short legs."""
    top, wing = rng.uniform(0.05, 0.08), rng.uniform(0.26, 0.29)
    ear = [(0.63, 0.60), (0.64, 0.30), (0.65, 0.16), (0.72, 0.13), (0.5 + wing, 0.20), (0.5 + wing, 0.32), (0.74, 0.50)]
    half = [
        polygon([(0.70, 0.84), (0.82, 0.84), (0.79, 0.95), (0.74, 0.95)], tone=0.4),
        smooth_outline([*ear, (0.73, 0.62)], tone=0.8),
        box(0.74, 0.54, 0.91, 0.86, radius=0.03),
        ellipse(0.84, 0.54, 0.105, 0.085, tone=1.2),
        box(0.725, 0.54, 0.745, 0.74, hole=True),  # seams, so that the silhouette shows its seat
    ]
    back = symmetric_part([(0.5, top), (0.58, top + 0.015), (0.66, 0.12), (0.69, 0.30), (0.67, 0.60)], tone=0.9)
    return [
        *half,
        *transform_parts(half, MIRROR),
        back,
        box(0.20, 0.74, 0.80, 0.86, tone=0.8),
        box(0.275, 0.59, 0.725, 0.745, radius=0.03, tone=1.3),
        box(0.255, 0.735, 0.745, 0.755, hole=True),
    ]


def rocking_chair(rng: np.random.Generator) -> list[FilledOutline]:
    """Side view, facing right: tall raked back, armrest, curved rocker."""
    rake, sag = rng.uniform(0.14, 0.18), rng.uniform(0.05, 0.07)
    bend = np.linspace(-1, 1, 9)
    rocker = np.stack([0.5 + 0.44 * bend, 0.91 - sag * 1.6 * bend**2], axis=1)
    return [
        *stroke(rocker, 0.05, tone=0.6),
        *stroke([(0.31 - rake, 0.06), (0.31, 0.58)], (0.055, 0.07)),
        *stroke([(0.31, 0.58), (0.29, 0.88)], 0.05),
        *stroke([(0.71, 0.40), (0.70, 0.58), (0.72, 0.88)], 0.05),
        *stroke([(0.25, 0.38), (0.76, 0.40)], (0.045, 0.055)),
        *stroke([(0.29, 0.75), (0.71, 0.75)], 0.03, tone=0.7),
        *stroke([(0.29, 0.58), (0.74, 0.57)], 0.075, tone=1.3),
    ]


def face(rng: np.random.Generator, x: float, y: float, radius: float, ticks: int = 12) -> list[FilledOutline]:
    """A bright dial; hour marks and two hands are cut out, so that the silhouette shows them."""
    hour = rng.uniform(0, 360)
    minute = hour + rng.choice([-1, 1]) * rng.uniform(60, 150)  # the hands never align: they would look like one hand
    cuts = [(360 / ticks * i, 0.80, 0.97, 0.032) for i in range(ticks)]
    cuts += [(hour, -0.04, 0.50, 0.05), (minute, -0.06, 0.76, 0.04)]
    parts = [ellipse(x, y, radius, tone=1.5)]
    for angle, start, end, width in cuts:
        upright = box(0.5 - width / 2, 0.5 - end * radius, 0.5 + width / 2, 0.5 - start * radius, hole=True)
        parts += transform_parts([upright], rotation(angle), (x - 0.5, y - 0.5))
    return parts


def wall_clock(rng: np.random.Generator) -> list[FilledOutline]:
    """A round clock with a thick rim."""
    r = rng.uniform(0.43, 0.46)
    return [ellipse(0.5, 0.5, r, tone=0.5), *face(rng, 0.5, 0.5, r - 0.06)]


def grandfather_clock(rng: np.random.Generator) -> list[FilledOutline]:
    """Hood with a dial, narrow waist with a window on the pendulum, broad foot."""
    swing, waist = rng.uniform(-0.03, 0.03), rng.uniform(0.14, 0.16)
    half = [
        box(0.5, 0.15, 0.70, 0.195),
        box(0.5, 0.15, 0.68, 0.46, tone=0.8),
        box(0.5, 0.44, 0.71, 0.485),
        box(0.5, 0.48, 0.5 + waist, 0.83, tone=0.8),
        box(0.5, 0.81, 0.68, 0.94),
        box(0.5, 0.92, 0.72, 0.965, tone=0.6),
    ]
    return [
        symmetric_part([(0.5, 0.075), (0.64, 0.11), (0.69, 0.16), (0.5, 0.17)]),
        ellipse(0.5, 0.065, 0.035, tone=0.6),
        *half,
        *transform_parts(half, MIRROR),
        ellipse(0.5, 0.32, 0.155, hole=True),  # a gap: otherwise the small dial blends into the hood
        *face(rng, 0.5, 0.32, 0.125, ticks=0),
        box(0.41, 0.53, 0.59, 0.78, hole=True),
        polygon([(0.485, 0.52), (0.515, 0.52), (0.515 + swing, 0.70), (0.485 + swing, 0.70)], tone=1.3),
        ellipse(0.5 + swing, 0.70, 0.05, tone=1.6),
    ]


def alarm_clock(rng: np.random.Generator) -> list[FilledOutline]:
    """Twin bells with a hammer between them, two feet."""
    r, tilt = rng.uniform(0.31, 0.33), rng.uniform(34, 40)
    upright = [
        box(0.48, 0.04, 0.52, 0.12),
        symmetric_part([(0.5, 0.05), (0.57, 0.06), (0.64, 0.12), (0.66, 0.19), (0.5, 0.2)], tone=0.7),
    ]
    bell = transform_parts(upright, rotation(tilt), (-0.015, 0.005))
    post_and_foot = [
        bar((0.5, 0.57), (0.77, 0.20), 0.035),
        *stroke([(0.6, 0.69), (0.80, 0.93)], (0.09, 0.055), tone=0.5),
    ]
    return [
        *bell,
        *transform_parts(bell, MIRROR),
        ellipse(0.5, 0.57, r + 0.025, hole=True),  # a gap under the bells
        *post_and_foot,
        *transform_parts(post_and_foot, MIRROR),
        box(0.485, 0.12, 0.515, 0.30),
        box(0.45, 0.07, 0.55, 0.13, radius=0.02, tone=0.5),
        ellipse(0.5, 0.57, r, tone=0.6),
        *face(rng, 0.5, 0.57, r - 0.04),
    ]


def mantel_clock(rng: np.random.Generator) -> list[FilledOutline]:
    """A round dial in a wooden case that runs out to both sides, on a plinth."""
    r, shoulder = rng.uniform(0.21, 0.225), rng.uniform(0.57, 0.61)
    case = symmetric_part(
        [
            (0.5, 0.175),
            (0.62, 0.22),
            (0.71, 0.38),
            (0.75, shoulder),
            (0.83, 0.66),
            (0.91, 0.69),
            (0.93, 0.74),
            (0.5, 0.76),
        ]
    )
    feet = [box(x, 0.80, x + 0.11, 0.86, radius=0.02, tone=0.5) for x in (0.09, 0.80)]
    plinth = box(0.04, 0.74, 0.96, 0.81, radius=0.02, tone=0.7)
    gap = [ellipse(0.5, 0.46, r, hole=True)]
    return [case, *feet, plinth, *gap, *face(rng, 0.5, 0.46, r - 0.03, ticks=4)]


def stove(rng: np.random.Generator) -> list[FilledOutline]:
    """A free-standing cooker from the front: pot on the hob, knobs, handle, oven window, feet."""
    pot = rng.uniform(0.30, 0.36)
    return [
        *(box(x, 0.90, x + 0.07, 0.955, tone=0.4) for x in (0.18, 0.75)),
        box(0.14, 0.30, 0.86, 0.92, radius=0.02),
        box(0.10, 0.28, 0.90, 0.33, radius=0.01, tone=0.5),
        box(pot - 0.10, 0.11, pot + 0.12, 0.25, radius=0.02, tone=0.7),
        *stroke([(pot - 0.15, 0.15), (pot + 0.17, 0.15)], 0.03, tone=0.5),
        box(pot - 0.11, 0.08, pot + 0.13, 0.11, tone=0.5),
        ellipse(pot + 0.01, 0.065, 0.025, tone=0.5),
        box(0.56, 0.17, 0.76, 0.25, radius=0.015, tone=0.7),
        *stroke([(0.74, 0.20), (0.93, 0.17)], 0.035, tone=0.5),
        *(box(x, 0.245, x + 0.24, 0.29, tone=0.3) for x in (pot - 0.11, 0.54)),
        *(ellipse(x, 0.395, 0.03, hole=True) for x in np.linspace(0.23, 0.77, 5)),
        *stroke([(0.24, 0.49), (0.76, 0.49)], 0.04, tone=0.25),
        box(0.25, 0.57, 0.75, 0.79, radius=0.03, hole=True),
        box(0.24, 0.67, 0.76, 0.70, tone=0.4),
    ]


def iron_range(rng: np.random.Generator) -> list[FilledOutline]:
    """A cast-iron kitchen range: stovepipe, hot plate, doors, curved legs."""
    pipe = rng.uniform(0.70, 0.74)
    leg = smooth_outline([(0.74, 0.78), (0.86, 0.78), (0.84, 0.86), (0.90, 0.94), (0.80, 0.94), (0.78, 0.86)], tone=0.5)
    return [
        leg,
        *transform_parts([leg], MIRROR),
        box(pipe - 0.06, 0.04, pipe + 0.06, 0.42, tone=0.6),
        box(pipe - 0.09, 0.12, pipe + 0.09, 0.17, tone=0.5),
        box(0.12, 0.42, 0.88, 0.82),
        box(0.05, 0.38, 0.95, 0.44, radius=0.02, tone=0.5),
        smooth_outline(
            [(0.20, 0.36), (0.18, 0.27), (0.26, 0.22), (0.38, 0.22), (0.46, 0.27), (0.44, 0.36), (0.32, 0.385)],
            tone=0.7,
        ),
        *stroke([(0.20, 0.28), (0.12, 0.20)], 0.045, tone=0.7),
        *stroke([(0.24, 0.23), (0.24, 0.14), (0.40, 0.14), (0.40, 0.23)], 0.03, tone=0.7),
        box(0.18, 0.50, 0.58, 0.74, radius=0.02, tone=0.7),
        box(0.23, 0.55, 0.53, 0.69, radius=0.03, hole=True),
        box(0.63, 0.50, 0.84, 0.60, radius=0.02, tone=0.4),
        *(box(0.65, y, 0.82, y + 0.035, hole=True) for y in (0.65, 0.71)),
    ]


def dome_oven(rng: np.random.Generator) -> list[FilledOutline]:
    """A pizza oven: brick dome with an arched mouth and a fire in it, chimney, table with a wood store."""
    dome, pipe = rng.uniform(0.22, 0.26), rng.uniform(0.60, 0.66)
    arch = [(0.35, 0.62), (0.35, 0.50), (0.40, 0.42), (0.5, 0.385), (0.60, 0.42), (0.65, 0.50), (0.65, 0.62)]
    fire = smooth_outline(
        [(0.42, 0.61), (0.42, 0.54), (0.46, 0.56), (0.50, 0.46), (0.55, 0.54), (0.58, 0.53), (0.58, 0.61)], tone=1.8
    )
    return [
        box(pipe, 0.06, pipe + 0.12, 0.36, tone=0.6),
        box(pipe - 0.03, 0.05, pipe + 0.15, 0.10, tone=0.5),
        symmetric_part([(0.5, dome), (0.75, 0.29), (0.88, 0.46), (0.90, 0.64), (0.5, 0.66)]),
        polygon(arch, hole=True),
        fire,
        box(0.05, 0.62, 0.95, 0.69, tone=0.6),
        box(0.12, 0.68, 0.88, 0.95, tone=0.8),
        box(0.26, 0.75, 0.74, 0.95, hole=True),
        *(ellipse(x, y, 0.06, tone=0.5) for x, y in ((0.34, 0.89), (0.47, 0.89), (0.60, 0.89), (0.41, 0.80))),
    ]


def toaster_oven(rng: np.random.Generator) -> list[FilledOutline]:
    """A table oven: window with a loaf on the rack, handle, a column of knobs, feet."""
    top, loaf = rng.uniform(0.18, 0.21), rng.uniform(0.14, 0.17)
    bread = symmetric_part([(0.56, 0.46), (0.52 + loaf, 0.53), (0.5 + loaf, 0.60)], tone=0.7)
    knobs = np.linspace(top + 0.13, 0.66, 3)
    return [
        *(box(x, 0.76, x + 0.11, 0.83, radius=0.02, tone=0.4) for x in (0.10, 0.79)),
        box(0.04, top, 0.96, 0.78, radius=0.05),
        box(0.08, top + 0.12, 0.70, 0.73, radius=0.03, tone=0.5),
        box(0.13, top + 0.17, 0.65, 0.68, radius=0.03, hole=True),
        box(0.12, 0.59, 0.66, 0.625, tone=0.4),
        *transform_parts([bread], np.eye(2), (-0.11, -0.01)),
        box(0.13, top + 0.045, 0.65, top + 0.09, radius=0.015, tone=0.25),
        *(ellipse(0.83, y, 0.055, hole=True) for y in knobs),
        *(box(0.815, y - 0.05, 0.845, y, tone=0.4) for y in knobs),
    ]


SILHOUETTES: dict[str, dict[str, tuple[Kind, ...]]] = {
    "chair": {"dining_chair": (ladder_back_chair, windsor_chair), "armchair": (wing_armchair, rocking_chair)},
    "clock": {"wall_clock": (wall_clock, grandfather_clock), "alarm_clock": (alarm_clock, mantel_clock)},
    "oven": {"range": (stove, iron_range), "brick_oven": (dome_oven, toaster_oven)},
}
