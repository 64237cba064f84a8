"""Batch norm over the images of all ranks, so that two ranks compute what one would."""

from typing import Any

import torch
from timm.layers import convert_sync_batchnorm
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SumOverRanks(torch.autograd.Function):
    """The sum over all ranks; its gradient is the sum of theirs."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor) -> torch.Tensor:
        total = values.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> torch.Tensor:
        total = grad_outputs[0].clone()
        distributed.all_reduce(total)
        return total


class CpuSyncBatchNorm(_BatchNorm):
    """Batch norm whose statistics are those of all ranks' images; torch's own SyncBatchNorm knows GPUs alone."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Any number of dimensions: channels are the second."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.after(super().forward(input))
        values = input.float()
        others, channels = (0, *range(2, values.ndim)), (1, -1, *[1] * (values.ndim - 2))
        local = torch.cat([values.sum(others), values.new_tensor([values.numel() / values.shape[1]])])
        total = SumOverRanks.apply(local)
        count, mean = total[-1], total[:-1] / total[-1]
        centred = values - mean.view(channels)
        variance = SumOverRanks.apply(centred.square().sum(others)) / count
        if self.track_running_stats:
            self.keep(mean.detach(), (variance * count / (count - 1)).detach())
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = self.bias.view(channels) if self.affine else 0.0
        return self.after((centred * scale.view(channels) + shift).to(input.dtype))

    def keep(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Update the running statistics as nn.BatchNorm2d does."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)

    def after(self, normalized: torch.Tensor) -> torch.Tensor:
        """What timm's BatchNormAct2d does behind its norm."""
        for name in ("drop", "act"):
            layer = getattr(self, name, None)
            normalized = normalized if layer is None else layer(normalized)
        return normalized


def synchronized(network: nn.Module, device: str) -> nn.Module:
    """The network with every batch norm replaced by one over all ranks; parameters and their names stay."""
    if device.startswith("cuda"):
        return convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            # In place: whoever holds the module (a skip connection, an optimizer) keeps holding it.
            module.__class__ = CpuSyncBatchNorm
    return network
