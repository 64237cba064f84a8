"""Weights in files: read without running code from the file, loaded into a network completely or not at all."""

import argparse
import json
import logging
import pathlib
import re
from collections.abc import Callable, Collection, Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save
from torch import nn

from shapebias.errors import UserError
from shapebias.files import atomic_write
from shapebias.seals import SEAL_KEY, UNSEALED, check_seal, seal
from shapebias.signals import deferred_signals

log = logging.getLogger(__name__)

# Entries of a checkpoint that hold the weights, the preferred one first.
ENTRIES = ("state_dict", "model", "model_state", "model_state_dict", "module", "network", "net", "weights", "params")
# Entries of weights that are averaged over training have one of these words in their name; the first two are timm's.
AVERAGED_ENTRIES = ("state_dict_ema", "model_ema")
AVERAGED_WORDS = {"ema", "swa", "averaged"}
AVERAGE_COUNT = "n_averaged"  # torch's AveragedModel stores this number beside the weights
# DataParallel and torch.compile insert these anywhere in a name: Geirhos' AlexNet has features.module.0.weight.
WRAPPER_NAMES = ("module", "_orig_mod")
MODEL_PREFIX = "model."
METADATA_KEY = "shapebias"
# Parts of a training that belong to no network, by a word in the first part of their tensors' names: val_metrics.f1
TRAINING_WORDS = {"loss", "losses", "criterion", "metric", "metrics", "accuracy"}
WEIGHT_DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64)
BATCH_COUNTER = ".num_batches_tracked"
FOREIGN_CLASS = re.compile(r"GLOBAL ([\w.]+)")

# PyTorch's ImageNet example of 2018 stored its best accuracy beside the weights, as a numpy number. numpy's function
# that reads it had another name then. timm stores the arguments of its training. These classes hold values alone.
SCALAR = np.float64(0).__reduce__()[0]
SAFE_GLOBALS: list[Any] = [
    *[(SCALAR, "numpy.core.multiarray.scalar"), (SCALAR, "numpy._core.multiarray.scalar")],
    *[np.dtype, np.dtypes.Float64DType, np.dtypes.Float32DType, np.dtypes.Int64DType, np.dtypes.Int32DType],
    *[argparse.Namespace, pathlib.PosixPath, pathlib.PurePosixPath],
    # A file written on Windows, or by Lightning: the class is not on this machine, but one with the same content is.
    *[(pathlib.PurePosixPath, "pathlib.WindowsPath"), (dict, "lightning_fabric.utilities.data.AttributeDict")],
    *[
        (dict, "lightning.fabric.utilities.data.AttributeDict"),
        (dict, "pytorch_lightning.utilities.parsing.AttributeDict"),
    ],
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
    are unpacked, and the name parts of wrappers are removed. Averaged weights are preferred, as in timm; the metadata
    then holds their `entry` in the file. Raises UserError for a file without weights, with the reason.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such weights file")
    with deferred_signals():  # the readers turn Ctrl-C into an error of their own
        content, metadata = read_safetensors(path) if path.suffix == ".safetensors" else (read_pickle(path), {})
    state, entry = unpack_weights(content, path)
    state = clean_names(state, path)
    if state.pop(AVERAGE_COUNT, None) is not None:
        entry = entry or AVERAGE_COUNT
    return state, metadata | ({"entry": entry} if entry else {})


def read_safetensors(path: Path) -> tuple[State, dict[str, Any]]:
    """Return the tensors of a safetensors file, and the metadata of our own training."""
    check_seal(path)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get(METADATA_KEY, "{}"))
        state = load_file(path)
    except PermissionError:  # its own message is clear
        raise
    except Exception:  # on damaged files the reader raises many kinds of errors
        raise UserError(
            f"{path}: not a file of weights: its name ends in .safetensors, but its content differs; copy it again, or "
            f"remove it if this tool can make it again"
        ) from None
    if not isinstance(metadata, dict):
        raise UserError(f"{path}: its metadata {METADATA_KEY!r} is a {type(metadata).__name__}, not an object of JSON")
    metadata.pop(SEAL_KEY, None)
    return state, metadata


def write_weights(path: Path, state: State, metadata: dict[str, Any]) -> None:
    """Write tensors on the CPU, with metadata that JSON can hold, as `read_weights` reads them."""
    text = json.dumps(metadata | {SEAL_KEY: UNSEALED}, sort_keys=True)
    with atomic_write(path) as draft:
        # Save through bytes, because a full disk then raises an OSError.
        draft.write_bytes(seal(save(state, metadata={METADATA_KEY: text})))


def read_pickle(path: Path) -> Any:
    """Return what `torch.save` wrote: tensors, numbers, texts and containers; no other code runs than torch's own."""
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except PermissionError:  # its own message is clear
        raise
    except Exception as error:  # on damaged files the reader raises nearly any error, with messages such as "101"
        reason = str(error)
    if classes := foreign_classes(path, reason):
        raise UserError(
            f"{path}: not a file of weights alone: it also holds {', '.join(classes[:3])}"
            f"{f' and {len(classes) - 3} other classes' if classes[3:] else ''}, and loading it would run their "
            f"code; if you trust the file, save its state dict alone: torch.save(network.state_dict(), FILE)"
        )
    if "torchscript" in reason.lower():
        raise UserError(
            f"{path}: not a file of weights: a TorchScript program; save its state dict alone: "
            f"torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)"
        )
    raise UserError(
        f"{path}: not a file of weights; expected .safetensors, or a state dict written by torch.save "
        f"(a pickled network is not loaded, because loading would run its code)"
    )


def foreign_classes(path: Path, reason: str) -> list[str]:
    """Return the classes in a file of `torch.save` that are not loaded; reason: torch's refusal, which names one."""
    try:
        with torch.serialization.safe_globals(SAFE_GLOBALS):
            return sorted(torch.serialization.get_unsafe_globals_in_checkpoint(path))
    except Exception:  # a damaged file, or the format of 2018
        return FOREIGN_CLASS.findall(reason)[:1]


def unpack_weights(content: Any, path: Path) -> tuple[State, str]:
    """Return the state dict in a checkpoint, and the name of its entry if its weights are averaged, else "".

    Raises UserError if there is none, or if several could be meant.
    """
    chosen = ""
    while isinstance(content, dict):
        entries = [name for name, value in content.items() if is_entry(name) and holds_tensors(value)]
        if not entries:
            break
        averaged = [name for name in entries if is_averaged(name)]
        if len(averaged) > 1 and averaged[0] not in AVERAGED_ENTRIES:
            raise UserError(
                f"{path}: holds several averaged sets of weights: {', '.join(averaged)}; save one of them alone"
            )
        name = min(averaged or entries, key=lambda name: [*AVERAGED_ENTRIES, *ENTRIES, name].index(name))
        unread = [
            key for key, value in content.items() if is_averaged(key) and isinstance(value, dict | list) and value
        ]
        if averaged:
            chosen = name
            log.info("%s: takes the averaged weights (%s), of %s", path, name, ", ".join(entries))
        elif unread:
            log.warning("%s: takes %s; its averaged weights (%s) have an unknown form", path, name, ", ".join(unread))
        content = content[name]
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        keys = (
            f" (its entries: {', '.join(map(str, list(content)[:5]))})" if isinstance(content, dict) and content else ""
        )
        raise UserError(f"{path}: holds no state dict of tensors{keys}")
    for key, value in content.items():
        if "_packed_params" in str(key):
            raise UserError(f"{path}: {key!r} is of a quantized network; give the weights before they were quantized")
        if not isinstance(key, str) or not isinstance(value, torch.Tensor):
            raise UserError(
                f"{path}: {key!r} is a {type(value).__name__} beside the tensors of a state dict; save the network's "
                f"state_dict() alone"
            )
    return content, chosen


def is_entry(name: Any) -> bool:
    """Return whether a checkpoint's entry is meant to hold weights, by its name."""
    return name in ENTRIES or is_averaged(name)


def is_averaged(name: Any) -> bool:
    """Return whether a name says that weights are averaged over training: state_dict_ema, ema_model, …"""
    return isinstance(name, str) and not AVERAGED_WORDS.isdisjoint(re.split(r"[\W_]+", name.lower()))


def is_training_part(key: str) -> bool:
    """Return whether a tensor belongs to a loss or a metric, by its name."""
    return not TRAINING_WORDS.isdisjoint(re.split(r"[\W_]+", key.partition(".")[0].lower()))


def holds_tensors(value: Any) -> bool:
    """Return whether a value is a dict from names to tensors, or to such dicts; an optimizer's state has numbers."""
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        return False
    return any(isinstance(item, torch.Tensor) or holds_tensors(item) for item in value.values())


def clean_names(state: State, path: Path) -> State:
    """Return a state dict without the parts of names that wrappers around a network add."""
    names = [".".join(part for part in key.split(".") if part not in WRAPPER_NAMES) for key in state]
    while all(name.startswith(MODEL_PREFIX) for name in names if name != AVERAGE_COUNT) and set(names) != {
        AVERAGE_COUNT
    }:
        names = [name.removeprefix(MODEL_PREFIX) for name in names]
    cleaned = dict(zip(names, state.values(), strict=True))
    if len(cleaned) < len(state):
        repeated = next(name for name in names if names.count(name) > 1)
        raise UserError(f"{path}: holds {repeated!r} twice, with and without a wrapper's name; save one network alone")
    return cleaned


def load_weights(
    model: nn.Module,
    state: State,
    source: str,
    *,
    keep: Collection[str] = (),
    convert: Callable[[State], State | None] | None = None,
) -> str:
    """Load a complete state dict into the network, or change nothing; return how names were matched.

    Other code gives other names to the same architecture. Names are matched as they are, or below a common prefix. Else
    `convert` may give the tensors the network's names; it returns None if it cannot. Else, if no name is shared but all
    tensors have the same order and shapes, they are matched by position. keep: tensors of the network that stay
    unchanged, such as a new classifier. Raises UserError with the differences.
    """
    tensors = model.state_dict()
    refuse_unusable(state, tensors, source)
    matched, prefix = below_prefix(tensors, state, source, keep)
    matching = f"name below {prefix}" if prefix else "name"
    if matched is None and convert is not None:
        matched, matching = convert(state), "timm"
    if matched is None and tensors.keys().isdisjoint(state) and len(tensors) == len(state):
        renamed = dict(zip(tensors, state.values(), strict=True))
        if fits(tensors, renamed, keep):
            matched, matching = renamed, "position"
    state = state if matched is None else matched
    missing, wrong = [key for key in needed(tensors, keep) if key not in state], wrong_shapes(tensors, state, keep)
    extra = [key for key in state if key not in tensors]
    if not missing and not extra and (counts := other_outputs(tensors, state, wrong)):
        raise UserError(
            f"{source}: its classifier has {counts[0]} outputs, but {type(model).__name__} has {counts[1]} here; name "
            f"the {counts[0]} outputs in their order (--classes FILE.csv, classes in a config or in Python)"
        )
    if missing or extra or wrong:
        shapes = [f"{key} {tuple(state[key].shape)} instead of {tuple(tensors[key].shape)}" for key in wrong]
        parts = [("missing", missing), ("not in this network", extra), ("of another shape", shapes)]
        differences = "; ".join(f"{len(keys)} {problem}, first {keys[0]}" for problem, keys in parts if keys)
        raise UserError(f"{source}: weights of another architecture than {type(model).__name__}: {differences}")
    # Update the network's own dict, because it holds the versions of its layers (mnasnet needs them).
    tensors.update((key, value) for key, value in state.items() if key not in keep)
    model.load_state_dict(tensors)
    return matching


def refuse_unusable(state: State, tensors: State, source: str) -> None:
    """Raise UserError for a tensor that cannot be a weight: of integers, compressed or without values."""
    for key, value in state.items():
        is_weight = tensors[key].is_floating_point() if key in tensors else key.endswith(("weight", "bias"))
        if key.endswith(BATCH_COUNTER) or not is_weight:
            continue
        if value.dtype not in WEIGHT_DTYPES:
            raise UserError(
                f"{source}: {key} holds {value.dtype}: quantized weights are not the network's own; give weights of "
                f"floating-point numbers (float32, float16 or bfloat16)"
            )
        if value.is_meta or value.layout != torch.strided:
            form = "no values (a tensor of the meta device)" if value.is_meta else f"a tensor of layout {value.layout}"
            raise UserError(f"{source}: {key} is {form}; save the network's state_dict() with dense tensors")


def needed(tensors: Iterable[str], keep: Collection[str]) -> list[str]:
    """Return the tensors that a file must hold.

    Files from before PyTorch 0.4.1 lack batch norm's counter; with a momentum, nothing reads it.
    """
    return [key for key in tensors if key not in keep and not key.endswith(BATCH_COUNTER)]


def wrong_shapes(tensors: State, state: State, keep: Collection[str]) -> list[str]:
    """Return the tensors that have another shape in the file than in the network."""
    return [key for key in tensors if key in state and key not in keep and state[key].shape != tensors[key].shape]


def other_outputs(tensors: State, state: State, wrong: list[str]) -> tuple[int, int] | None:
    """Return the number of outputs in the file and in the network if the classifier alone differs, by this number.

    wrong: tensors of another shape. A layer inside the network cannot differ alone: the next layer would differ too.
    """
    sizes = {(*state[key].shape[:1], *tensors[key].shape[:1]) for key in wrong}
    same_inputs = all(state[key].shape[1:] == tensors[key].shape[1:] for key in wrong)
    [size, *others] = sizes or {()}
    return (size[0], size[1]) if len(size) == 2 and not others and same_inputs else None


def fits(tensors: State, state: State, keep: Collection[str]) -> bool:
    """Return whether a state dict holds all tensors of the network; only the number of outputs may differ."""
    if not all(key in state for key in needed(tensors, keep)):
        return False
    wrong = wrong_shapes(tensors, state, keep)
    return not wrong or other_outputs(tensors, state, wrong) is not None


def below_prefix(tensors: State, state: State, source: str, keep: Collection[str]) -> tuple[State | None, str]:
    """Return the network's tensors under its own names and their prefix in the file, or None if it lacks some.

    A training framework saves its module: `model.` before the network's names, perhaps `ema_model.` before averaged
    ones, and the tensors of a loss beside them. Raises UserError if another network may be meant.
    """
    first = next(iter(needed(tensors, keep)), "")
    prefixes = sorted({key.removesuffix(first) for key in state if f".{key}".endswith(f".{first}")})
    parts = {prefix: {key: state[prefix + key] for key in tensors if prefix + key in state} for prefix in prefixes}
    found = {prefix: part for prefix, part in parts.items() if fits(tensors, part, keep)}
    chosen = [prefix for prefix in found if is_averaged(prefix)] or list(found)
    if not chosen:
        return None, ""
    if len(chosen) > 1:
        names = ", ".join(prefix.removesuffix(".") or "no name" for prefix in chosen)
        raise UserError(f"{source}: holds this network several times ({names}); save one of them alone")
    [prefix] = chosen
    covered = {part_prefix + key for part_prefix, part in found.items() for key in part}
    beside = [key for key in state if key not in covered and not is_training_part(key)]
    if beside and not prefix:
        return state, ""  # the caller says that they are not in this network
    if beside:
        raise UserError(
            f"{source}: the tensors below {prefix!r} are this network's, but {len(beside)} others stand beside them, "
            f"first {beside[0]}; save the state_dict() of the network alone"
        )
    if len(found[prefix]) < len(state):
        log.info("%s: takes %d of %d tensors (below %r)", source, len(found[prefix]), len(state), prefix)
    return found[prefix], prefix
