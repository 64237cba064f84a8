"""Functions in place of torch networks: any callable from a batch of images to logits, and ONNX Runtime's sessions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn

from shapebias.errors import UserError

ONNX_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64}
LOGITS = "logits"  # the field of the networks of Hugging Face, and the usual name of an output in ONNX
NO_NUMBERS = "OSUMmc"  # numpy's kinds of types: objects, texts, times, complex numbers


class FunctionNetwork(nn.Module):
    """A function with the interface of a network. Errors of the function name it and the batch.

    function: maps images, float32 [B, 3, size, size] on the device of the measurement, to logits [B, classes].
    """

    def __init__(self, function: Callable[[torch.Tensor], Any], name: str) -> None:
        super().__init__()
        self.function = function
        self.name = name

    def forward(self, images: torch.Tensor) -> Any:
        try:
            return self.function(images)
        except UserError:
            raise
        except Exception as error:  # a function of the user's may fail in any way
            raise UserError(
                f"{self.name} fails on a batch of images, float32 {list(images.shape)} on {images.device}: "
                f"{type(error).__name__}: {' '.join(str(error).split())}"
            ) from error


class SessionFunction:
    """An ONNX Runtime session as a function from images to logits.

    The logits are the session's only output, or the one that is called `logits`. A session that was exported for one
    image at a time gets one image at a time. Raises UserError for a session with another input than a batch of images.
    """

    def __init__(self, session: Any) -> None:
        inputs, outputs = session.get_inputs(), [output.name for output in session.get_outputs()]
        shape = inputs[0].shape if len(inputs) == 1 else []
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != 3) or inputs[0].type not in ONNX_DTYPES:
            described = ", ".join(f"{entry.name}: {entry.type} {entry.shape}" for entry in inputs)
            raise UserError(
                f"this ONNX session takes ({described}), expected a single float input [B, 3, size, size]; give a "
                f"function that calls the session with what it takes and returns the logits"
            )
        if len(outputs) != 1 and LOGITS not in outputs:
            raise UserError(
                f"this ONNX session has {len(outputs)} outputs ({', '.join(outputs)}) and none is called {LOGITS!r}; "
                f"give a function that calls the session and returns the logits"
            )
        if isinstance(shape[0], int) and shape[0] != 1:
            raise UserError(
                f"this ONNX session takes exactly {shape[0]} images at a time; export it with a free batch dimension"
            )
        self.session = session
        self.input, self.dtype = inputs[0].name, ONNX_DTYPES[inputs[0].type]
        self.output = outputs[0] if len(outputs) == 1 else LOGITS
        self.one_at_a_time = shape[0] == 1

    def __call__(self, images: torch.Tensor) -> np.ndarray:
        pixels = images.cpu().numpy().astype(self.dtype)
        batches = np.split(pixels, len(pixels)) if self.one_at_a_time else [pixels]
        return np.concatenate([self.session.run([self.output], {self.input: batch})[0] for batch in batches])


def function_network(function: Any, name: str | None) -> FunctionNetwork:
    """Make a network from a callable or from a session of ONNX Runtime; name: for messages, by default its own.

    Raises UserError for anything else.
    """
    name = name or function_name(function)
    if all(hasattr(function, method) for method in ("run", "get_inputs", "get_outputs")):
        return FunctionNetwork(SessionFunction(function), name)
    if not callable(function):
        raise UserError(
            f"network is a {type(function).__name__}; expected a name in timm, a torch network, an ONNX Runtime "
            f"session or a function from a batch of images to logits"
        )
    return FunctionNetwork(function, name)


def function_name(function: Any) -> str:
    """Return a function's own name, or that of its type."""
    name = getattr(function, "__name__", type(function).__name__)
    return "function" if name == "<lambda>" else name


def output_tensor(output: Any) -> torch.Tensor | None:
    """Return a network's output as a tensor, or None if it holds no real numbers in one table.

    output: a tensor; an array of numpy, or of a library whose arrays numpy reads (JAX, Keras); or an object with one
    of these as its `logits`, as the networks of Hugging Face return.
    """
    output = getattr(output, LOGITS, output)
    if isinstance(output, torch.Tensor):
        is_plain = output.layout == torch.strided and not (output.is_nested or output.is_quantized or output.is_meta)
        return output.detach() if is_plain and not output.is_complex() else None
    if not hasattr(output, "__array__"):
        return None
    array = np.asarray(output)
    return None if array.dtype.kind in NO_NUMBERS else torch.from_numpy(array.astype(np.float32))
