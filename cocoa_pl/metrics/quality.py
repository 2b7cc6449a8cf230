"""The validation metric: collects representations over batches and processes, computes every ``val/...`` number at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from cocoa_pl.metrics.health import alignment, collapse_level, effective_rank, uniformity
from cocoa_pl.metrics.representation import knn_accuracy, linear_probe_accuracy

_ALWAYS = ("collapse_level", "effective_rank", "uniformity")
_LABELLED = ("knn", "linear_probe")


class RepresentationQuality(Metric):
    """kNN and linear-probe accuracy where labels exist; alignment, uniformity, collapse level and effective rank always.

    Args:
        prefix: of the names.
        num_neighbours: of the kNN vote.
        reference: values that are logged beside every result, such as the kNN accuracy of raw pixels.

    Example:
        >>> metric = RepresentationQuality()
        >>> _ = torch.manual_seed(0)
        >>> metric.update(torch.randn(8, 4), torch.full((8,), -1), [], is_bank=True)
        >>> metric.update(torch.randn(6, 4), torch.full((6,), -1), [], is_bank=False)
        >>> sorted(metric.compute())
        ['val/collapse_level', 'val/effective_rank', 'val/uniformity']
    """

    full_state_update = False
    bank: list[Tensor]
    bank_labels: list[Tensor]
    reps: list[Tensor]
    labels: list[Tensor]
    view_0: list[Tensor]
    view_1: list[Tensor]

    def __init__(self, *, prefix: str = "val/", num_neighbours: int = 20, reference: dict[str, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.prefix, self.num_neighbours, self.reference = prefix, num_neighbours, dict(reference or {})
        for name in ("bank", "bank_labels", "reps", "labels", "view_0", "view_1"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def update(self, reps: Tensor, labels: Tensor, views: Sequence[Tensor], *, is_bank: bool) -> None:
        """Add reps (B, D) with labels (B,), -1 where unknown, and the reps of two views of the same images where they were made."""
        if is_bank:
            self.bank.append(reps.float())
            self.bank_labels.append(labels)
            return
        self.reps.append(reps.float())
        self.labels.append(labels)
        if views:
            self.view_0.append(views[0].float())
            self.view_1.append(views[1].float())

    def compute(self) -> dict[str, float]:
        """Metric name to value; NaN, all of them, for an encoder that has diverged."""
        reps, labels = dim_zero_cat(self.reps), dim_zero_cat(self.labels)
        if not bool(torch.isfinite(reps).all()):
            return {self.prefix + name: float("nan") for name in (*_ALWAYS, *(_LABELLED if bool((labels >= 0).any()) else ()))} | {
                self.prefix + name: value for name, value in self.reference.items()
            }
        values = {
            "collapse_level": collapse_level(reps),
            "effective_rank": effective_rank(reps),
            "uniformity": uniformity(reps[:: max(1, len(reps) // 2000)][:2000]),
        }
        if len(self.view_0):
            values["alignment"] = alignment(dim_zero_cat(self.view_0), dim_zero_cat(self.view_1))
        if len(self.bank):
            bank, bank_labels = dim_zero_cat(self.bank), dim_zero_cat(self.bank_labels)
            known, bank_known = labels >= 0, bank_labels >= 0
            if bool(known.any()) and bool(bank_known.any()):
                labelled = bank[bank_known], bank_labels[bank_known], reps[known], labels[known]
                values["knn"] = knn_accuracy(*labelled, num_neighbours=self.num_neighbours)
                values["linear_probe"] = linear_probe_accuracy(*labelled)
        return {self.prefix + name: value for name, value in (values | self.reference).items()}


def raw_pixel_knn(bank: Tensor, bank_labels: Tensor, images: Tensor, labels: Tensor) -> float:
    """kNN accuracy of flattened pixels (n, 3, H, W) uint8: the line that a learned representation must beat."""
    flat = [batch.flatten(1).to(torch.float32) / 255 for batch in (bank, images)]
    return knn_accuracy(flat[0], bank_labels, flat[1], labels)
