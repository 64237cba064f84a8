"""Weights in files: read without running their code, put into a network whole or not at all."""

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
# What DataParallel and torch.compile put into the names, anywhere: Geirhos' AlexNet has features.module.0.weight.
INSERTED = ("module", "_orig_mod")
PREFIX = "model."
METADATA_KEY = "shapebias"

# What PyTorch's ImageNet example of 2018 left beside the weights: its best accuracy, a number of numpy's, under the
# name that its reader had then and the one that it has now.
SCALAR = np.float64(0).__reduce__()[0]
NUMBERS: list[Any] = [
    *[(SCALAR, "numpy.core.multiarray.scalar"), (SCALAR, "numpy._core.multiarray.scalar")],
    *[np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType],
]

State = dict[str, torch.Tensor]


def weights_path(spec: str) -> Path:
    """A file's path; `package:NAME/FILE` is a file that an installed Python package carries."""
    if not spec.startswith("package:"):
        return Path(spec)
    package, _, file = spec.removeprefix("package:").partition("/")
    try:
        return Path(str(resources.files(package) / file))
    except ModuleNotFoundError:
        raise UserError(f"weights {spec}: package {package!r} is not installed") from None


def read_weights(path: Path) -> tuple[State, dict[str, Any]]:
    """Read a state dict (safetensors, or torch's format without code) and the metadata that training left in it.

    Containers (`state_dict`, `model`, …) around the weights and what wrappers put into the names are taken off.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    try:
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
            return load_file(path), metadata
        with torch.serialization.safe_globals(NUMBERS):
            state = torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:  # says itself what is wrong
        raise
    except Exception:  # of damaged files the readers raise nearly anything, and what they say ("101") helps nobody
        raise UserError(
            f"{path}: not a file of weights; expected .safetensors, or a state dict as torch.save writes it "
            f"(a pickled network is not loaded: that would run its code)"
        ) from None
    for wrapper in WRAPPERS:
        if isinstance(state, dict) and isinstance(state.get(wrapper), dict):
            state = state[wrapper]
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise UserError(f"{path}: holds no state dict of tensors")
    state = {".".join(part for part in key.split(".") if part not in INSERTED): value for key, value in state.items()}
    while state and all(key.startswith(PREFIX) for key in state):
        state = {key.removeprefix(PREFIX): value for key, value in state.items()}
    return state, {}


def load_weights(model: nn.Module, state: State, source: str, *, keep: Collection[str] = ()) -> str:
    """Put a state dict into the network, all of it or nothing; return how names were matched.

    Weights of the same architecture in other code bear other names: where no name is shared, but all tensors
    stand in the same order with the same shapes, they are matched by position. keep: tensors of the network that stay
    as they are, whatever the state dict holds in their place (a new classifier).
    Raises UserError naming what differs.
    """
    own = model.state_dict()
    pairs = zip(own.items(), state.values(), strict=False)
    by_position = own.keys().isdisjoint(state) and len(own) == len(state)
    if by_position and all(key in keep or mine.shape == theirs.shape for (key, mine), theirs in pairs):
        state = dict(zip(own, state.values(), strict=True))
    else:
        by_position = False
    # Files of before PyTorch 0.4.1 lack batch norm's counter, which nothing reads where there is a momentum.
    missing = [key for key in own if key not in state and key not in keep and not key.endswith(".num_batches_tracked")]
    extra = [key for key in state if key not in own]
    shapes = [
        f"{key} {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and key not in keep and state[key].shape != own[key].shape
    ]
    if missing or extra or shapes:
        parts = [("missing", missing), ("not in this network", extra), ("of another shape", shapes)]
        told = "; ".join(f"{len(keys)} {what}, first {keys[0]}" for what, keys in parts if keys)
        raise UserError(f"{source}: weights of another architecture than {type(model).__name__}: {told}")
    # Into the network's own dict, which knows the versions of its layers (mnasnet takes no other).
    own.update((key, value) for key, value in state.items() if key not in keep)
    model.load_state_dict(own)
    return "position" if by_position else "name"
