"""Measure and change the shape bias of image classifiers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapebias.api import evaluate, shape_bias

    __version__: str

__all__ = ["__version__", "evaluate", "shape_bias"]


def __getattr__(name: str) -> Any:
    """Import the notebook functions on first use, since every job of the workflow imports this package."""
    if name == "__version__":
        from importlib.metadata import version

        return version("shapebias")
    if name in __all__:
        from shapebias import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
