"""The texture families that fill the silhouettes, and the family of each class."""

from collections.abc import Callable

import numpy as np

from shapebias.synthetic import coats, materials

TEXTURE_OF: dict[str, str] = {
    "airliner": "brushed_aluminium",
    "warplane": "camouflage",
    "brown_bear": "shaggy_fur",
    "polar_bear": "fleece",
    "mountain_bike": "tread",
    "city_bike": "carbon_weave",
    "songbird": "scalloped_feathers",
    "wader": "barred_feathers",
    "sailboat": "planks",
    "steamer": "riveted_plate",
    "wine_bottle": "bubble_glass",
    "water_jug": "caustics",
    "sedan": "metallic_flakes",
    "jeep": "mud_splatter",
    "tabby": "tabby_stripes",
    "siamese": "point_fur",
    "dining_chair": "wood_grain",
    "armchair": "plaid",
    "wall_clock": "marble",
    "alarm_clock": "guilloche",
    "shepherd": "long_hair",
    "dachshund": "wavy_hair",
    "african_elephant": "cracked_hide",
    "indian_elephant": "wrinkled_hide",
    "computer_keyboard": "key_grid",
    "typewriter": "round_keys",
    "kitchen_knife": "damascus",
    "pocket_knife": "tortoiseshell",
    "range": "checker_tiles",
    "brick_oven": "brick",
    "pickup": "diamond_plate",
    "lorry": "tarpaulin",
}

FAMILIES: dict[str, Callable[[np.random.Generator, int], np.ndarray]] = {
    family: getattr(coats, family, None) or getattr(materials, family) for family in TEXTURE_OF.values()
}


def texture(family: str, rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a random texture of a family: float32 [size, size, 3], RGB in [0, 1].

    family: one of TEXTURE_OF's values. Rotation, scale (±25 %), phase and palette (hue, chroma,
    brightness) come from rng, so no two textures are equal. The grain is 3 to 12 px of a 64 px image
    and grows with size. Raises KeyError for an unknown family.
    """
    return np.clip(FAMILIES[family](rng, size), 0, 1).astype(np.float32, copy=False)
