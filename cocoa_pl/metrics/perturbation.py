"""Insertion and deletion (Petsiuk et al., BMVC 2018) of any measure: do the pixels that an attribution ranks first carry the score?

The gap, insertion minus deletion, is what to read: raw insertion rewards any smooth map.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.maps import ranks_from_the_top
from cocoa_pl.streaming import automatic_chunk_size, blend, in_chunks
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

    def areas(self, names: Sequence[str]) -> dict[str, Tensor]:
        """``insertion_auc/<name>``, ``deletion_auc/<name>`` and ``gap/<name>`` of K names, each (N,)."""
        areas = {"insertion_auc": self.insertion_auc, "deletion_auc": self.deletion_auc, "gap": self.gap}
        return {f"{area}/{name}": row for area, rows in areas.items() for name, row in zip(names, rows, strict=True)}


def _area(curve: Tensor) -> Tensor:
    return torch.trapezoid(curve, dx=1 / (curve.shape[-1] - 1), dim=-1)


@torch.no_grad()
def perturbation_curves(
    score_fn: ScoreFn,
    explicands: Tensor,
    baseline: Baseline,
    attributions: Tensor,
    *,
    num_steps: int = 50,
    chunk_size: int | None = None,
) -> PerturbationCurves:
    """Insertion and deletion curves, every step of every explicand in one stream of batches, encoded once for all K measures.

    Step t takes exactly t / T of the pixels, whatever their number: the pixel at the edge in part, and pixels of tied attribution alike.
    So no order is invented where a map has none, and a flat map has no gap. Without ties, and with T a divisor of the number of pixels,
    these are Petsiuk's images. A map that is not finite has NaN curves.

    Args:
        score_fn: measures (B, K) of images (B, C, H, W) that stem from explicands rows (B,).
        explicands: (N, C, H, W).
        baseline: (N, C, H, W) or a fill, what removed pixels show.
        attributions: (N, H, W).
        num_steps: T; the curves have T + 1 points and cost 2 T encoder forwards an explicand.
        chunk_size: images in one pass; None chooses by their size.

    Raises:
        ConfigError: no step.
        DataError: attributions that do not fit the explicands.

    Example:
        >>> score = lambda images, rows: images.mean(dim=(1, 2, 3))[:, None]
        >>> x = torch.tensor([[[[4.0, 3.0, 2.0, 1.0]]]])
        >>> curves = perturbation_curves(score, x, torch.zeros_like(x), x[:, 0], num_steps=4)
        >>> curves.insertion[0, 0].tolist(), round(float(curves.gap), 4)
        ([0.0, 1.0, 1.75, 2.25, 2.5], 0.625)
    """
    num, _, height, width = explicands.shape
    if num_steps < 1:
        raise ConfigError(f"num_steps={num_steps}: must be at least 1")
    if attributions.shape != (num, height, width):
        raise DataError(f"attributions {tuple(attributions.shape)} of explicands {tuple(explicands.shape)}: must be {(num, height, width)}")
    higher, tied = (each.view(attributions.shape) for each in ranks_from_the_top(attributions.to(explicands.device).flatten(1)))
    shares = torch.arange(num_steps, device=explicands.device) * (height * width) / num_steps
    # Row by row: insertion at steps 0 .. T-1, then deletion at steps 0 .. T-1; each ends where the other starts.
    per_row = 2 * num_steps

    def part(index: Tensor) -> Tensor:
        rows, position = index // per_row, index % per_row
        taken = ((shares[position % num_steps][:, None, None] - higher[rows]) / tied[rows]).clamp(0, 1)
        keep = torch.where((position < num_steps)[:, None, None], taken, 1 - taken)
        return score_fn(blend(explicands[rows], baseline, keep[:, None], rows), rows)

    size = chunk_size or automatic_chunk_size(height, width, explicands.device)
    parts = [scores for _, scores in in_chunks(num * per_row, size, part, device=explicands.device)]
    values = torch.cat(parts).T.view(-1, num, 2, num_steps)
    known = torch.isfinite(attributions).flatten(1).all(1).to(values.device)
    values = values.masked_fill(~known[:, None, None], torch.nan)
    insertion, deletion = values[:, :, 0], values[:, :, 1]
    return PerturbationCurves(torch.cat([insertion, deletion[..., :1]], -1), torch.cat([deletion, insertion[..., :1]], -1))
