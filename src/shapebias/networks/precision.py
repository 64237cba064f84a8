"""The arithmetic of a forward pass."""

import torch

PRECISIONS = {"float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def autocast(device: str, precision: str) -> torch.autocast:
    """A context in which matrix products and convolutions are computed in that precision."""
    dtype = PRECISIONS[precision]
    return torch.autocast(device.partition(":")[0], dtype, enabled=dtype != torch.float32)
