"""Removal by a constant, in pixel space: black is black whatever the encoder's normalisation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Black:
    """Absent pixels are black."""

    def __call__(self, explicands: Tensor) -> Tensor:
        return torch.zeros_like(explicands)


@dataclass(frozen=True)
class ChannelMean:
    """Absent pixels have their image's mean colour."""

    def __call__(self, explicands: Tensor) -> Tensor:
        return explicands.mean(dim=(2, 3), keepdim=True).expand_as(explicands).contiguous()
