"""A classifier trained from labels: what the encoders that had none are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torchmetrics import Metric

from cocoa_pl.models.module import EncoderModule
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.types import Batch

_UNKNOWN = -1  # the label of an image that has none


class Supervised(EncoderModule):
    """Tells classes apart by a linear layer on the representation, which is what is explained: a classifier by its features.

    Args:
        backbone: normalised images (B, 3, H, W) to representations (B, rep_dim).
        rep_dim: length of a representation.
        num_classes: labels are 0 to ``num_classes`` - 1; images of label -1 take no part.
        optim: optimiser and schedule.
        mean: channel means in [0, 1].
        std: channel standard deviations.
        validation: metric that collects representations of the bank and of validation images, and computes ``val/...``.
    """

    def __init__(
        self, backbone: nn.Module, *, rep_dim: int, num_classes: int, optim: OptimSpec, mean: Sequence[float], std: Sequence[float],
        validation: Metric | None = None,
    ) -> None:  # fmt: skip
        super().__init__(backbone, optim=optim, mean=mean, std=std, validation=validation)
        self.classifier = nn.Linear(rep_dim, num_classes)

    @property
    def trained(self) -> dict[str, nn.Module]:
        return {"backbone.": self.backbone, "classifier.": self.classifier}

    @property
    def projector(self) -> nn.Module:
        """Representations to logits."""
        return self.classifier

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross-entropy of all views of the labelled images; 0 where a batch has none."""
        labels = batch.labels.repeat(len(batch.views))
        logits = self.classifier(self(torch.cat(batch.views)))
        with torch.autocast(self.device.type, enabled=False):
            precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
            known = (labels != _UNKNOWN).sum().clamp_min(1)
            return F.cross_entropy(precise, labels, ignore_index=_UNKNOWN, reduction="sum") / known
