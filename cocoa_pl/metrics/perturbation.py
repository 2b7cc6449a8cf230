"""Insertion and deletion (Petsiuk et al., BMVC 2018) of any measure: do the pixels that an attribution ranks first carry the score?

The gap, insertion minus deletion, is what to read: raw insertion rewards any smooth map.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.streaming import blend, in_chunks
from cocoa_pl.types import Baseline, ScoreFn


class PerturbationCurves(NamedTuple):
    """Measures along the curves: K measures of N explicands at T + 1 shares of pixels, 0 to 1."""

    insertion: Tensor  # (K, N, T + 1): pixels added to the baseline, highest attribution first
    deletion: Tensor  # (K, N, T + 1): pixels taken from the explicand, highest attribution first

    @property
    def insertion_auc(self) -> Tensor:
        """(K, N), higher is better."""
        return _area(self.insertion)

    @property
    def deletion_auc(self) -> Tensor:
        """(K, N), lower is better."""
        return _area(self.deletion)

    @property
    def gap(self) -> Tensor:
        """(K, N), insertion minus deletion, higher is better; about 0 for an order that says nothing."""
        return self.insertion_auc - self.deletion_auc


def _area(curve: Tensor) -> Tensor:
    return torch.trapezoid(curve, dx=1 / (curve.shape[-1] - 1), dim=-1)


def pixel_ranks(attributions: Tensor) -> Tensor:
    """Rank of every pixel (N, H, W) to int64 (N, H, W): 0 is the highest attribution; ties go in reading order."""
    flat = attributions.flatten(1)
    order = flat.argsort(dim=1, descending=True, stable=True)
    positions = torch.arange(flat.shape[1], device=flat.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, positions).view(attributions.shape)


@torch.no_grad()
def perturbation_curves(
    score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, attributions: Tensor, *, num_steps: int = 50, chunk_size: int = 256
) -> PerturbationCurves:
    """Insertion and deletion curves, every step of every explicand in one stream of batches, encoded once for all K measures.

    Args:
        score_fn: measures (B, K) of images (B, C, H, W) that stem from explicands rows (B,).
        explicands: (N, C, H, W).
        baseline: (N, C, H, W) or a fill, what removed pixels show.
        attributions: (N, H, W).
        num_steps: T; the curves have T + 1 points and cost 2 T encoder forwards an explicand.
        chunk_size: images in one pass.

    Example:
        >>> score = lambda images, rows: images.mean(dim=(1, 2, 3))[:, None]
        >>> x = torch.tensor([[[[4.0, 3.0, 2.0, 1.0]]]])
        >>> curves = perturbation_curves(score, x, torch.zeros_like(x), x[:, 0], num_steps=4)
        >>> curves.insertion[0, 0].tolist(), round(float(curves.gap), 4)
        ([0.0, 1.0, 1.75, 2.25, 2.5], 0.625)
    """
    ranks = pixel_ranks(attributions)
    num, _, height, width = explicands.shape
    cuts = (torch.arange(num_steps + 1, device=explicands.device) * (height * width) / num_steps).round().long()
    # Row by row: insertion at cuts 0 .. T-1, then deletion at cuts 0 .. T-1; each ends where the other starts.
    per_row = 2 * num_steps

    def part(index: Tensor) -> Tensor:
        rows, position = index // per_row, index % per_row
        within = ranks[rows] < cuts[position % num_steps][:, None, None]
        keep = within != (position >= num_steps)[:, None, None]
        return score_fn(blend(explicands[rows], baseline, keep[:, None], rows), rows)

    parts = [scores for _, scores in in_chunks(num * per_row, chunk_size, part, device=explicands.device)]
    values = torch.cat(parts).T.view(-1, num, 2, num_steps)
    insertion, deletion = values[:, :, 0], values[:, :, 1]
    return PerturbationCurves(torch.cat([insertion, deletion[..., :1]], -1), torch.cat([deletion, insertion[..., :1]], -1))
