"""Measure and change the shape bias of image classifiers."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from shapebias.api import evaluate, plot_shape_bias, shape_bias, stylize_photographs, write_report
    from shapebias.networks.image_text import from_embeddings, make_prompts
    from shapebias.networks.models import Preparation

    __version__: str

__all__ = [
    "Preparation",
    "__version__",
    "evaluate",
    "from_embeddings",
    "make_prompts",
    "plot_shape_bias",
    "shape_bias",
    "stylize_photographs",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """Import what a notebook uses on first use, since every job of the workflow imports this package."""
    if name == "__version__":
        from importlib.metadata import version

        return version("shapebias")
    if name in ("Preparation", "from_embeddings", "make_prompts"):
        from shapebias.extras import explain_missing_packages

        with explain_missing_packages():
            from shapebias.networks import image_text
        return getattr(image_text, name)
    if name in __all__:
        from shapebias import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
