"""The kind of each stylizer of a study. It is not in `queries`, because importing a kind imports its network."""

from shapebias.config.queries import Config
from shapebias.stylize.stylizers import STYLIZERS, StylizerKind


def stylizer_kind(config: Config, stylizer: str) -> StylizerKind:
    """Return the kind of a stylizer. Entries under `stylizers` are AdaIN networks; others go by the kind's own name."""
    return STYLIZERS["adain" if stylizer in config["stylizers"] else stylizer]
