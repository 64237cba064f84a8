"""Silhouettes of airplanes and boats, and the table of all vehicles."""

from collections.abc import Callable

import numpy as np

from shapebias.synthetic.parts import (
    FilledOutline,
    box,
    ellipse,
    polygon,
    ring,
    rotation,
    smooth_outline,
    stroke,
    transform_parts,
)
from shapebias.synthetic.wheels import WHEELED

Kind = Callable[[np.random.Generator], list[FilledOutline]]

MIRROR = np.diag([-1.0, 1.0])  # left becomes right


def airliner_above(rng: np.random.Generator) -> list[FilledOutline]:
    """Swept wings with two engines, nose up."""
    span, sweep, engine = rng.uniform(0.41, 0.46), rng.uniform(0.20, 0.27), rng.uniform(0.17, 0.20)
    half = [
        polygon([(0.5, 0.32), (0.5 + span, 0.36 + sweep), (0.5 + span, 0.42 + sweep), (0.5, 0.57)]),
        *stroke([(0.5 + engine, 0.38), (0.5 + engine, 0.47)], 0.06, tone=0.6),
        polygon([(0.5, 0.79), (0.67, 0.88), (0.67, 0.93), (0.5, 0.92)]),
    ]
    body = stroke([(0.5, 0.12), (0.5, 0.72), (0.5, 0.94)], (0.11, 0.12, 0.04))
    cockpit = ellipse(0.5, 0.11, 0.035, 0.025, tone=0.3)
    return transform_parts([*half, *transform_parts(half, MIRROR), *body, cockpit], rotation(rng.uniform(-15, 15)))


def airliner_side(rng: np.random.Generator) -> list[FilledOutline]:
    """Climbing to the left: tail fin, near and far wing, a row of windows."""
    fin, tip = rng.uniform(0.18, 0.23), rng.uniform(0.76, 0.81)
    far_wing = polygon([(0.42, 0.47), (0.60, 0.30), (0.66, 0.30), (0.57, 0.47)], tone=0.7)
    body = smooth_outline(
        [(0.05, 0.54), (0.10, 0.47), (0.19, 0.435), (0.4, 0.43), (0.6, 0.43), (0.8, 0.43), (0.93, 0.45)]
        + [(0.93, 0.48), (0.8, 0.545), (0.65, 0.59), (0.4, 0.6), (0.2, 0.6), (0.1, 0.585)]
    )
    tail = polygon([(0.70, 0.45), (0.84, fin), (0.93, fin), (0.91, 0.46)])
    tailplane = polygon([(0.78, 0.46), (0.90, 0.46), (0.98, 0.56), (0.93, 0.56)], tone=0.7)
    engine = stroke([(0.34, 0.65), (0.43, 0.65)], 0.085, tone=0.6)
    wing = polygon([(0.36, 0.53), (0.56, 0.53), (0.70, tip), (0.63, tip)], tone=0.8)
    windows = [box(x, 0.465, x + 0.03, 0.50, hole=True) for x in np.arange(0.24, 0.70, rng.uniform(0.058, 0.068))]
    cockpit = polygon([(0.10, 0.475), (0.17, 0.455), (0.17, 0.50), (0.09, 0.505)], hole=True)
    parts = [far_wing, body, tail, tailplane, *engine, wing, *windows, cockpit]
    return transform_parts(parts, rotation(rng.uniform(4, 12)))


def biplane_front(rng: np.random.Generator) -> list[FilledOutline]:
    """Two wings with struts, round engine, propeller, two wheels."""
    top, bottom, wheel = rng.uniform(0.20, 0.23), rng.uniform(0.52, 0.55), rng.uniform(0.15, 0.18)
    half = [
        *stroke([(0.5, top), (0.92, top)], 0.07),
        *stroke([(0.5, bottom + 0.02), (0.87, bottom)], 0.065),
        *(box(x, top, x + 0.03, bottom, tone=0.6) for x in (0.71, 0.82)),
        *stroke([(0.53, 0.52), (0.5 + wheel, 0.77)], 0.035, tone=0.6),
        box(0.5, 0.75, 0.5 + wheel, 0.78, tone=0.6),
        box(0.47 + wheel, 0.68, 0.53 + wheel, 0.85, radius=0.03, tone=0.4),
    ]
    engine = [box(0.45, top, 0.55, 0.4, tone=0.7), ellipse(0.5, 0.43, 0.12), ellipse(0.5, 0.43, 0.09, tone=0.5)]
    blades = [ellipse(0.5 + side * 0.11, 0.5, 0.11, 0.028, tone=0.3) for side in (-1, 1)]
    propeller = transform_parts(
        [*blades, ellipse(0.5, 0.5, 0.04, tone=1.5)], rotation(rng.uniform(-25, 25)), (0, -0.07)
    )
    return [*half, *transform_parts(half, MIRROR), *engine, *propeller]


def delta_jet_above(rng: np.random.Generator) -> list[FilledOutline]:
    """A jet fighter: needle nose, canards, delta wing, two fins, nose up."""
    span, back = rng.uniform(0.34, 0.38), rng.uniform(0.77, 0.80)
    half = [
        polygon(
            [(0.5, 0.04), (0.53, 0.14), (0.555, 0.30), (0.58, 0.40), (0.5 + span, back - 0.06), (0.5 + span, back)]
            + [(0.60, back + 0.02), (0.60, 0.88), (0.57, 0.95), (0.52, 0.95), (0.5, 0.92)]
        ),
        polygon([(0.54, 0.26), (0.70, 0.36), (0.70, 0.41), (0.55, 0.38)]),
        box(0.485 + span, back - 0.17, 0.515 + span, back + 0.02, radius=0.01, tone=0.5),
        polygon([(0.57, 0.72), (0.60, 0.76), (0.74, 0.91), (0.69, 0.94), (0.57, 0.87)], tone=0.7),
    ]
    canopy = ellipse(0.5, 0.25, 0.03, 0.10, tone=0.3)
    return transform_parts([*half, *transform_parts(half, MIRROR), canopy], rotation(rng.uniform(-18, 18)))


def sloop(rng: np.random.Generator) -> list[FilledOutline]:
    """One mast, mainsail and jib."""
    boom, jib = rng.uniform(0.08, 0.14), rng.uniform(0.84, 0.90)
    return [
        *stroke([(0.5, 0.06), (0.5, 0.80)], 0.035, tone=0.5),
        polygon([(0.47, 0.07), (0.47, 0.68), (boom, 0.68), (0.22, 0.50), (0.36, 0.28)]),
        polygon([(0.535, rng.uniform(0.12, 0.18)), (0.68, 0.38), (jib, 0.70), (0.7, 0.69), (0.535, 0.70)], tone=1.3),
        polygon([(0.10, 0.76), (0.95, 0.74), (0.84, 0.87), (0.76, 0.93), (0.22, 0.93), (0.14, 0.88)], tone=0.7),
    ]


def junk_sail(x: float, top: float, bottom: float, reach: float) -> list[FilledOutline]:
    """A fan of battened panels on the mast at x, wider towards the bottom, with gaps where the battens are."""
    mast = stroke([(x, top - 0.04), (x, 0.80)], 0.03, tone=0.5)
    edges = np.linspace(top, bottom, 5)
    panels = []
    for i, (y0, y1) in enumerate(zip(edges[:-1], edges[1:] - 0.022, strict=True)):
        ahead, behind = 0.3 * reach * (0.55 + 0.15 * i), reach * (0.62 + 0.11 * i)
        # The leech rises most at the top, so the panels spread like the ribs of a fan.
        lift0, lift1 = 0.10 - 0.025 * i, 0.075 - 0.025 * i
        panels.append(
            polygon(
                [(x + ahead, y0), (x + ahead + 0.02, y1), (x - behind - 0.03, y1 - lift1), (x - behind, y0 - lift0)]
            )
        )
    return [*mast, *panels]


def junk(rng: np.random.Generator) -> list[FilledOutline]:
    """A two-masted junk: battened sails, high stern on the left."""
    stern, reach = rng.uniform(0.58, 0.62), rng.uniform(0.30, 0.34)
    hull = smooth_outline(
        [(0.05, stern), (0.20, stern + 0.03), (0.25, 0.74), (0.5, 0.765), (0.75, 0.75), (0.95, 0.66)]
        + [(0.90, 0.78), (0.80, 0.90), (0.5, 0.93), (0.22, 0.92), (0.11, 0.82)],
        tone=0.6,
    )
    return [*junk_sail(0.49, 0.14, 0.70, reach), *junk_sail(0.79, 0.30, 0.68, 0.75 * reach), hull]


def smoke(x: float, y: float, step: float) -> list[FilledOutline]:
    """Puffs that drift to the left and grow."""
    return [ellipse(x - i * step, y - i * 0.25 * step, 0.035 + 0.012 * i, tone=1.4) for i in range(4)]


def liner(rng: np.random.Generator) -> list[FilledOutline]:
    """An ocean liner: long hull, two decks, three or four raked funnels, two masts."""
    height = rng.uniform(0.24, 0.28)
    funnels = [
        polygon([(x, 0.5), (x - 0.03, height), (x + 0.05, height), (x + 0.08, 0.5)], tone=0.6)
        for x in np.linspace(0.30, 0.64, rng.integers(3, 5))
    ]
    masts = [*stroke([(0.86, 0.60), (0.84, 0.22)], 0.03), *stroke([(0.17, 0.60), (0.15, 0.22)], 0.03)]
    hull = polygon(
        [(0.04, 0.60), (0.10, 0.61), (0.82, 0.61), (0.96, 0.56), (0.90, 0.78), (0.12, 0.78), (0.07, 0.72)], tone=0.5
    )
    decks = [box(0.20, 0.525, 0.80, 0.62, tone=1.3), box(0.25, 0.45, 0.74, 0.53, tone=1.3)]
    lights = [ellipse(x, 0.685, 0.018, hole=True) for x in np.linspace(0.16, 0.82, rng.integers(9, 12))]
    windows = [box(x, 0.55, x + 0.03, 0.585, hole=True) for x in np.linspace(0.24, 0.73, 9)]
    return [*masts, *funnels, *decks, hull, *lights, *windows]


def tugboat(rng: np.random.Generator) -> list[FilledOutline]:
    """Short hull with a high bow, wheelhouse, one fat smoking funnel, tyres along the side."""
    funnel, house = rng.uniform(0.26, 0.32), rng.uniform(0.26, 0.30)
    hull = smooth_outline(
        [(0.06, 0.66), (0.2, 0.68), (0.5, 0.68), (0.75, 0.64), (0.96, 0.53)]
        + [(0.93, 0.72), (0.85, 0.88), (0.7, 0.93), (0.4, 0.93), (0.15, 0.92), (0.08, 0.82)],
        tone=0.6,
    )
    return [
        *smoke(funnel + 0.03, 0.22, rng.uniform(0.055, 0.07)),
        box(funnel - 0.01, 0.28, funnel + 0.12, 0.60, tone=0.4),
        box(0.20, 0.55, 0.76, 0.70, tone=1.2),
        box(0.50, house + 0.04, 0.72, 0.60, tone=1.2),
        box(0.46, house, 0.77, house + 0.05, tone=0.7),
        *stroke([(0.62, house), (0.62, 0.08)], 0.03),
        *stroke([(0.56, 0.15), (0.68, 0.15)], 0.03),
        *(box(x, house + 0.09, x + 0.07, house + 0.18, hole=True) for x in (0.53, 0.63)),
        *(ellipse(x, 0.62, 0.022, hole=True) for x in (0.27, 0.37, 0.47)),
        hull,
        *(part for x in np.linspace(0.22, 0.70, 4) for part in ring(x, 0.78, 0.05, 0.025, tone=0.2)),
    ]


SILHOUETTES: dict[str, dict[str, tuple[Kind, ...]]] = {
    "airplane": {"airliner": (airliner_above, airliner_side), "warplane": (biplane_front, delta_jet_above)},
    "boat": {"sailboat": (sloop, junk), "steamer": (liner, tugboat)},
    **WHEELED,
}
