"""A classifier trained from labels: what the encoders that had none are compared with."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.distributed
import torch.nn.functional as F
from lightly.utils import dist
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
        """Mean cross-entropy of all views of the labelled images of all processes; 0 where none of them has a label.

        What a process returns is its own part of that mean, such that the mean of the processes is the whole.
        """
        labels = batch.labels.repeat(len(batch.views))
        logits = self.classifier(self(torch.cat(batch.views)))
        num = _mean_over_processes((labels != _UNKNOWN).sum().float())
        with torch.autocast(self.device.type, enabled=False):  # a softmax of half precision would round the loss
            precise = logits.to(torch.promote_types(logits.dtype, torch.float32))
            total = F.cross_entropy(precise, labels, ignore_index=_UNKNOWN, reduction="sum")
            loss: Tensor = total / num.where(num > 0, 1)
        return loss


def _mean_over_processes(count: Tensor) -> Tensor:
    """A scalar; processes may hold different numbers of labelled images, and a mean of their means is not that of the images."""
    if dist.world_size() > 1:
        torch.distributed.all_reduce(count)
    mean: Tensor = count / dist.world_size()
    return mean
