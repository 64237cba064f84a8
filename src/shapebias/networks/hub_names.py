"""Names of networks of timm on the Hugging Face hub. This module imports no torch, so a config is checked fast."""

import re

HUB_PREFIX = "hf-hub:"
HUB_NAME = re.compile(r"hf-hub:[\w.-]+/[\w.-]+(@[\w./-]+)?")


def is_hub_name(name: str) -> bool:
    """Return whether a name begins like that of a network on the hub."""
    return name.startswith(HUB_PREFIX)


def hub_name_problem(name: str) -> str:
    """Return what is wrong with the form of a name on the hub, "" if nothing is."""
    if HUB_NAME.fullmatch(name):
        return ""
    return f"{name!r} is no name on the Hugging Face hub; expected {HUB_PREFIX}OWNER/NAME, perhaps with @REVISION"
