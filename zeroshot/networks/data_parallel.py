"""One network trained by several ranks: equal weights, summed gradients, and batch statistics over the images of all ranks."""

import typing

import torch
from torch import nn
from torch.nn import parallel

from zeroshot.base import ranks


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch normalisation by the mean and the variance of the batches of all ranks; PyTorch's own runs on GPUs only."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the normalised maps (b, c, h, w) in the number format of the input."""
        if not self.training:
            return super().forward(input)
        maps = input.to(torch.promote_types(input.dtype, torch.float32))
        n = ranks.total(maps.new_tensor([maps.numel() / maps.shape[1]]))
        mean = _total(maps.sum((0, 2, 3))) / n
        centred = maps - mean[:, None, None]
        variance = _total(centred.square().sum((0, 2, 3))) / n
        if self.track_running_stats:
            self._follow(mean.detach(), (variance * n / (n - 1)).detach())
        scaled = centred * torch.rsqrt(variance + self.eps)[:, None, None]
        if self.affine:
            scaled = scaled * self.weight[:, None, None] + self.bias[:, None, None]
        return scaled.to(input.dtype)

    def _follow(self, mean: torch.Tensor, variance: torch.Tensor) -> None:
        counter = typing.cast(torch.Tensor, self.num_batches_tracked)
        counter += 1
        momentum = 1 / counter.item() if self.momentum is None else self.momentum
        typing.cast(torch.Tensor, self.running_mean).lerp_(mean, momentum)
        typing.cast(torch.Tensor, self.running_var).lerp_(variance, momentum)


class _Total(torch.autograd.Function):
    """The sum over the ranks. Each rank's loss depends on it, so its gradient is the sum of the ranks' gradients."""

    @staticmethod
    def forward(ctx: typing.Any, value: torch.Tensor) -> torch.Tensor:
        return ranks.total(value)

    @staticmethod
    def backward(ctx: typing.Any, *gradients: torch.Tensor) -> torch.Tensor:
        return ranks.total(gradients[0])


def _total(value: torch.Tensor) -> torch.Tensor:
    return typing.cast(torch.Tensor, _Total.apply(value))


def shared(module: nn.Module, device: torch.device) -> nn.Module:
    """Return a module whose forward pass on each rank trains the same weights; alone, the module itself.

    Its gradient is the mean over the ranks. The layers for batch normalisation in `module` are replaced, their weights and the names
    of their weights stay.

    Args:
        module: on its device, with `requires_grad` set. Its outputs depend on every weight that is trained.
        device: the device.
    """
    if ranks.count() == 1:
        return module
    if device.type == "cuda":
        module = nn.SyncBatchNorm.convert_sync_batchnorm(module)
    else:
        for layer in module.modules():
            if type(layer) is nn.BatchNorm2d:
                # It has the same weights and settings, and the optimizer may hold them already.
                layer.__class__ = SharedBatchNorm
    # The statistics of all ranks are equal, so they need not be sent.
    return parallel.DistributedDataParallel(
        module,
        device_ids=[ranks.place()] if device.type == "cuda" else None,
        forward_sync_buffers=False,
    )
