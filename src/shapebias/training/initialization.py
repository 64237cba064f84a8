"""How training starts: from which weights, under which head, and what of the network learns."""

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from shapebias.categories import ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.networks.models import build, classifier, classifier_keys
from shapebias.networks.weights import State, load_weights, read_weights, weights_path

log = logging.getLogger(__name__)

PUBLISHED = "pretrained"  # the start, and what a file says of itself that `published_weights` made


@dataclass(frozen=True)
class Start:
    """A network before its first step, and where it comes from.

    init: scratch, pretrained, or the regime (else the name of the file) that the weights came from. head: "kept", or
    "new" where the classifier was drawn anew. lineage: what those weights were trained on before, oldest first.
    """

    network: nn.Module
    init: str
    head: str
    lineage: list[dict[str, Any]] = field(default_factory=list)


def initial_network(name: str, classes: list[str], *, kwargs: dict[str, Any], init: str, seed: int) -> Start:
    """The network at the start of training on `classes` (in the order of its outputs).

    init: `scratch`, `pretrained` (the published weights) or a weights file, as a path or `package:NAME/FILE`. seed:
    draws all weights that no file brings. A classifier is kept if it names these very classes in this order, and
    drawn anew if it names entirely others (a transfer); published weights and files without metadata name ILSVRC's
    1,000. Raises UserError where a file holds another architecture, or classes of which only some are these.
    """
    torch.manual_seed(seed)
    if init == "scratch":
        return Start(build(name, classes=len(classes), kwargs=kwargs), init, "new")
    if init == PUBLISHED:
        network = build(name, classes=len(classes), kwargs=kwargs, pretrained=True)
        published = getattr(network, "pretrained_cfg", {}).get("num_classes", len(classes))
        kept = classes == ilsvrc_wnids() and published == len(classes)
        if not kept and len(classes) == len(ilsvrc_wnids()):  # other classes, as many: the published head came along
            torch.manual_seed(seed)
            drawn = classifier(build(name, classes=len(classes), kwargs=kwargs))
            classifier(network).load_state_dict(drawn.state_dict())
        return Start(network, init, "kept" if kept else "new")
    network = build(name, classes=len(classes), kwargs=kwargs)
    state, trained = read_weights(weights_path(init))
    if "classes" in trained:
        kept = same_classes(list(trained["classes"]), classes, init)
        load_weights(network, state, init, keep=() if kept else classifier_keys(network))
    else:
        kept = load_foreign(network, state, init, classes)
    if not kept:
        log.info("%s: its classifier names other classes; a new one of %d outputs is drawn", init, len(classes))
    source = PUBLISHED if PUBLISHED in trained else trained.get("regime") or weights_path(init).name
    return Start(network, source, "kept" if kept else "new", trained.get("lineage", []))


def published_weights(name: str, kwargs: dict[str, Any]) -> tuple[State, dict[str, Any]]:
    """A network's published weights, with its own classifier and fitted to kwargs as timm fits them; and metadata.

    A file of them is a start that needs no internet and is recorded as `pretrained`. Raises UserError as `build` does.
    """
    network = build(name, kwargs=kwargs, pretrained=True)
    # Copies: a file cannot hold two tensors that share their memory.
    state = {
        key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in network.state_dict().items()
    }
    return state, {PUBLISHED: name}


def load_foreign(network: nn.Module, state: State, source: str, classes: list[str]) -> bool:
    """Load weights that do not say what they were trained on; whether the classifier is theirs.

    It is where the classes are ILSVRC's and theirs are as many. Raises UserError where the rest does not fit.
    """
    if classes == ilsvrc_wnids():
        try:
            load_weights(network, state, source)
            return True
        except UserError:
            pass  # their classifier may be all that differs
    load_weights(network, state, source, keep=classifier_keys(network))
    return False


def same_classes(theirs: list[str], ours: list[str], source: str) -> bool:
    """Whether weights trained on `theirs` answer with `ours`; raises UserError where only some of them are the same."""
    if theirs == ours:
        return True
    if set(theirs).isdisjoint(ours):
        return False
    theirs_only, ours_only = ([c for c in a if c not in set(b)] for a, b in ((theirs, ours), (ours, theirs)))
    parts = ((theirs_only, "are not of these images"), (ours_only, "of these images are not of the file"))
    told = [f"{len(names)} {what}, first {names[0]!r}" for names, what in parts if names]
    if not told:
        place = next(i for i, (a, b) in enumerate(zip(theirs, ours, strict=True)) if a != b)
        told = [f"the same in another order, first {theirs[place]!r} where these images have {ours[place]!r}"]
    raise UserError(
        f"{source}: trained on other classes ({len(theirs)}) than these images have ({len(ours)}): {'; '.join(told)}; "
        f"start from weights of the same classes, or of entirely other ones (they get a new head)"
    )


def freeze(network: nn.Module, trainable: str | int) -> None:
    """Let only a part of the network learn (sets `requires_grad`).

    trainable: `all`; `head`, the classifier alone; or how many of timm's layer groups learn, counted from the output,
    as its layer-wise learning rates group them. The last group is the classifier and what timm puts with it (the norm
    before it in a ConvNeXt; a ViT's final norm belongs to its last block instead); the next are single blocks, the
    first is the stem. Raises UserError where the network has fewer groups, or none (torchvision's).
    """
    if trainable == "all":
        network.requires_grad_(True)
        return
    if trainable == "head":
        network.requires_grad_(False)
        classifier(network).requires_grad_(True)
        return
    groups = layer_groups(network)
    count = max(groups.values()) + 1
    if not 1 <= int(trainable) <= count:
        raise UserError(f"trainable {trainable}: {type(network).__name__} has 1 to {count} layer groups")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(groups[name] >= count - int(trainable))


def layer_groups(network: nn.Module) -> dict[str, int]:
    """Parameter → its layer group, 0 at the input, as timm counts them."""
    if not hasattr(network, "group_matcher"):
        raise UserError(
            f"network {type(network).__name__}: torchvision's networks have no layer groups; "
            f"set trainable to all or head, or take the network from timm"
        )
    return group_parameters(network, network.group_matcher(coarse=False), reverse=True)  # ty: ignore[not-callable]


def training_mode(network: nn.Module, trainable: str | int) -> None:
    """Switch to training, but leave what is frozen in eval mode: its batch norm would drift, its dropout add noise.

    A module is in train mode if all of its parameters learn, in eval mode if none does (or it has none); of one that
    is frozen in part, each child is decided alike. With `head`, only the classifier is in train mode.
    """
    network.train(trainable == "all")
    if trainable == "head":
        classifier(network).train()
    elif trainable != "all":
        train_what_learns(network)


def train_what_learns(module: nn.Module) -> None:
    """Train mode for the parts of a module in eval mode that learn as a whole."""
    learning = [parameter.requires_grad for parameter in module.parameters()]
    if learning and all(learning):
        module.train()
    elif any(learning):
        for child in module.children():
            train_what_learns(child)
