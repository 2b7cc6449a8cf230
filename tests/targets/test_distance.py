"""Distances against scipy, and what they hold in memory."""

from __future__ import annotations

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor

from cocoa_pl.targets.distance import corpus_distance, representation_shift


def test_distances_to_shared_references_equal_scipy_s_and_copy_none_of_them() -> None:
    draw = torch.Generator().manual_seed(0)
    reps, corpus, sizes = torch.randn(20, 6, generator=draw).requires_grad_(), torch.randn(30, 6, generator=draw), []

    def note(kept: Tensor) -> Tensor:
        sizes.append(kept.numel())
        return kept

    with torch.autograd.graph.saved_tensors_hooks(note, lambda kept: kept):
        scores = corpus_distance(corpus)(reps, torch.arange(20) % 3)
    np.testing.assert_allclose(scores[:, 0].detach().numpy(), -cdist(reps.detach().numpy(), corpus.numpy()).mean(1), rtol=1e-5)
    assert max(sizes) <= 20 * 30  # the distances; references of every image would be six times that


def test_nothing_is_so_near_as_the_same() -> None:
    """Not even by rounding: products of matrices would leave some."""
    reps = (1000 + torch.randn(40, 8, generator=torch.Generator().manual_seed(0))).requires_grad_()
    scores = representation_shift(reps)(reps, torch.arange(40))
    shared = corpus_distance(reps[:1])(reps[:1], torch.arange(1))
    assert not scores.any()
    assert not shared.any()
    assert not torch.autograd.grad(scores.sum() + shared.sum(), reps)[0].any()
