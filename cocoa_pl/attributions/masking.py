"""Scores of images of which parts are removed, for methods that ask what a score loses."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from cocoa_pl.streaming import blend, in_chunks
from cocoa_pl.types import Baseline, ScoreFn

KeepFn = Callable[[Tensor, Tensor], Tensor]
"""Explicands' rows (B,) and numbers of their masks (B,) to keep (B, 1, H, W), 1 where a pixel is kept."""


@torch.no_grad()
def masked_scores(
    score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, keep_fn: KeepFn, *, rows: Tensor, num_masks: int, chunk_size: int
) -> Tensor:
    """Scores (K, n, num_masks) of some explicands, rows (n,), under masks 0 to ``num_masks`` - 1.

    One stream of (explicand, mask) pairs: masks and masked images exist for one chunk at a time, only scores are kept.

    Example:
        >>> keep = lambda rows, masks: masks.float().view(-1, 1, 1, 1).expand(-1, 1, 2, 2)
        >>> mean = lambda images, rows: images.mean(dim=(1, 2, 3))[:, None]
        >>> white, black = torch.ones(3, 1, 2, 2), torch.zeros(3, 1, 2, 2)
        >>> masked_scores(mean, white, black, keep, rows=torch.tensor([2, 0]), num_masks=2, chunk_size=3).tolist()
        [[[0.0, 1.0], [0.0, 1.0]]]
    """

    def part(pairs: Tensor) -> Tensor:
        own, masks = rows[pairs // num_masks], pairs % num_masks
        return score_fn(blend(explicands[own], baseline, keep_fn(own, masks), own), own)

    scores = [made for _, made in in_chunks(len(rows) * num_masks, chunk_size, part, device=explicands.device)]
    return torch.cat(scores).T.reshape(-1, len(rows), num_masks)
