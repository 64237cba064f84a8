"""The kind of each stylizer of a study. It is not in `queries`, because importing a kind imports its network."""

from shapebias.config.queries import Config
from shapebias.stylize.gatys_settings import SETTINGS, GatysSettings, make_settings
from shapebias.stylize.stylizers import STYLIZERS, StylizerKind


def stylizer_kind(config: Config, stylizer: str) -> StylizerKind:
    """Return the kind of a stylizer: that of its entry under `stylizers`, or an embedded one by its name."""
    return STYLIZERS[config["stylizers"][stylizer]["kind"] if stylizer in config["stylizers"] else stylizer]


def gatys_settings(entry: Config) -> GatysSettings:
    """Return the settings of an entry of kind gatys under `stylizers`."""
    return make_settings({name: entry[name] for name in SETTINGS})
