"""Names that timm, torchvision, seaborn and matplotlib offer, read from their source: importing them takes seconds.

Each function returns an empty result if its package is not installed, as on a head node that only plans.
"""

import functools
import importlib.util
import re
from pathlib import Path

INPUT_SIZE = re.compile(r"'?input_size'?\s*[=:]\s*\(\d+,\s*(\d+),\s*\1\)")
FIXED = re.compile(r"'?fixed_input_size'?\s*[=:]\s*(True|False)")
CROP_SIZE = re.compile(r"crop_size=(\d+)")
TIMM_NETWORK = re.compile(r"@register_model\s+def (\w+)")
TORCHVISION_NETWORK = re.compile(r"@register_model\(\)\s+@handle_legacy_interface[^@]*?\ndef (\w+)")
SIBLING = re.compile(r"^ *from (?:\.|timm\.models\.)(\w+) import", re.MULTILINE)
WORD = re.compile(r"[A-Za-z_]\w*")
OPTIMIZER = re.compile(r"OptimInfo\(\s*name='(\w+)'")
PALETTE_FILES = (
    ("seaborn", "palettes.py", re.compile(r"^    (\w+)=\[", re.MULTILINE)),
    ("seaborn", "cm.py", re.compile(r"^    (\w+)=_\w+_lut", re.MULTILINE)),
    ("matplotlib", "_cm.py", re.compile(r"^    '(\w+)':\s+(?:_\w+_data|\{'listed')", re.MULTILINE)),
    ("matplotlib", "_cm_listed.py", re.compile(r"^        \('(\w+)', _\w+_data\)", re.MULTILINE)),
    ("matplotlib", "cm.py", re.compile(r"^        '(\w+)': '\w+',", re.MULTILINE)),
)
FIRST_WEIGHTS = "IMAGENET1K_V1"  # of torchvision, used if no tag is given
COMPUTED_PALETTES = ("hls", "husl")
PALETTE_PREFIXES = ("ch:", "light:", "dark:", "blend:")  # colours follow the prefix


@functools.cache
def sources(package: str, files: str) -> tuple[str, ...]:
    """Return the texts of an installed package's files that match a pattern."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ()
    return tuple(path.read_text(encoding="utf-8") for path in sorted(Path(spec.origin).parent.glob(files)))


@functools.cache
def networks_by_source(package: str) -> dict[str, str]:
    """Return network → source text of the module that registers it. package: timm or torchvision."""
    pattern = TIMM_NETWORK if package == "timm" else TORCHVISION_NETWORK
    return {name: text for text in sources(package, "models/*.py") for name in pattern.findall(text)}


@functools.cache
def argument_words(package: str, network: str) -> frozenset[str]:
    """Return all words in the source of a network and of the modules that it imports.

    They include the names of its arguments: an argument with another name is misspelt. Empty if the network is unknown.
    """
    text = networks_by_source(package).get(network, "")
    texts, imported = [text] if text else [], {"_factory", "_builder"}
    unread = {name for text in texts for name in SIBLING.findall(text)} | imported if texts else set()
    read = set[str]()
    while unread:
        name = unread.pop()
        read.add(name)
        for text in sources(package, f"models/{name}.py"):
            texts.append(text)
            unread |= {*SIBLING.findall(text)} - read
    return frozenset(word for text in texts for word in WORD.findall(text))


def timm_optimizers() -> set[str]:
    """Return the names of timm's optimizers."""
    return {name for text in sources("timm", "optim/_optim_factory.py") for name in OPTIMIZER.findall(text)}


@functools.cache
def weights_of(package: str, network: str) -> dict[str, str]:
    """Return tag → source text that describes these weights, or {} if the source has another form."""
    text = networks_by_source(package).get(network, "")
    if package == "timm":
        entry = re.compile(
            rf"^ +'{network}(?:\.([\w-]+)\*?)?'\s*:\s*(\w+\(.*?)(?=^ +'[\w.*-]+'\s*:|^ *\}})", re.DOTALL | re.MULTILINE
        )
        return dict(entry.findall(text))
    enum = re.search(rf"^class {network}_weights\(.*?(?=^\S)", text, re.DOTALL | re.MULTILINE | re.IGNORECASE)
    parts = re.split(r"^    (\w+) = ", enum[0], flags=re.MULTILINE)[1:] if enum else []
    return dict(zip(parts[::2], parts[1::2], strict=True))


@functools.cache
def input_size_of(package: str, network: str, tag: str) -> int | None:
    """Return the input size in pixels if a network takes no other without further arguments, else None.

    It is also None if the source gives no size. tag: the weights' tag, or "".
    """
    weights = weights_of(package, network)
    if not tag and package == "torchvision":
        tag = FIRST_WEIGHTS
    descriptions = [weights[tag]] if tag in weights else list(weights.values())
    if package == "torchvision":
        crops = [CROP_SIZE.search(text) for text in descriptions] if network.startswith("vit_") else []
        sizes = {int(crop[1]) if crop else None for crop in crops}
    else:
        module = networks_by_source("timm").get(network, "")
        sizes = {fixed_size(text, module) for text in descriptions}
    return sizes.pop() if len(sizes) == 1 else None


def fixed_size(description: str, module: str) -> int | None:
    """Return the input size that a timm configuration fixes, itself or in the function that it calls, else None."""
    function = description.partition("(")[0]
    common = re.search(rf"^def {function}\(.*?^    [}})]$", module, re.DOTALL | re.MULTILINE)
    texts = [description, common[0] if common else ""]
    fixed, size = (next(filter(None, map(pattern.search, texts)), None) for pattern in (FIXED, INPUT_SIZE))
    return int(size[1]) if size and fixed and fixed[1] == "True" else None


@functools.cache
def palettes() -> tuple[str, ...]:
    """Return the names of seaborn's palettes, which include matplotlib's colormaps."""
    if not sources("seaborn", "palettes.py"):
        return ()
    texts = [(pattern, text) for package, file, pattern in PALETTE_FILES for text in sources(package, file)]
    return (*COMPUTED_PALETTES, *(name for pattern, text in texts for name in pattern.findall(text)))


def is_palette(name: str) -> bool:
    """Return whether seaborn has a palette of that name; _r reverses a colormap, _d darkens it."""
    names = palettes()
    if name.lower() == "jet":  # seaborn refuses this misleading colormap
        return False
    if names and name.startswith(PALETTE_PREFIXES):
        import seaborn  # takes a second, and only these palettes are computed from their name

        try:
            return len(seaborn.color_palette(name, 3)) == 3
        except (ValueError, TypeError, KeyError):
            return False
    return not names or re.sub("_[rd]$", "", name) in names
