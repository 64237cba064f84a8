"""The network before training: its initial weights, its head, and the part of it that learns."""

import logging
from dataclasses import dataclass, field
from typing import Any

import torch
from timm.models import group_parameters
from torch import nn

from shapebias.categories import ilsvrc_wnids
from shapebias.errors import UserError
from shapebias.networks.models import build, classifier, classifier_keys, load_file
from shapebias.networks.weights import State, read_weights, weights_path

log = logging.getLogger(__name__)

PRETRAINED = "pretrained"  # value of init, and metadata key of files from `published_weights`


@dataclass(frozen=True)
class InitialNetwork:
    """A network before its first step, and the origin of its weights.

    init: scratch, pretrained, or the regime that trained the weights (without a regime, the file's name). head: "kept",
    or "new" if the classifier has new random weights. lineage: the earlier trainings of the weights, oldest first.
    """

    network: nn.Module
    init: str
    head: str
    lineage: list[dict[str, Any]] = field(default_factory=list)


def initial_network(name: str, classes: list[str], *, kwargs: dict[str, Any], init: str, seed: int) -> InitialNetwork:
    """Return the network before training on `classes`, given in the order of its outputs.

    init: `scratch`, `pretrained` (the published weights) or a weights file, as a path or `package:NAME/FILE`. seed: for
    all weights that do not come from a file. The classifier is kept if its classes are the same in the same order. It
    gets new random weights if its classes are entirely different (a transfer). Published weights and files without
    metadata have ILSVRC's 1,000 classes. Raises UserError if a file has another architecture, or shares only some of
    the classes.
    """
    torch.manual_seed(seed)
    if init == "scratch":
        return InitialNetwork(build(name, classes=len(classes), kwargs=kwargs), init, "new")
    if init == PRETRAINED:
        state, metadata = published_weights(name, kwargs)
    else:
        state, metadata = read_weights(weights_path(init))
    torch.manual_seed(seed)
    network = build(name, classes=len(classes), kwargs=kwargs)
    if "classes" in metadata:
        keep_head = same_classes(list(metadata["classes"]), classes, init)
        keep = () if keep_head else classifier_keys(network)
        load_file(network, state, init, name=name, kwargs=kwargs, keep=keep)
    else:
        keep_head = load_foreign(network, state, init, classes, name=name, kwargs=kwargs)
    if not keep_head:
        log.info(
            "%s: its classifier has other classes; a new classifier with %d outputs is initialized", init, len(classes)
        )
    source = PRETRAINED if PRETRAINED in metadata else metadata.get("regime") or weights_path(init).name
    if metadata.get("entry"):
        source += f" ({metadata['entry']})"  # averaged weights of a checkpoint
    return InitialNetwork(network, source, "kept" if keep_head else "new", metadata.get("lineage", []))


def published_weights(name: str, kwargs: dict[str, Any]) -> tuple[State, dict[str, Any]]:
    """Return a network's published weights with their own classifier, adapted to kwargs as timm does, and metadata.

    A file of these weights starts a training without internet, and the training is recorded as `pretrained`. Raises
    UserError as `build` does.
    """
    network = build(name, kwargs=kwargs, pretrained=True)
    # Copies: a file cannot hold two tensors that share their memory.
    state = {
        key: value.detach().clone(memory_format=torch.contiguous_format) for key, value in network.state_dict().items()
    }
    return state, {PRETRAINED: name}


def load_foreign(
    network: nn.Module, state: State, source: str, classes: list[str], *, name: str, kwargs: dict[str, Any]
) -> bool:
    """Load weights without information about their training; return whether their classifier was loaded too.

    The classifier is loaded if the classes are ILSVRC's and their number fits. Raises UserError if the other weights do
    not fit.
    """
    if classes == ilsvrc_wnids():
        try:
            load_file(network, state, source, name=name, kwargs=kwargs)
            return True
        except UserError:
            pass  # perhaps only their classifier differs
    load_file(network, state, source, name=name, kwargs=kwargs, keep=classifier_keys(network))
    return False


def same_classes(file_classes: list[str], classes: list[str], source: str) -> bool:
    """Whether a file's classes equal these classes. Raises UserError if the file shares only some of them."""
    if file_classes == classes:
        return True
    if set(file_classes).isdisjoint(classes):
        return False
    only_in_file, only_here = (
        [c for c in a if c not in set(b)] for a, b in ((file_classes, classes), (classes, file_classes))
    )
    checks = ((only_in_file, "are not of these images"), (only_here, "of these images are not of the file"))
    differences = [f"{len(names)} {problem}, first {names[0]!r}" for names, problem in checks if names]
    if not differences:
        position = next(i for i, (a, b) in enumerate(zip(file_classes, classes, strict=True)) if a != b)
        differences = [
            f"the same in another order, first {file_classes[position]!r} where these images have {classes[position]!r}"
        ]
    raise UserError(
        f"{source}: trained on other classes ({len(file_classes)}) than these images have ({len(classes)}): "
        f"{'; '.join(differences)}; start from weights of the same classes, or of entirely different classes (the "
        f"network gets a new head)"
    )


def freeze(network: nn.Module, trainable: str | int) -> None:
    """Let only a part of the network learn (sets `requires_grad`).

    trainable: `all`, `head` (the classifier alone), or the number of timm's layer groups that learn, counted from the
    output. timm uses the same groups for layer-wise learning rates. The last group is the classifier with the layers
    that timm adds to it: a ConvNeXt's includes the norm before the classifier, but a ViT's final norm belongs to its
    last block. The other groups are single blocks, and the first group is the stem. Raises UserError if the network has
    fewer groups, or none (torchvision's networks).
    """
    if trainable == "all":
        network.requires_grad_(True)
        return
    if trainable == "head":
        network.requires_grad_(False)
        classifier(network).requires_grad_(True)
        return
    groups = layer_groups(network)
    group_count = max(groups.values()) + 1
    if not 1 <= int(trainable) <= group_count:
        raise UserError(f"trainable {trainable}: {type(network).__name__} has 1 to {group_count} layer groups")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(groups[name] >= group_count - int(trainable))


def layer_groups(network: nn.Module) -> dict[str, int]:
    """Map each parameter to its layer group, in timm's numbering from 0 at the input."""
    if not hasattr(network, "group_matcher"):
        raise UserError(
            f"network {type(network).__name__}: torchvision's networks have no layer groups; "
            f"set trainable to all or head, or take the network from timm"
        )
    return group_parameters(network, network.group_matcher(coarse=False), reverse=True)  # ty: ignore[not-callable]


def training_mode(network: nn.Module, trainable: str | int) -> None:
    """Switch the network to training, but keep its frozen parts in eval mode.

    In train mode, the batch norm of a frozen part would drift and its dropout would add noise. A module is in train
    mode if all of its parameters learn, and in eval mode if none does or if it has none. In a partly frozen module, the
    rule applies to each child. With `head`, only the classifier is in train mode.
    """
    network.train(trainable == "all")
    if trainable == "head":
        classifier(network).train()
    elif trainable != "all":
        train_unfrozen_parts(network)


def train_unfrozen_parts(module: nn.Module) -> None:
    """Switch the parts of a module to train mode that learn completely; the module is in eval mode before."""
    learning = [parameter.requires_grad for parameter in module.parameters()]
    if learning and all(learning):
        module.train()
    elif any(learning):
        for child in module.children():
            train_unfrozen_parts(child)
