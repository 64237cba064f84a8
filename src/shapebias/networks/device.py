"""What a network runs on: device, arithmetic, memory."""

import ctypes
import sys

import torch

from shapebias.errors import UserError

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
LARGEST = 2**31 - 1
MAPPED = 2**30  # bytes: blocks from here on are mapped one by one, as glibc does with those above 32 MiB


def resolve_device(name: str) -> str:
    """`auto` is the first GPU if there is one, else the CPU. Raises UserError for a device that is not there."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    # Without a tensor on it: which GPU is whose is not known yet, and each rank would take some memory of the first.
    if name == "cuda" and torch.cuda.is_available():
        return name
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {name!r}: {str(error).splitlines()[0]}; use cpu or auto") from None
    return name


def autocast(device: str, precision: str) -> torch.autocast:
    """A context in which matrix products and convolutions are computed in that precision."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.partition(":")[0], dtype, enabled=dtype != torch.float32)


def keep_freed_memory() -> None:
    """Let this process and its children keep the large blocks that they free.

    By default glibc returns each to the kernel at once, which then has to find and clear every page of the next one:
    activations and batches are such blocks. Measured on a CPU: normalizing a batch takes a sixth of the time. Where
    the C library is another one, nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_THRESHOLD, MAPPED)
    mallopt(M_TRIM_THRESHOLD, LARGEST)
