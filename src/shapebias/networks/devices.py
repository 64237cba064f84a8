"""What a network runs on."""

import torch

from shapebias.errors import UserError


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
