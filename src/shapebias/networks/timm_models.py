"""timm's networks, and their weights: published, or in a file with the names of other authors."""

import difflib
import logging
import os
from collections.abc import Callable, Collection, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import timm
from timm.models import PretrainedCfg, load_model_config_from_hf, resolve_pretrained_cfg
from torch import nn
from torch.nn.modules.module import register_module_module_registration_hook
from torch.utils.hooks import RemovableHandle

from shapebias.downloads import AIR_GAP, is_reachable
from shapebias.errors import UserError
from shapebias.networks.hub_names import HUB_PREFIX, hub_name_problem, is_hub_name
from shapebias.networks.weights import State, needed

log = logging.getLogger(__name__)

HUB = "https://huggingface.co"  # HF_ENDPOINT replaces it, as in the hub's own client
FILE_SUFFIXES = (".onnx", ".pt", ".pth", ".pth.tar", ".ckpt", ".bin", ".safetensors")  # of files, not of networks


def build_timm(name: str, *, classes: int | None, kwargs: dict[str, Any], pretrained: bool) -> nn.Module:
    """Build a network by its timm name, perhaps with the tag of published weights, or by a name on the hub.

    Networks on the hub (`hf-hub:OWNER/NAME`) need the internet or the hub's cache, even without their weights, because
    the hub says what they are. Raises UserError for an unknown name or tag, for kwargs that do not fit, for weights
    that cannot be downloaded, and for published weights that do not fill the whole network: timm would leave the rest
    random.
    """
    on_hub = is_hub_name(name)
    hub_description = hub_config(name) if on_hub else None
    if not on_hub:
        require_known(name)
    arguments: dict[str, Any] = ({} if classes is None else {"num_classes": classes}) | kwargs
    if pretrained:
        config = hub_description or published_config(name, kwargs)
        outputs = arguments.get("num_classes", config.num_classes)
        require_published_outputs(name, outputs, config.num_classes)
        require_reachable_weights(name, config)
    try:
        with record_loading() as loading:
            network = timm.create_model(name, pretrained=pretrained, **arguments)
    except (TypeError, AssertionError) as error:
        raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
    except (RuntimeError, OSError, ValueError) as error:
        if pretrained and "loading state_dict" in str(error):
            raise UserError(f"network {name!r} with kwargs {kwargs}: {first_difference(error)}") from None
        if not pretrained or "No pretrained weights exist" in str(error):
            raise UserError(f"network {name!r} with kwargs {kwargs}: {error}") from None
        # The hub raises many kinds of errors; all that are left mean that the download failed.
        raise UserError(
            f"network {name!r}: its pretrained weights could not be downloaded ({type(error).__name__}); {AIR_GAP}"
        ) from None
    # Features without a classifier may lack the last norm, which a new classifier then trains (ConvNeXt's fcmae).
    gaps = needed(sorted(loading.missing), keep=()) if getattr(network, "num_classes", None) else []
    if pretrained and gaps:
        raise UserError(
            f"network {name!r} with kwargs {kwargs}: its published weights lack {len(gaps)} tensors of this network, "
            f"first {gaps[0]}, which would stay random; leave out the kwargs that add them"
        )
    return network


def hub_config(name: str) -> PretrainedCfg:
    """Return the hub's description of a network and its weights. Raises UserError if it has none for timm."""
    if problem := hub_name_problem(name):
        raise UserError(f"network {problem}")
    require_reachable(name, os.environ.get("HF_ENDPOINT", HUB))
    try:
        config, architecture, _ = load_model_config_from_hf(name.removeprefix(HUB_PREFIX))
    except Exception as error:  # the hub's client raises many kinds of errors, and a foreign description any
        raise UserError(
            f"network {name!r}: the hub has no description of a timm network of that name, or it could not be "
            f"downloaded ({type(error).__name__}); {AIR_GAP}"
        ) from None
    if not timm.is_model(architecture):
        raise UserError(f"network {name!r} is a {architecture!r}, which this version of timm does not have")
    return PretrainedCfg(**config)


def require_known(name: str) -> None:
    """Raise UserError for a name or a tag that timm does not have, with the nearest ones."""
    if name.endswith(FILE_SUFFIXES):
        raise UserError(
            f"network {name!r} is a file: give the name of its architecture in timm or torchvision, and the file as "
            f"weights (PyTorch or safetensors; ONNX files are not read)"
        )
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        near = difflib.get_close_matches(name, timm.list_models(), 1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        if "/" in name:
            hint = f"; a network on the Hugging Face hub is called {HUB_PREFIX}{name}"
        raise UserError(f"unknown network {name!r}: timm has no network of that name{hint}")
    names = timm.list_models(architecture, include_tags=True)
    if tag and name not in names:
        tags = [known.partition(".")[2] for known in names]
        near = difflib.get_close_matches(tag, tags, 1)
        hint = f"; did you mean {near[0]!r}?" if near else ";"
        known_tags = ", ".join(filter(None, tags))
        raise UserError(f"network {name!r}: timm has no weights {tag!r} of {architecture}{hint} it has {known_tags}")


def require_published_outputs(name: str, outputs: int, published: int) -> None:
    """Raise UserError if a network would have another number of outputs than its published weights."""
    if outputs != published:
        raise UserError(
            f"network {name!r}: its published weights have {published:,} outputs, not {outputs:,}, and a classifier of "
            f"another size would be random; give a file of weights with these {outputs:,} outputs (weights), or leave "
            f"out classes and num_classes"
        )


def published_config(name: str, kwargs: dict[str, Any]) -> PretrainedCfg:
    """Return timm's description of the published weights, with what kwargs replace in it."""
    architecture, _, tag = name.partition(".")
    return resolve_pretrained_cfg(
        architecture, kwargs.get("pretrained_cfg") or tag or None, kwargs.get("pretrained_cfg_overlay")
    )


def require_reachable_weights(name: str, config: PretrainedCfg) -> None:
    """Raise UserError at once if this machine cannot reach the weights of a timm network."""
    url = config.url if isinstance(config.url, str) else ""  # timm also allows (URL, file name); no network uses it
    if not (config.file or config.state_dict):
        require_reachable(name, os.environ.get("HF_ENDPOINT", HUB) if config.hf_hub_id else url)


def require_reachable(name: str, address: str) -> None:
    """Raise UserError at once if this machine cannot reach an address that a network comes from.

    The hub's client would retry for 47 seconds. HF_HUB_OFFLINE=1 takes the files from its cache without a request.
    """
    if address and not os.environ.get("HF_HUB_OFFLINE") and not is_reachable(address):
        raise UserError(
            f"network {name!r}: its pretrained weights could not be downloaded, {address} cannot be reached; {AIR_GAP} "
            f"(HF_HUB_OFFLINE=1 takes them from timm's cache)"
        )


def first_difference(error: Exception) -> str:
    """Return torch's first difference between weights and network; torch's message lists every tensor."""
    lines = [line.strip() for line in str(error).splitlines()]
    return f"its published weights have another architecture: {' '.join(lines[1:2])[:200]}"


@dataclass
class Loading:
    """What a state dict and a network do not share. missing: tensors of the network that no file filled."""

    missing: set[str] = field(default_factory=set)
    unexpected: set[str] = field(default_factory=set)


@contextmanager
def record_loading() -> Generator[Loading]:
    """Record the tensors that are left over when networks are built and loaded in the block.

    timm loads some weights without asking that they are complete, and only logs the rest. The caller judges what is
    left over, so these warnings, which may name hundreds of tensors, are not shown.
    """
    loading, hooks = Loading(), dict[nn.Module, RemovableHandle]()

    def record(_: nn.Module, keys: Any) -> None:
        loading.missing.update(keys.missing_keys)
        loading.unexpected.update(keys.unexpected_keys)

    def watch(parent: nn.Module, _name: str, _child: nn.Module | None) -> None:
        if parent not in hooks:
            hooks[parent] = parent.register_load_state_dict_post_hook(record)

    registration = register_module_module_registration_hook(watch)
    timm_log = logging.getLogger("timm")
    level = timm_log.level
    timm_log.setLevel(logging.ERROR)
    try:
        yield loading
    finally:
        timm_log.setLevel(level)
        registration.remove()
        for hook in hooks.values():
            hook.remove()


def name_converter(
    name: str, kwargs: dict[str, Any], outputs: int, keep: Collection[str] = ()
) -> Callable[[State], State | None]:
    """Return a function that gives tensors timm's names, as timm does for the published files of other authors.

    outputs: of the network; keep: its classifier's tensors if the file's are not used. The function returns None if the
    file does not fill the rest of the network.
    """

    def convert(state: State) -> State | None:
        # timm leaves the classifier out if the numbers of outputs differ.
        overlay = {"state_dict": state, "label_offset": 0, "num_classes": -1 if keep else outputs}
        arguments: dict[str, Any] = kwargs | {
            "pretrained_cfg_overlay": kwargs.get("pretrained_cfg_overlay", {}) | overlay
        }
        arguments["num_classes"] = outputs
        try:
            with record_loading() as loading:
                network = timm.create_model(name, pretrained=True, **arguments)
        except Exception as error:  # the filters meet tensors that they do not know, and fail in any way
            log.debug("%s: timm does not rename these tensors: %s", name, error)
            return None
        converted = network.state_dict()
        # timm also resizes tensors, such as position embeddings, for another size of images; that is another network.
        resized = any(key in state and state[key].numel() != converted[key].numel() for key in needed(converted, keep))
        return None if resized or loading.unexpected or needed(loading.missing, keep) else converted

    return convert
