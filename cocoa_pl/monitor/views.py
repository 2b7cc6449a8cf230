"""Augmentation drift: maps of views brought back into the frame of their originals, beside how far the representation moved.

For a view g, map(g x) carried back by g's inverse is compared with map(x) on the pixels that both show. An encoder that sees g x as x
should also look at the same places (equivariance of explanations: Crabbe & van der Schaar, "Evaluating the robustness of interpretability
methods through explanation invariance and equivariance", NeurIPS 2023); where the representation itself moved, so may the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.metrics.agreement import cosine, spearman
from cocoa_pl.monitor.look import Look

_STILL = 1e-3  # a representation that moves less than this, 1 - cosine, does not tell how much a map may


@dataclass(frozen=True)
class ViewAgreement:
    """How maps of views agree with those of their originals.

    Attributes:
        agreement: (V - 1, E), Spearman's rank correlation on the pixels that both show; NaN where they share too few.
        equivariance: (V - 1, E), cosine similarity there, the measure of the paper.
        moved: (V - 1, E), 1 - cosine of the representations.
    """

    agreement: Tensor
    equivariance: Tensor
    moved: Tensor

    def scalars(self, given: ExplainSet) -> Iterator[tuple[str, float]]:
        """Agreement of each view; of seen and held-out views together, and change of the map per change of the representation."""
        for v, view in enumerate(given.views[1:]):
            yield f"view_agreement/{view}", float(self.agreement[v].nanmean())
            if _moves_pixels(given, v + 1):
                yield f"equivariance/{view}", float(self.equivariance[v].nanmean())
        seen = torch.tensor(given.seen[1:], dtype=torch.bool)
        for name, of_kind in (("seen", seen), ("held_out", ~seen)):
            agreement, moved = self.agreement[of_kind], self.moved[of_kind]
            known = torch.isfinite(agreement)
            if not bool(known.any()):
                continue
            yield f"view_agreement/{name}", float(agreement[known].mean())
            if bool(moved[known].mean() > _STILL):
                yield f"change_ratio/{name}", float((1 - agreement[known]).mean() / moved[known].mean())


def view_agreement(given: ExplainSet, look: Look, trace: str) -> ViewAgreement:
    """Compare the maps of all views of a trace with those of their originals, in the originals' frame."""
    num, views = given.num_images, len(given.views)
    back, valid = given.unwarped(look.attributions[trace])
    original = look.attributions[trace][:num].repeat(views - 1, 1, 1)
    back, valid = back[num:], valid[num:]
    values = [measure(back, original, valid=valid).view(views - 1, num) for measure in (spearman, cosine)]
    return ViewAgreement(values[0], values[1], look.rows["moved"][num:].view(views - 1, num))


def _moves_pixels(given: ExplainSet, view: int) -> bool:
    theta = given.theta[view * given.num_images : (view + 1) * given.num_images]
    return bool((theta != torch.eye(2, 3)).any())
