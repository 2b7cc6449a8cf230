"""Gaussian forms at their edges; the formulas are in ``test_formulas.py``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cocoa_pl.errors import ConfigError
from cocoa_pl.targets import contrastive_gaussian, gaussian

DRAW = torch.Generator().manual_seed(0)
CORPUS, FOIL, REPS = (torch.randn(n, 5, generator=DRAW) for n in (4, 6, 3))
ROWS = torch.arange(3)


@pytest.mark.parametrize("sigma", [0.3, 2.0])
def test_sigma_is_the_width_in_every_element(sigma: float) -> None:
    squares = np.square(REPS.numpy()[:, None] - CORPUS.numpy()).sum(-1)
    expected = np.exp(-squares / (2 * sigma**2 * 5)).mean(1)
    np.testing.assert_allclose(gaussian(CORPUS, sigma=sigma)(REPS, ROWS)[:, 0].numpy(), expected, rtol=1e-5)
    far = np.exp(-np.square(REPS.numpy()[:, None] - FOIL.numpy()).sum(-1) / (2 * sigma**2 * 5)).mean(1)
    given = contrastive_gaussian(CORPUS, FOIL, sigma=sigma)(REPS, ROWS)[:, 0].numpy()
    np.testing.assert_allclose(given, expected / (expected + far), rtol=1e-5)
    with pytest.raises(ConfigError, match=r"sigma=0.*: must be greater than 0"):
        gaussian(CORPUS, sigma=sigma * 0)


def test_where_both_kernels_vanish_the_nearer_set_decides() -> None:
    """C and F are 0 in floats: literally 0/0."""
    corpus, foil = torch.tensor([[0.0, 0.0]]), torch.tensor([[100.0, 0.0]])
    reps = torch.tensor([[49.0, 1000.0], [50.0, 1000.0], [51.0, 1000.0]], requires_grad=True)
    assert not gaussian(corpus, sigma=0.5)(reps, ROWS).any()
    scores = contrastive_gaussian(corpus, foil, sigma=0.5)(reps, ROWS)
    torch.testing.assert_close(scores[:, 0], torch.tensor([1.0, 0.5, 0.0]), atol=1e-6, rtol=0)
    assert torch.isfinite(torch.autograd.grad(scores.sum(), reps)[0]).all()


def test_a_large_common_part_does_not_drown_the_distances() -> None:
    reps, corpus = REPS + 1000, CORPUS + 1000
    expected = np.exp(-np.square(reps.double().numpy()[:, None] - corpus.double().numpy()).sum(-1) / 10).mean(1)
    np.testing.assert_allclose(gaussian(corpus)(reps, ROWS)[:, 0].numpy(), expected, rtol=1e-4)
