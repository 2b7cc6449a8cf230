"""Insertion and deletion against a loop over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.perturbation import perturbation_curves, pixel_ranks

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, BASELINE = (torch.rand(2, 3, 5, 7, generator=DRAW) for _ in range(2))
MAPS = torch.randn(2, 5, 7, generator=DRAW).round(decimals=1)  # with ties
WEIGHTS = torch.randn(2, 3 * 5 * 7, generator=DRAW)


def measures(images: Tensor, rows: Tensor) -> Tensor:
    """Two measures, the second of which knows the explicand."""
    return torch.tanh(images.flatten(1) @ WEIGHTS.T) + torch.stack([torch.zeros(len(rows)), rows.float()], dim=1)


def slow_curve(n: int, k: int, *, num_steps: int, inserting: bool) -> list[float]:
    x, b = EXPLICANDS[n].numpy(), BASELINE[n].numpy()
    order = sorted(((y, c) for y in range(5) for c in range(7)), key=lambda p: -float(MAPS[n, p[0], p[1]]))
    values = []
    for step in range(num_steps + 1):
        image = (b if inserting else x).copy()
        for y, c in order[: round(step * 35 / num_steps)]:
            image[:, y, c] = (x if inserting else b)[:, y, c]
        values.append(float(measures(torch.tensor(image)[None], torch.tensor([n]))[0, k]))
    return values


@pytest.mark.parametrize("num_steps", [1, 6, 35, 50])
@pytest.mark.parametrize("chunk_size", [5, 1000])
def test_curves_equal_a_loop_over_pixels(num_steps: int, chunk_size: int) -> None:
    curves = perturbation_curves(measures, EXPLICANDS, BASELINE, MAPS, num_steps=num_steps, chunk_size=chunk_size)
    for n in range(2):
        for k in range(2):
            insertion, deletion = (slow_curve(n, k, num_steps=num_steps, inserting=flag) for flag in (True, False))
            np.testing.assert_allclose(curves.insertion[k, n].numpy(), insertion, atol=1e-5)
            np.testing.assert_allclose(curves.deletion[k, n].numpy(), deletion, atol=1e-5)
            shares = np.arange(num_steps + 1) / num_steps
            areas = integrate.trapezoid(insertion, shares), integrate.trapezoid(deletion, shares)
            assert float(curves.insertion_auc[k, n]) == pytest.approx(areas[0], abs=1e-5)
            assert float(curves.deletion_auc[k, n]) == pytest.approx(areas[1], abs=1e-5)
            assert float(curves.gap[k, n]) == pytest.approx(areas[0] - areas[1], abs=1e-5)


def test_fifty_steps_cost_a_hundred_forwards_an_explicand_for_all_measures() -> None:
    encoder = FrozenEncoder(nn.Conv2d(3, 4, 3))
    perturbation_curves(lambda x, rows: encoder(x), EXPLICANDS, BASELINE, MAPS, num_steps=50, chunk_size=64)
    assert encoder.num_forwards <= 104 * len(EXPLICANDS)


def test_a_better_order_has_a_larger_gap_and_the_reverse_order_the_opposite_one() -> None:
    def brightness(images: Tensor, rows: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None]

    order = EXPLICANDS.mean(dim=1)
    best, worst = (perturbation_curves(brightness, EXPLICANDS, 0 * BASELINE, o, num_steps=35).gap for o in (order, -order))
    assert (best > 0.05).all()
    torch.testing.assert_close(best, -worst, atol=1e-6, rtol=0)


def test_ranks_are_a_permutation_highest_first_and_ties_in_reading_order() -> None:
    ranks = pixel_ranks(torch.tensor([[[0.5, 2.0, 0.5], [2.0, -1.0, 0.5]]]))
    assert ranks.tolist() == [[[2, 0, 3], [1, 5, 4]]]
