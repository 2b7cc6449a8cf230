"""SimSiam (Chen & He, CVPR 2021) with Lightly's parts in a Lightning module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from lightly.loss import NegativeCosineSimilarity
from lightly.models.modules.heads import SimSiamPredictionHead, SimSiamProjectionHead
from torch import Tensor, nn
from torchmetrics import Metric

from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.types import Batch

_BOTTLENECK = 4  # the predictor's hidden layer is so many times narrower than a projection, as in the paper


class SimSiam(EncoderModule):
    """Predicts one view's projection from the other's, whose gradient is stopped; no image is pushed away from another.

    Args:
        backbone: normalised images (B, 3, H, W) to representations (B, rep_dim).
        rep_dim: length of a representation.
        optim: optimiser and schedule.
        mean: channel means in [0, 1].
        std: channel standard deviations.
        hidden_dim: width of the projection head's hidden layers; None takes ``rep_dim``.
        projection_dim: length of a projection; the paper takes 2048, as long as its representations.
        validation: metric that collects representations of the bank and of validation images, and computes ``val/...``.
    """

    def __init__(
        self, backbone: nn.Module, *, rep_dim: int, optim: OptimSpec, mean: Sequence[float], std: Sequence[float],
        hidden_dim: int | None = None, projection_dim: int = 64, validation: Metric | None = None,
    ) -> None:  # fmt: skip
        super().__init__(backbone, optim=optim, mean=mean, std=std, validation=validation)
        self.projection_head: nn.Module = SimSiamProjectionHead(rep_dim, hidden_dim or rep_dim, projection_dim)
        narrow = max(1, projection_dim // _BOTTLENECK)
        self.prediction_head: nn.Module = SimSiamPredictionHead(projection_dim, narrow, projection_dim)
        self.criterion = NegativeCosineSimilarity()

    @property
    def trained(self) -> dict[str, nn.Module]:
        return {"backbone.": self.backbone, "projection_head.": self.projection_head, "prediction_head.": self.prediction_head}

    @property
    def projector(self) -> nn.Module:
        return self.projection_head

    def loss(self, batch: Batch) -> Tensor:
        """Minus the mean cosine of each view's prediction and the other view's projection: between -1 and 1."""
        # view by view, as in the paper: batch norms of the heads see one view at a time
        projections = [self.projection_head(self(view)) for view in batch.views]
        first, second = (_precise(self.prediction_head(each)) for each in projections)
        fixed = [_precise(each.detach()) for each in projections]
        with torch.autocast(self.device.type, enabled=False):  # cosines of half precision would round the loss
            loss: Tensor = (self.criterion(first, fixed[1]) + self.criterion(second, fixed[0])) / 2
        return loss


def _precise(projections: Tensor) -> Tensor:
    return projections.to(torch.promote_types(projections.dtype, torch.float32))
