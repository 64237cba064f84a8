"""What a network's outputs are: logits, or probabilities after a softmax or a sigmoid of its own."""

import logging
from dataclasses import dataclass

import torch
from torch import nn

from shapebias.errors import UserError

log = logging.getLogger(__name__)

LOGITS, PROBABILITIES, UNCERTAIN = "logits", "probabilities", "logits from 0 to 1"
SUM_TOLERANCE = 0.01  # of a softmax over many classes in half precision
ENOUGH_VALUES = 256  # outputs from 0 to 1 alone; small logits of an untrained network hardly reach so many
LIBRARIES = ("timm", "torchvision")  # their networks return logits
CLASSIFIER_PARTS = ("fc", "head", "heads", "classifier", "last_linear")


@dataclass
class OutputScale:
    """The scale of one network's outputs, found on the first images.

    Rows from 0 to 1 that sum to 1 are probabilities: another softmax would flatten them. Outputs from 0 to 1 with other
    sums come from a sigmoid; they are refused, because they do not say how the classes compare.
    kind: LOGITS, PROBABILITIES, UNCERTAIN after too few images, or "" as long as all are possible. values: outputs seen
    so far without an answer.
    """

    kind: str = ""
    values: int = 0

    def logits(self, output: torch.Tensor, network: nn.Module, name: str) -> torch.Tensor:
        """Return logits for a batch of outputs, both float32 [B, classes]; a softmax of them gives the probabilities.

        Raises UserError for outputs of a sigmoid, and for a later batch that contradicts the first one.
        """
        in_unit = bool(((output >= 0) & (output <= 1)).all())
        sums_to_one = in_unit and output.shape[1] > 1 and bool(((output.sum(dim=1) - 1).abs() < SUM_TOLERANCE).all())
        if not self.kind and sums_to_one:
            self.kind = PROBABILITIES
            log.info("%s returns probabilities (from 0 to 1, with sum 1); they are used without another softmax", name)
        elif not self.kind and (not in_unit or not output.any() or not may_end_in_sigmoid(network)):
            self.kind = LOGITS
        elif not self.kind:
            self.values += output.numel()
            if self.values >= ENOUGH_VALUES:
                raise UserError(
                    f"{name}: all outputs are from 0 to 1, but those of an image do not sum to 1, as after a sigmoid; "
                    f"give the network without its last sigmoid. If they are logits, return them minus 1: no decision "
                    f"changes"
                )
        if self.kind != PROBABILITIES:
            return output
        if not sums_to_one:
            raise UserError(
                f"{name} returned probabilities for the first images, but not for later ones; return logits for all"
            )
        return output.clamp_min(torch.finfo(output.dtype).tiny).log()

    def finish(self, name: str) -> None:
        """Say that the outputs of too few images leave the scale open: they are taken for logits."""
        if not self.kind and self.values:
            self.kind = UNCERTAIN
            log.warning("%s: its few outputs are all from 0 to 1; they are taken for logits, not for a sigmoid's", name)


def may_end_in_sigmoid(network: nn.Module) -> bool:
    """Return whether a network can end in a sigmoid: not those of timm and torchvision, unless a part was replaced."""
    if type(network).__module__.partition(".")[0] not in LIBRARIES:
        return True
    parts = [module for name, module in network.named_modules() if name.partition(".")[0] in CLASSIFIER_PARTS]
    return any(isinstance(module, nn.Sigmoid) for module in parts)
