"""An encoder prepared once for explaining: frozen, isolated from training, and counting what it does."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from cocoa_pl.errors import DataError


class FrozenEncoder:
    """A private copy of an encoder, in evaluation mode and without parameter gradients: explaining it cannot touch training.

    Args:
        module: maps normalised images (B, 3, H, W) to representations (B, D), or to maps (B, D, h, w), which are averaged over h and w.
        mean: channel means in [0, 1] that are taken off images.
        std: channel standard deviations that images are divided by.
        precision: ``32`` or ``bf16`` (autocast).
        device: where to encode; default: where the module is.

    Attributes:
        num_forwards: images encoded so far.
    """

    def __init__(
        self, module: nn.Module, *, mean: Sequence[float] = (0, 0, 0), std: Sequence[float] = (1, 1, 1), precision: str = "32",
        device: torch.device | str | None = None,
    ) -> None:  # fmt: skip
        first = next(module.parameters(), torch.empty(0))
        self.device = torch.device(device) if device is not None else first.device
        with torch.inference_mode(False):  # a copy made in inference mode could not carry gradients
            self.module = copy.deepcopy(module).to(self.device).eval()
            _fold_batch_norm(self.module)
            self.module.to(memory_format=torch.channels_last).eval().requires_grad_(False)
            self._mean = torch.tensor(mean, device=self.device).view(-1, 1, 1)
            self._std = torch.tensor(std, device=self.device).view(-1, 1, 1)
        self._autocast = precision == "bf16"
        self.num_forwards = 0

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1] to float32 representations (B, D); differentiable with respect to the images."""
        self.num_forwards += len(images)
        inputs = ((images.to(self.device) - self._mean) / self._std).contiguous(memory_format=torch.channels_last)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._autocast):
            reps = self.module(inputs)
        if not isinstance(reps, Tensor) or reps.ndim not in (2, 4):
            kind = f"a tensor {tuple(reps.shape)}" if isinstance(reps, Tensor) else type(reps).__name__
            raise DataError(f"the encoder returned {kind}; it must return representations (B, D) or maps (B, D, h, w)")
        return (reps.mean(dim=(2, 3)) if reps.ndim == 4 else reps).float()

    @torch.no_grad()
    def encode(self, images: Tensor, *, chunk_size: int = 256) -> Tensor:
        """Images (n, C, H, W), floats in [0, 1] or bytes, to representations (n, D), without gradients, at most ``chunk_size`` a pass."""
        return torch.cat([self(chunk.float() / 255 if chunk.dtype == torch.uint8 else chunk) for chunk in torch.split(images, chunk_size)])


def _fold_batch_norm(module: nn.Module) -> None:
    """Put batch norms into the convolutions before them, where both stand side by side in an ``nn.Sequential``: the same map, less work."""
    for block in module.modules():
        if type(block) is nn.Sequential:
            for place, (conv, norm) in enumerate(pairwise(block)):
                if type(conv) is nn.Conv2d and type(norm) is nn.BatchNorm2d and norm.track_running_stats:  # subclasses may do more
                    block[place], block[place + 1] = fuse_conv_bn_eval(conv, norm), nn.Identity()
