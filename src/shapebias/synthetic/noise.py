"""Noise fields and colours for textures, backgrounds and paintings.

Lengths are in units of 1/64 of the image side, so a pattern looks the same at every size.
Fields are float32 [size, size]; colours are RGB in [0, 1].
"""

import numpy as np
from scipy import fft, ndimage

UNITS = 64.0  # lengths per image side


def lattice(rng: np.random.Generator, size: int, spread: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates (x, y) in units with a random rotation, phase and zoom.

    spread: the zoom is log-uniform in [1 / (1 + spread), 1 + spread].
    """
    angle, zoom = rng.uniform(0, 2 * np.pi), (1 + spread) ** rng.uniform(-1, 1)
    # Start far from the origin, where a pattern's centre of symmetry would be visible.
    shift_x, shift_y = rng.uniform(1000, 2000, 2)
    pixel = (np.arange(size, dtype=np.float32) + 0.5) * (UNITS / size / zoom)
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    x = pixel[None, :] * cos - pixel[:, None] * sin
    y = pixel[None, :] * sin + pixel[:, None] * cos
    return x + np.float32(shift_x), y + np.float32(shift_y)


def clouds(rng: np.random.Generator, size: int, grain: float, stretch: float = 1.0, angle: float = 0.0) -> np.ndarray:
    """Return smooth noise of mean 0 and standard deviation 1.

    grain: sigma of the blur that smooths white noise, in units; blobs measure about 4 grains.
    stretch: how many times longer the blur is along `angle` (radians from the x axis) than across it.
    """
    along, across = _frequencies(size, angle)
    blur = (along * (grain * stretch)) ** 2 + (across * grain) ** 2
    return _filtered_noise(rng, size, np.exp(-2 * np.pi**2 * blur))


def labyrinth(
    rng: np.random.Generator, size: int, wavelength: float, angle: float = 0.0, fan: float = np.pi
) -> np.ndarray:
    """Return noise of mean 0 and standard deviation 1 that waves with one wavelength (units).

    fan: how far (radians) the waves' direction strays from `angle`; pi leaves it free.
    """
    along, across = _frequencies(size, angle)
    radius = np.hypot(along, across) * wavelength
    ring = np.exp(-((radius - 1) ** 2) / (2 * 0.2**2))
    if fan < np.pi:
        tilt = np.arctan2(across, np.abs(along))
        ring *= np.exp(-((tilt / fan) ** 2) / 2)
    return _filtered_noise(rng, size, ring)


def _frequencies(size: int, angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the frequencies along and across `angle`, in cycles per unit, in the layout of rfft2."""
    per_unit = size / UNITS
    fx = fft.rfftfreq(size).astype(np.float32)[None, :] * per_unit
    fy = fft.fftfreq(size).astype(np.float32)[:, None] * per_unit
    cos, sin = float(np.cos(angle)), float(np.sin(angle))
    return fx * cos + fy * sin, fy * cos - fx * sin


def _filtered_noise(rng: np.random.Generator, size: int, gain: np.ndarray) -> np.ndarray:
    """Return white noise with its spectrum multiplied by `gain`, scaled to mean 0 and standard deviation 1."""
    gain = gain.astype(np.float32)
    gain[0, 0] = 0
    spectrum = fft.rfft2(rng.standard_normal((size, size), dtype=np.float32)) * gain
    field = fft.irfft2(spectrum, s=(size, size))
    return field / max(float(field.std()), 1e-6)


def warp(field: np.ndarray, shift_x: np.ndarray, shift_y: np.ndarray) -> np.ndarray:
    """Return `field` read at positions moved by the shifts (units), wrapping at the borders."""
    size = field.shape[0]
    pixel = np.arange(size, dtype=np.float32)
    scale = np.float32(size / UNITS)
    where = np.stack([pixel[:, None] + shift_y * scale, pixel[None, :] + shift_x * scale])
    return ndimage.map_coordinates(field, where, order=1, mode="grid-wrap")


def voronoi_cells(
    rng: np.random.Generator, x: np.ndarray, y: np.ndarray, jitter: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Split the plane into cells around the jittered points of a unit grid (Worley noise).

    x, y: coordinates divided by the wanted cell side; jitter: 0 (square grid) to 1.
    Returns the distance to the nearest point, the distance to the second nearest (same scale
    as x and y), and a random value in [0, 1) that is constant over each cell.
    """
    columns, rows = np.floor(x).astype(np.int32), np.floor(y).astype(np.int32)
    columns -= columns.min() - 1
    rows -= rows.min() - 1
    shape = (int(rows.max()) + 2, int(columns.max()) + 2)
    offset_x, offset_y = 0.5 + jitter * (rng.random((2, *shape), dtype=np.float32) - 0.5)
    values = rng.random(shape, dtype=np.float32)
    in_x, in_y = x - np.floor(x), y - np.floor(y)
    nearest = np.full(x.shape, 9, np.float32)
    second = nearest.copy()
    value = np.zeros(x.shape, np.float32)
    flat = rows * shape[1] + columns
    for step_y in (-1, 0, 1):
        for step_x in (-1, 0, 1):
            index = flat + (step_y * shape[1] + step_x)
            across = offset_x.ravel()[index] + (step_x - in_x)
            down = offset_y.ravel()[index] + (step_y - in_y)
            distance = across * across + down * down
            np.minimum(second, np.maximum(nearest, distance), out=second)
            closer = distance < nearest
            np.copyto(value, values.ravel()[index], where=closer)
            np.minimum(nearest, distance, out=nearest)
    return np.sqrt(nearest), np.sqrt(second), value


def random_per_tile(rng: np.random.Generator, column: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Return a random value in [0, 1) for each tile, given every pixel's tile indices."""
    column = column.astype(np.int32) - int(column.min())
    row = row.astype(np.int32) - int(row.min())
    table = rng.random((int(row.max()) + 1, int(column.max()) + 1), dtype=np.float32)
    return table[row, column]


def edge(field: np.ndarray, at: float, width: float) -> np.ndarray:
    """Return a smooth step from 0 to 1 where `field` rises through `at`, over `width`."""
    t = np.clip((field - at) / width + 0.5, 0, 1)
    return t * t * (3 - 2 * t)


def wave(phase: np.ndarray) -> np.ndarray:
    """Return a sine in [0, 1] with period 1."""
    return 0.5 + 0.5 * np.sin(2 * np.pi * phase)


def palette(rng: np.random.Generator, *colours: str, hue: float = 0.03, light: float = 0.12) -> np.ndarray:
    """Return the colours ("rrggbb") as float32 [n, 3], all moved alike in hue, chroma and light.

    hue: largest turn of the hue circle (1 is a full turn); light: largest relative change of brightness.
    """
    rgb = np.array([list(bytes.fromhex(colour)) for colour in colours]) / 255
    grey = rgb @ [0.299, 0.587, 0.114]
    turn = 2 * np.pi * rng.uniform(-hue, hue)
    # A rotation about the grey axis (Rodrigues), on the colour without its grey.
    chroma = rgb - grey[:, None]
    axis = np.full(3, 1 / np.sqrt(3))
    turned = chroma * np.cos(turn) + np.cross(axis, chroma) * np.sin(turn)
    turned += np.outer(chroma @ axis, axis) * (1 - np.cos(turn))
    brightness = 1 + rng.uniform(-light, light)
    return np.clip((grey[:, None] + turned * rng.uniform(0.85, 1.15)) * brightness, 0, 1).astype(np.float32)


def ramp(colours: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Return [..., 3] colours read off the even ramp `colours` [n, 3] at t, clipped to [0, 1]."""
    steps = np.linspace(0, len(colours) - 1, 256)
    table = np.stack([np.interp(steps, np.arange(len(colours)), channel) for channel in colours.T], axis=1)
    return table.astype(np.float32)[(np.clip(t, 0, 1) * 255).astype(np.uint8)]


def mix(first: np.ndarray, second: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return `first` where `share` [size, size] is 0 and `second` where it is 1, blended between."""
    # Repeated, not broadcast: numpy is slow over an inner axis of three.
    weight = np.repeat(share[..., None], 3, axis=2)
    return first * (1 - weight) + second * weight
