"""SimCLR (Chen, Kornblith, Norouzi & Hinton, ICML 2020) with Lightly's parts in a Lightning module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from torch import Tensor, nn
from torchmetrics import Metric

from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.types import Batch


class SimCLR(EncoderModule):
    """Pulls two views of an image together and all other images apart.

    Args:
        backbone: normalised images (B, 3, H, W) to representations (B, rep_dim).
        rep_dim: length of a representation.
        optim: optimiser and schedule.
        mean: channel means in [0, 1].
        std: channel standard deviations.
        hidden_dim: width of the projection head's hidden layer; None takes ``rep_dim``.
        projection_dim: length of a projection.
        temperature: of NT-Xent.
        validation: metric that collects representations of the bank and of validation images, and computes ``val/...``.
    """

    def __init__(
        self, backbone: nn.Module, *, rep_dim: int, optim: OptimSpec, mean: Sequence[float], std: Sequence[float],
        hidden_dim: int | None = None, projection_dim: int = 64, temperature: float = 0.2, validation: Metric | None = None,
    ) -> None:  # fmt: skip
        super().__init__(backbone, optim=optim, mean=mean, std=std, validation=validation)
        self.projection_head: nn.Module = SimCLRProjectionHead(rep_dim, hidden_dim or rep_dim, projection_dim)
        self.criterion = NTXentLoss(temperature=temperature, gather_distributed=True)

    @property
    def trained(self) -> dict[str, nn.Module]:
        return {"backbone.": self.backbone, "projection_head.": self.projection_head}

    @property
    def projector(self) -> nn.Module:
        return self.projection_head

    def loss(self, batch: Batch) -> Tensor:
        """NT-Xent of the two views' projections, over the images of all processes."""
        projections = self.projection_head(self(torch.cat(batch.views)))
        first, second = projections.to(torch.promote_types(projections.dtype, torch.float32)).chunk(2)
        with torch.autocast(self.device.type, enabled=False):  # similarities of half precision would round the loss
            loss: Tensor = self.criterion(first, second)
        return loss
