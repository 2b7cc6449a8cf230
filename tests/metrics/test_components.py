"""Shares of a score by component: a loop, a linear score, and explicands without a share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cocoa_pl.errors import DataError
from cocoa_pl.metrics.components import component_shares


def test_shares_equal_a_loop() -> None:
    draw = torch.Generator().manual_seed(0)
    scores, without = torch.randn(50, generator=draw), torch.randn(3, 50, generator=draw)
    for i, found in enumerate(component_shares(scores, without).T.tolist()):
        drops = [max(float(scores[i]) - float(value), 0.0) for value in without[:, i]]
        expected = [drop / sum(drops) for drop in drops] if sum(drops) > 0 else [float("nan")] * 3
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_score_that_is_a_sum_of_components_is_shared_out_by_its_terms() -> None:
    terms = torch.tensor([[3.0, 1.0], [1.0, 1.0], [0.0, 2.0]])
    scores = 10 + terms.sum(0)  # a constant part belongs to no component
    shares = component_shares(scores, scores - terms)
    torch.testing.assert_close(shares, terms / terms.sum(0))
    torch.testing.assert_close(component_shares(scores * 1e-12, (scores - terms) * 1e-12), shares)
    torch.testing.assert_close(shares.sum(0), torch.ones(2))


def test_no_drop_is_no_share_and_the_other_explicands_keep_theirs() -> None:
    scores = torch.tensor([1.0, 1.0, torch.nan, 1.0, torch.inf])
    without = torch.tensor([[0.0, 1.0, 0.0, -torch.inf, 0.0], [0.5, 2.0, 0.0, 0.0, 0.0]])
    shares = component_shares(scores, without)
    assert shares.isnan().tolist() == [[False, True, True, True, True]] * 2
    torch.testing.assert_close(shares[:, 0], torch.tensor([2 / 3, 1 / 3]))


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(DataError, match=r"scores \(4,\) and those without components \(3, 5\): must be \(N,\) and \(C, N\)"):
        component_shares(torch.zeros(4), torch.zeros(3, 5))
    with pytest.raises(DataError, match=r"scores \(4,\) and those without components \(4,\)"):
        component_shares(torch.zeros(4), torch.zeros(4))
