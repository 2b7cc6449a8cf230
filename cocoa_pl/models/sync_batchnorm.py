"""Batch norm over the batches of all processes, on any device: so that many processes train as one does."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
import torch.distributed as dist
from pytorch_lightning.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules._functions import SyncBatchNorm as sync_batch_norm_on_gpu
from torch.nn.modules.batchnorm import _BatchNorm

from cocoa_pl.errors import ConfigError


class SyncBatchNorm(_BatchNorm):
    """A batch norm (Ioffe & Szegedy, ICML 2015) whose statistics, while it trains, are those of all processes' batches together.

    ``torch.nn.SyncBatchNorm`` does this on GPUs alone, and ``DistributedDataParallel`` refuses it on a CPU. Here a GPU runs the kernels
    of torch, and a CPU two differentiable sums over processes: of x, then of (x - mean)^2, which keeps the digits of float32. Processes
    may hold different numbers of images.

    :class:`ShareStatistics` makes these: a layer becomes one by taking a subclass of its own class, so that parameters, buffers, their
    names in a checkpoint and whoever refers to the layer stay what they were.

    Attributes:
        plain: the class that the layer has on its own.
    """

    plain: type[_BatchNorm] = _BatchNorm

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) to the same shape and type."""
        if not (self.training and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return super().forward(input)
        self._check_input_dim(input)  # type: ignore[no-untyped-call]
        output = self._on_gpu(input) if input.is_cuda else self._summed(input)
        for part in self.children():  # activation and dropout of timm's kind
            output = part(output)
        return output

    def _on_gpu(self, input: Tensor) -> Tensor:
        mean, variance = self._running()
        return sync_batch_norm_on_gpu.apply(  # type: ignore[no-any-return]
            input, self.weight, self.bias, mean, variance, self.eps, self._share_of_batch(), dist.group.WORLD, dist.get_world_size()
        )  # fmt: skip

    def _summed(self, input: Tensor) -> Tensor:
        x = input.to(torch.promote_types(input.dtype, torch.float32))
        over, shape = [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)
        count = x.new_tensor([x.numel() // x.shape[1]])
        sums = _sum_over_processes(torch.cat([x.sum(over), count]))
        num = float(sums[-1].detach())
        mean = sums[:-1] / num
        centred = x - mean.view(shape)
        variance = _sum_over_processes(centred.square().sum(over)) / num
        self._remember(mean.detach(), variance.detach() * (num / max(1.0, num - 1)))
        output = centred * (variance + self.eps).rsqrt().view(shape)
        if self.affine:
            output = torch.addcmul(self.bias.view(shape), output, self.weight.view(shape))
        return output.to(input.dtype)

    def _remember(self, mean: Tensor, variance: Tensor) -> None:
        """Take the batch, with its unbiased variance, into the running statistics."""
        running_mean, running_variance = self._running()
        share = self._share_of_batch()
        if running_mean is not None and running_variance is not None:
            running_mean.lerp_(mean.to(running_mean.dtype), share)
            running_variance.lerp_(variance.to(running_variance.dtype), share)

    def _running(self) -> tuple[Tensor | None, Tensor | None]:
        return (self.running_mean, self.running_var) if self.track_running_stats else (None, None)

    def _share_of_batch(self) -> float:
        """What the batch counts in the running statistics, which it is now counted in."""
        if not self.track_running_stats or self.num_batches_tracked is None:
            return 0.0
        self.num_batches_tracked.add_(1)
        return self.momentum if self.momentum is not None else 1 / float(self.num_batches_tracked)


class ShareStatistics(LayerSync):
    """Lightning's plugin: while a module trains on several processes, its batch norms are synchronised ones."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Turn every batch norm into a synchronised one, in place.

        Raises:
            ConfigError: a kind of batch norm that does something else beside it.
        """
        for name, part in model.named_modules():
            if isinstance(part, _BatchNorm) and not isinstance(part, SyncBatchNorm):
                part.__class__ = _synchronised(type(part), name)
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Turn them back."""
        for part in model.modules():
            if isinstance(part, SyncBatchNorm):
                part.__class__ = part.plain  # type: ignore[assignment]
        return model


def _synchronised(kind: type[_BatchNorm], name: str) -> type[SyncBatchNorm]:
    if kind.forward is not _BatchNorm.forward and kind.__name__ != "BatchNormAct2d":  # timm's: a batch norm, then its children
        raise ConfigError(f"trainer.sync_batchnorm=true: {name} is a {kind.__name__}, whose statistics cannot be shared; leave it false")
    return _subclass(kind)  # type: ignore[arg-type]


@cache
def _subclass(kind: type[_BatchNorm]) -> type[SyncBatchNorm]:
    return type(f"Sync{kind.__name__}", (SyncBatchNorm, kind), {"plain": kind})


class _SumOverProcesses(torch.autograd.Function):
    """The sum of a tensor over all processes; its gradient is the sum of the gradients of all processes."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor) -> Tensor:
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def _sum_over_processes(tensor: Tensor) -> Tensor:
    return _SumOverProcesses.apply(tensor)  # type: ignore[no-any-return]
