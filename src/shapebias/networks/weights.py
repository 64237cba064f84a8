"""Weights in files: read without running code from the file, loaded into a network completely or not at all."""

import json
from collections.abc import Collection
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import nn

from shapebias.errors import UserError

WRAPPERS = ("state_dict", "model", "model_state", "model_state_dict", "state_dict_ema")
# DataParallel and torch.compile insert these anywhere in a name: Geirhos' AlexNet has features.module.0.weight.
WRAPPER_NAMES = ("module", "_orig_mod")
MODEL_PREFIX = "model."
METADATA_KEY = "shapebias"

# PyTorch's ImageNet example of 2018 stored its best accuracy beside the weights, as a numpy number. numpy's function
# that reads it had another name then.
SCALAR = np.float64(0).__reduce__()[0]
SAFE_GLOBALS: list[Any] = [
    *[(SCALAR, "numpy.core.multiarray.scalar"), (SCALAR, "numpy._core.multiarray.scalar")],
    *[np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType],
]

State = dict[str, torch.Tensor]


def weights_path(spec: str) -> Path:
    """Return a file's path; `package:NAME/FILE` is a file inside an installed Python package."""
    if not spec.startswith("package:"):
        return Path(spec)
    package, _, file = spec.removeprefix("package:").partition("/")
    try:
        return Path(str(resources.files(package) / file))
    except ModuleNotFoundError:
        raise UserError(f"weights {spec}: package {package!r} is not installed") from None


def read_weights(path: Path) -> tuple[State, dict[str, Any]]:
    """Read a state dict and the metadata that training stored with it.

    The file is safetensors, or torch's format without code. Containers around the weights (`state_dict`, `model`, …)
    are unpacked, and the name parts of wrappers are removed.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            return load_file(path), metadata
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:  # its own message is clear
        raise
    except Exception:  # on damaged files the readers raise nearly any error, with messages such as "101"
        raise UserError(
            f"{path}: not a file of weights; expected .safetensors, or a state dict written by torch.save "
            f"(a pickled network is not loaded, because loading would run its code)"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no state dict of tensors")
    state = {
        ".".join(part for part in key.split(".") if part not in WRAPPER_NAMES): value for key, value in state.items()
    }
    while state and all(key.startswith(MODEL_PREFIX) for key in state):
        state = {key.removeprefix(MODEL_PREFIX): value for key, value in state.items()}
    return state, {}


def load_weights(model: nn.Module, state: State, source: str, *, keep: Collection[str] = ()) -> str:
    """Load a complete state dict into the network, or change nothing; return how names were matched.

    Other code gives other names to the same architecture. If no name is shared but all tensors have the same order and
    shapes, they are matched by position. keep: tensors of the network that stay unchanged, such as a new classifier.
    Raises UserError with the differences.
    """
    tensors = model.state_dict()
    pairs = zip(tensors.items(), state.values(), strict=False)
    by_position = tensors.keys().isdisjoint(state) and len(tensors) == len(state)
    if by_position and all(key in keep or tensor.shape == loaded.shape for (key, tensor), loaded in pairs):
        state = dict(zip(tensors, state.values(), strict=True))
    else:
        by_position = False
    # Files from before PyTorch 0.4.1 lack batch norm's counter; with a momentum, nothing reads it.
    missing = [
        key for key in tensors if key not in state and key not in keep and not key.endswith(".num_batches_tracked")
    ]
    extra = [key for key in state if key not in tensors]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(tensors[key].shape)}"
        for key in tensors
        if key in state and key not in keep and state[key].shape != tensors[key].shape
    ]
    if missing or extra or shapes:
        parts = [("missing", missing), ("not in this network", extra), ("of another shape", shapes)]
        differences = "; ".join(f"{len(keys)} {problem}, first {keys[0]}" for problem, keys in parts if keys)
        raise UserError(f"{source}: weights of another architecture than {type(model).__name__}: {differences}")
    # Update the network's own dict, because it holds the versions of its layers (mnasnet needs them).
    tensors.update((key, value) for key, value in state.items() if key not in keep)
    model.load_state_dict(tensors)
    return "position" if by_position else "name"
