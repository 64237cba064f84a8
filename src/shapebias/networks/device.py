"""The device a network runs on, its arithmetic and its memory."""

import ctypes
import sys

import torch
from torch import nn

from shapebias.errors import UserError

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
MAX_INT = 2**31 - 1
# Activations whose gradient needs their input. An in-place ReLU is not among them: its output is enough.
KEEP_INPUT = (nn.Hardtanh, nn.SiLU, nn.Hardswish)  # ReLU6 is a Hardtanh
MMAP_BYTES = 2**30  # larger blocks are mapped one by one; glibc's own limit is 32 MiB


def resolve_device(name: str) -> str:
    """Return the device of that name; `auto` is the first GPU if there is one, else the CPU.

    Raises UserError for a device that this machine does not have.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    # No test tensor here: ranks have not chosen their GPUs yet, and each would take some memory of the first GPU.
    if name == "cuda" and torch.cuda.is_available():
        return name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r}: {str(error).splitlines()[0]}; use cpu or auto") from None
    return name


def device_name(device: str) -> str:
    """Return the name of a GPU; "" for the CPU."""
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else ""


def autocast(device: str, precision: str) -> torch.autocast:
    """Return a context that computes matrix products and convolutions in the given precision."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.partition(":")[0], dtype, enabled=dtype != torch.float32)


def keep_freed_memory() -> None:
    """Let this process and its children reuse the large memory blocks that they free.

    By default glibc returns each freed block to the kernel at once, and the kernel must then find and clear every page
    of the next block. Activations and batches are such blocks. With this setting, normalizing a batch on a CPU takes a
    sixth of the time (measured). With another C library than glibc, the function does nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
    mallopt(M_TRIM_THRESHOLD, MAX_INT)


def write_new_outputs(network: nn.Module) -> None:
    """Let ReLU6, SiLU and hard swish write new tensors where they overwrite their input.

    torch copies an input that will be overwritten, because the gradient needs it. The copy costs a pass over memory and
    saves none. The values are the same.
    """
    for module in network.modules():
        if isinstance(module, KEEP_INPUT):
            module.inplace = False
