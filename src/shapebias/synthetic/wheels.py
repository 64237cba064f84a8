"""Silhouettes of vehicles on wheels: bicycles, cars, trucks. Side views face right."""

from collections.abc import Callable

import numpy as np

from shapebias.synthetic.parts import (
    FilledOutline,
    Points,
    box,
    ellipse,
    polygon,
    ring,
    rotation,
    smooth_outline,
    stroke,
    transform_parts,
)

Kind = Callable[[np.random.Generator], list[FilledOutline]]


def tubes(*lines: Points, width: float = 0.038, tone: float = 1.0) -> list[FilledOutline]:
    """A frame of several strokes of one width."""
    return [part for line in lines for part in stroke(line, width, tone=tone)]


def spoked_wheel(x: float, y: float, radius: float, tyre: float = 0.045) -> list[FilledOutline]:
    """A bicycle wheel, open inside; spokes would be too thin to see."""
    return [*ring(x, y, radius, radius - tyre, tone=0.4), ellipse(x, y, 0.035, tone=0.6)]


def tyre(x: float, y: float, radius: float, arch: float = 0.02) -> list[FilledOutline]:
    """A car wheel in its wheel arch; the bright gap separates it from the body. An open chassis has no arch."""
    return [
        *([ellipse(x, y, radius + arch, hole=True)] if arch else []),
        ellipse(x, y, radius, tone=0.4),
        ellipse(x, y, 0.45 * radius, tone=1.5),
        ellipse(x, y, 0.3 * radius, hole=True),
    ]


def pedals(x: float, y: float, angle: float) -> list[FilledOutline]:
    """Chain ring, two cranks, two pedals."""
    dx, dy = 0.09 * np.cos(angle), 0.09 * np.sin(angle)
    ends = [(x - dx, y - dy), (x + dx, y + dy)]
    flat = [box(a - 0.04, b - 0.018, a + 0.04, b + 0.018, tone=0.5) for a, b in ends]
    return [ellipse(x, y, 0.055, tone=0.6), *stroke(ends, 0.035, tone=0.6), *flat]


def mountain_bike(rng: np.random.Generator) -> list[FilledOutline]:
    """Diamond frame, flat bar, thick tyres."""
    rear, front, bracket = (0.26, 0.63), (0.74, 0.63), (0.46, 0.65)
    seat, head = (rng.uniform(0.37, 0.40), 0.36), (0.64, rng.uniform(0.30, 0.34))
    saddle = rng.uniform(0.20, 0.25)
    post = (seat[0] - 0.02, saddle)
    return [
        *spoked_wheel(*rear, 0.21, 0.055),
        *spoked_wheel(*front, 0.21, 0.055),
        *tubes([rear, bracket, seat, rear], [seat, head], [bracket, (head[0] + 0.02, head[1] + 0.07)]),
        *tubes([seat, post], [(head[0] - 0.03, head[1] - 0.09), front]),
        *stroke([(post[0] - 0.07, saddle), (post[0] + 0.07, saddle)], (0.06, 0.04), tone=0.5),
        *stroke([(head[0] - 0.08, head[1] - 0.10), (head[0] + 0.03, head[1] - 0.11)], 0.045, tone=0.5),
        *pedals(*bracket, rng.uniform(0.2, 1.2)),
    ]


def mountain_bike_wheelie(rng: np.random.Generator) -> list[FilledOutline]:
    """Thick downtube, suspension fork, on its rear wheel."""
    rear, front, bracket = (0.25, 0.63), (0.77, 0.63), (0.46, 0.63)
    seat, head = (0.42, rng.uniform(0.42, 0.46)), (0.655, 0.33)
    parts = [
        *spoked_wheel(*rear, 0.205, 0.06),
        *spoked_wheel(*front, 0.205, 0.06),
        *tubes([rear, bracket, seat, rear], [seat, head]),
        *tubes([bracket, (0.67, 0.38)], width=0.06),
        *tubes([seat, (0.39, 0.31)], [(0.62, 0.22), (0.69, 0.41)]),
        *tubes([(0.69, 0.41), front], width=0.055, tone=0.6),
        *stroke([(0.31, 0.30), (0.46, 0.29)], (0.065, 0.045), tone=0.5),
        *stroke([(0.55, 0.22), (0.66, 0.20)], 0.045, tone=0.5),
        *pedals(*bracket, rng.uniform(0.3, 0.9)),
    ]
    return transform_parts(parts, 1.1 * rotation(rng.uniform(-42, -32)), (-0.09, -0.05))


def step_through(rng: np.random.Generator) -> list[FilledOutline]:
    """A step-through bicycle: low curved frame, front basket, rear rack."""
    rear, front, bracket, head = (0.25, 0.65), (0.73, 0.65), (0.45, 0.67), (0.635, 0.32)
    basket, saddle = rng.uniform(0.28, 0.31), rng.uniform(0.26, 0.30)
    return [
        *spoked_wheel(*rear, 0.20),
        *spoked_wheel(*front, 0.20),
        *tubes([rear, bracket, (0.375, saddle)], [rear, (0.39, 0.44)]),
        *tubes([head, (0.635, 0.44), (0.59, 0.55), (0.52, 0.64), bracket], width=0.045),
        *tubes([(0.62, 0.20), head, front], [(0.10, 0.405), (0.38, 0.405)], [(0.17, 0.41), rear]),
        *tubes([(0.63, 0.20), (0.56, 0.19), (0.51, 0.22)], tone=0.5),
        *stroke([(0.30, saddle), (0.43, saddle)], (0.075, 0.045), tone=0.5),
        polygon([(0.67, basket), (0.94, basket), (0.90, 0.44), (0.70, 0.44)], tone=0.7),
        *pedals(*bracket, rng.uniform(0.2, 1.2)),
    ]


def penny_farthing(rng: np.random.Generator) -> list[FilledOutline]:
    """A huge front wheel and a tiny rear wheel."""
    radius, small = rng.uniform(0.32, 0.345), rng.uniform(0.095, 0.12)
    hub, rear = (0.95 - radius, 0.94 - radius), (0.06 + small, 0.94 - small)
    around = np.deg2rad(np.linspace(-95, -175, 7))
    spine = np.stack([hub[0] + (radius + 0.05) * np.cos(around), hub[1] + (radius + 0.05) * np.sin(around)], axis=1)
    top = hub[1] - radius - 0.05
    return [
        *spoked_wheel(*hub, radius),
        *spoked_wheel(*rear, small, 0.04),
        *tubes([*spine, rear], [(hub[0], top - 0.05), hub]),
        *stroke([(hub[0] - 0.19, top + 0.01), (hub[0] - 0.07, top - 0.02)], (0.06, 0.04), tone=0.5),
        *tubes([(hub[0], top - 0.08), (hub[0] + 0.03, top - 0.09), (hub[0] + 0.08, top - 0.06)], tone=0.5),
        *pedals(*hub, rng.uniform(0.3, 1.2)),
    ]


def sedan(rng: np.random.Generator) -> list[FilledOutline]:
    """Three boxes: bonnet, cabin, boot."""
    roof, a, b = rng.uniform(0.27, 0.30), rng.uniform(0.34, 0.37), rng.uniform(0.57, 0.60)
    body = polygon(
        [(0.04, 0.64), (0.04, 0.52), (0.07, 0.475), (0.23, 0.46), (a - 0.02, roof + 0.02), (a + 0.02, roof), (b, roof)]
        + [(b + 0.03, roof + 0.02), (0.735, 0.465), (0.89, 0.50), (0.945, 0.535), (0.96, 0.59), (0.96, 0.64)]
        + [(0.93, 0.66), (0.07, 0.66)]
    )
    middle = (a + b) / 2
    windows = [
        polygon(
            [(0.285, 0.46), (a + 0.02, roof + 0.045), (middle - 0.02, roof + 0.045), (middle - 0.02, 0.46)], hole=True
        ),
        polygon([(middle + 0.02, 0.46), (middle + 0.02, roof + 0.045), (b, roof + 0.045), (0.675, 0.46)], hole=True),
    ]
    lamps = [ellipse(0.93, 0.55, 0.02, tone=1.8), box(0.04, 0.52, 0.075, 0.56, tone=0.4)]
    return [body, *windows, *lamps, *tyre(0.235, 0.655, 0.09), *tyre(0.765, 0.655, 0.09)]


def beetle(rng: np.random.Generator) -> list[FilledOutline]:
    """A round roof that runs down to the rear bumper, and wings over the wheels."""
    roof = rng.uniform(0.20, 0.23)
    body = smooth_outline(
        [(0.08, 0.62), (0.11, 0.50), (0.18, 0.38), (0.29, roof + 0.05), (0.42, roof), (0.55, roof + 0.02)]
        + [(0.64, 0.33), (0.70, 0.42), (0.80, 0.45), (0.89, 0.54), (0.91, 0.64), (0.7, 0.68), (0.4, 0.68), (0.1, 0.67)]
    )
    wings = [ellipse(x, 0.65, 0.16) for x in (0.22, 0.79)]
    wings = [polygon(np.minimum(wing.outline, (1, 0.70)), tone=0.8) for wing in wings]  # open where the tyres show
    windows = [
        polygon([(0.22, 0.43), (0.26, 0.34), (0.33, roof + 0.06), (0.42, roof + 0.05), (0.42, 0.43)], hole=True),
        polygon([(0.46, 0.43), (0.46, roof + 0.05), (0.54, roof + 0.07), (0.60, 0.35), (0.635, 0.43)], hole=True),
    ]
    bumpers = [box(x, 0.58, x + 0.035, 0.66, radius=0.015, tone=1.5) for x in (0.04, 0.93)]
    return [body, *wings, *windows, *bumpers, *tyre(0.22, 0.67, 0.095), *tyre(0.79, 0.67, 0.095)]


def jeep_side(rng: np.random.Generator) -> list[FilledOutline]:
    """A boxy off-roader: upright windscreen, flat bonnet, big tyres, spare wheel at the back."""
    roof, bonnet = rng.uniform(0.20, 0.24), rng.uniform(0.41, 0.44)
    body = polygon(
        [
            (0.12, 0.68),
            (0.12, roof),
            (0.58, roof),
            (0.63, bonnet - 0.01),
            (0.92, bonnet + 0.01),
            (0.92, 0.55),
            (0.95, 0.58),
        ]
        + [(0.95, 0.65), (0.9, 0.68)]
    )
    windows = [
        box(0.16, roof + 0.05, 0.335, 0.42, hole=True),
        polygon([(0.37, roof + 0.05), (0.545, roof + 0.05), (0.58, 0.42), (0.37, 0.42)], hole=True),
    ]
    spare = box(0.04, 0.36, 0.11, 0.62, radius=0.03, tone=0.4)
    r = rng.uniform(0.12, 0.13)
    return [
        *stroke([(0.10, 0.5), (0.14, 0.5)], 0.04),
        body,
        *windows,
        spare,
        *tyre(0.27, 0.68, r),
        *tyre(0.78, 0.68, r),
    ]


def jeep_front(rng: np.random.Generator) -> list[FilledOutline]:
    """From the front: windscreen, round headlamps, a grille of seven slots, two tyres."""
    roof, lamp = rng.uniform(0.10, 0.14), rng.uniform(0.055, 0.065)
    slots = [box(x - 0.014, 0.52, x + 0.014, 0.67, radius=0.012, hole=True) for x in np.linspace(0.37, 0.63, 6)]
    tyres = [box(x, 0.66, x + 0.16, 0.93, radius=0.04, tone=0.4) for x in (0.09, 0.75)]
    mirrors = [
        *stroke([(0.10, 0.40), (0.9, 0.40)], 0.035),
        *(box(x, 0.34, x + 0.08, 0.43, radius=0.02, tone=0.5) for x in (0.05, 0.87)),
    ]
    return [
        *mirrors,
        *tyres,
        polygon([(0.24, roof), (0.76, roof), (0.83, 0.46), (0.17, 0.46)]),
        box(0.08, 0.50, 0.92, 0.72, radius=0.04, tone=0.8),
        box(0.20, 0.44, 0.80, 0.78, radius=0.03),
        polygon([(0.29, roof + 0.06), (0.71, roof + 0.06), (0.76, 0.38), (0.24, 0.38)], hole=True),
        *slots,
        *(ellipse(x, 0.58, lamp, hole=True) for x in (0.275, 0.725)),
        *(ellipse(x, 0.58, lamp - 0.025, tone=1.8) for x in (0.275, 0.725)),
        box(0.07, 0.76, 0.93, 0.84, radius=0.02, tone=0.5),
    ]


def pickup(rng: np.random.Generator) -> list[FilledOutline]:
    """A cab with a bonnet in front of it and an open bed behind it."""
    roof, cab = rng.uniform(0.26, 0.29), rng.uniform(0.41, 0.44)
    body = polygon(
        [(0.04, 0.66), (0.04, 0.46), (cab, 0.46), (cab, roof), (0.61, roof), (0.70, 0.45), (0.92, 0.475), (0.96, 0.52)]
        + [(0.96, 0.66)]
    )
    window = polygon([(cab + 0.05, roof + 0.05), (0.585, roof + 0.05), (0.64, 0.45), (cab + 0.05, 0.45)], hole=True)
    seam = box(cab - 0.03, 0.46, cab - 0.005, 0.60, hole=True)
    return [body, window, seam, *tyre(0.21, 0.66, 0.10), *tyre(0.78, 0.66, 0.10)]


def dump_truck(rng: np.random.Generator) -> list[FilledOutline]:
    """The bed tipped up about its rear hinge, behind a short cab."""
    bed = [
        polygon([(0.13, 0.41), (0.60, 0.35), (0.72, 0.35), (0.72, 0.41), (0.60, 0.43), (0.60, 0.65), (0.15, 0.65)]),
        *(box(x, 0.45, x + 0.03, 0.63, tone=0.6) for x in (0.24, 0.36, 0.48)),
    ]
    tip = rotation(-rng.uniform(22, 30))
    from_hinge = np.array([0.5 - 0.17, 0.5 - 0.66])
    return [
        *stroke([(0.42, 0.70), (0.47, 0.50)], 0.04, tone=0.5),
        *transform_parts(bed, tip, tip @ from_hinge - from_hinge),
        box(0.10, 0.67, 0.80, 0.74, tone=0.5),
        polygon([(0.68, 0.76), (0.68, 0.42), (0.86, 0.42), (0.91, 0.59), (0.96, 0.61), (0.96, 0.76)]),
        polygon([(0.74, 0.47), (0.83, 0.47), (0.865, 0.59), (0.74, 0.59)], hole=True),
        *(part for x in (0.17, 0.38) for part in tyre(x, 0.77, 0.085, arch=0)),
        *tyre(0.83, 0.77, 0.085),
    ]


def semi_trailer(rng: np.random.Generator) -> list[FilledOutline]:
    """A long box on a tractor with a bonnet and an exhaust stack."""
    roof, end = rng.uniform(0.23, 0.27), rng.uniform(0.60, 0.63)
    tractor = polygon(
        [(0.66, 0.70), (0.66, 0.34), (0.69, 0.30), (0.78, 0.34), (0.82, 0.48), (0.94, 0.50), (0.96, 0.54), (0.96, 0.70)]
    )
    return [
        box(0.04, roof, end, 0.61, tone=1.2),
        box(0.06, 0.61, 0.75, 0.67, tone=0.5),
        tractor,
        polygon([(0.71, 0.38), (0.755, 0.38), (0.785, 0.48), (0.71, 0.48)], hole=True),
        *(part for x in (0.11, 0.24, 0.55, 0.68) for part in tyre(x, 0.71, 0.057, arch=0)),
        *tyre(0.88, 0.71, 0.057),
    ]


def fire_engine(rng: np.random.Generator) -> list[FilledOutline]:
    """A long body with a ladder raised over the cab."""
    rails = [box(0.09, y, 0.97, y + 0.034) for y in (0.31, 0.41)]
    rungs = [box(x, 0.32, x + 0.034, 0.42) for x in np.linspace(0.14, 0.90, 8)]
    ladder = transform_parts([*rails, *rungs], rotation(rng.uniform(-25, -18)), (-0.03, 0.0))
    body = polygon(
        [(0.04, 0.76), (0.04, 0.57), (0.60, 0.57), (0.60, 0.54), (0.66, 0.48), (0.91, 0.48), (0.96, 0.62), (0.96, 0.76)]
    )
    return [
        *ladder,
        box(0.12, 0.47, 0.30, 0.58, tone=0.5),
        body,
        *(box(x, 0.61, x + 0.10, 0.70, hole=True) for x in (0.36, 0.49)),
        box(0.66, 0.53, 0.75, 0.62, hole=True),
        polygon([(0.79, 0.53), (0.88, 0.53), (0.91, 0.62), (0.79, 0.62)], hole=True),
        box(0.76, 0.43, 0.84, 0.49, radius=0.02, tone=1.8),
        *tyre(0.21, 0.77, 0.09),
        *tyre(0.78, 0.77, 0.09),
    ]


WHEELED: dict[str, dict[str, tuple[Kind, ...]]] = {
    "bicycle": {"mountain_bike": (mountain_bike, mountain_bike_wheelie), "city_bike": (step_through, penny_farthing)},
    "car": {"sedan": (sedan, beetle), "jeep": (jeep_side, jeep_front)},
    "truck": {"pickup": (pickup, dump_truck), "lorry": (semi_trailer, fire_engine)},
}
