"""Batch norm over the images of all ranks, so that two ranks compute the same as one process."""

from typing import Any

import torch
from timm.layers import convert_sync_batchnorm
from torch import distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


class AllReduceSum(torch.autograd.Function):
    """The sum of a tensor over all ranks; its gradient is the sum of the ranks' gradients."""

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
    """Batch norm whose statistics cover the images of all ranks; torch's own SyncBatchNorm supports only GPUs."""

    def _check_input_dim(self, input: torch.Tensor) -> None:
        """Accept any number of dimensions; the second holds the channels."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return self.apply_activation(super().forward(input))
        values = input.float()
        reduced, channel_shape = (0, *range(2, values.ndim)), (1, -1, *[1] * (values.ndim - 2))
        local = torch.cat([values.sum(reduced), values.new_tensor([values.numel() / values.shape[1]])])
        total = AllReduceSum.apply(local)
        count, mean = total[-1], total[:-1] / total[-1]
        centred = values - mean.view(channel_shape)
        variance = AllReduceSum.apply(centred.square().sum(reduced)) / count
        if self.track_running_stats:
            self.update_running_stats(mean.detach(), (variance * count / (count - 1)).detach())
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        shift = self.bias.view(channel_shape) if self.affine else 0.0
        return self.apply_activation((centred * scale.view(channel_shape) + shift).to(input.dtype))

    def update_running_stats(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        """Update the running statistics as nn.BatchNorm2d does."""
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        momentum = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, momentum)
        self.running_var.lerp_(variance, momentum)

    def apply_activation(self, normalized: torch.Tensor) -> torch.Tensor:
        """Apply the layers that timm's BatchNormAct2d has after its norm."""
        for name in ("drop", "act"):
            layer = getattr(self, name, None)
            normalized = normalized if layer is None else layer(normalized)
        return normalized


def synchronize_batch_norm(network: nn.Module, device: str) -> nn.Module:
    """Replace every batch norm of the network by one over all ranks; parameters and their names stay the same."""
    if device.startswith("cuda"):
        return convert_sync_batchnorm(network)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            # Change the class in place, so that other references to the module (skip connections) stay valid.
            module.__class__ = CpuSyncBatchNorm
    return network
