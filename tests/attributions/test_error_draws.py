"""Draws of a map's error against the errors of many runs, and the number of directions in which errors spread."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import GradientShap, IntegratedGradients, Rise, SmoothGrad
from cocoa_pl.attributions.reliability import independent_directions
from cocoa_pl.attributions.rise_masks import mask_directions
from cocoa_pl.types import Attributed

SIDE, RUNS = 12, 300
IMAGES = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
WEIGHTS = torch.randn(2, 3 * SIDE * SIDE, generator=torch.Generator().manual_seed(1)) / SIDE
METHODS: dict[str, Rise | SmoothGrad | GradientShap] = {
    "rise": Rise(num_masks=32, grid_size=3), "rise, odd": Rise(num_masks=33, grid_size=3), "smoothgrad": SmoothGrad(num_samples=12),
    "gradient_shap": GradientShap(num_samples=12), "gradient_shap, odd": GradientShap(num_samples=13),
}  # fmt: skip


def score(images: Tensor, rows: Tensor) -> Tensor:
    """Two scores that no gradient is constant for."""
    linear = images.flatten(1) @ WEIGHTS.T
    return linear + linear**2


def squared_length(maps: Tensor) -> Tensor:
    flat = maps.double().flatten(-2)
    return (flat - flat.mean(-1, keepdim=True)).square().sum(-1)


def runs(method: Rise | SmoothGrad | GradientShap) -> list[Attributed]:
    return [method.attribute(score, IMAGES, torch.zeros_like(IMAGES), seed=seed) for seed in range(RUNS)]


@pytest.mark.parametrize("name", METHODS)
def test_a_draw_is_as_long_as_the_error(name: str) -> None:
    made = runs(METHODS[name])
    maps = torch.stack([each.maps for each in made])
    true = squared_length(maps - maps.mean(0)).sum(0) / (RUNS - 1)
    drawn = torch.stack([squared_length(each.draw) for each in made if each.draw is not None]).mean(0)
    told = torch.stack([each.standard_error.double().square().sum((-2, -1)) for each in made if each.standard_error is not None]).mean(0)
    assert len(made) == RUNS
    np.testing.assert_allclose(drawn, true, rtol=0.25)  # a ratio of means of 300, each of some ten directions
    assert bool((told > 0.85 * true).all())
    assert bool((told < 1.6 * true).all())  # the standard error counts what all pixels have in common, too


@pytest.mark.parametrize("name", ["rise", "smoothgrad", "gradient_shap"])
def test_a_draw_knows_nothing_of_the_map_but_lies_where_the_error_lies(name: str) -> None:
    made = runs(METHODS[name])
    errors = torch.stack([each.maps for each in made]).double().flatten(-2)[:, 0, 0]
    errors = errors - errors.mean(0)
    draws = torch.stack([each.draw for each in made if each.draw is not None]).double().flatten(-2)[:, 0, 0]
    cosines = (errors * draws).sum(1) / (errors.norm(dim=1) * draws.norm(dim=1))
    assert abs(float(cosines.mean())) < 4 * float(cosines.std()) / RUNS**0.5
    spreads = [torch.cov((each - each.mean(1, keepdim=True)).T) for each in (errors, draws)]
    alike = (spreads[0] * spreads[1]).sum() / (spreads[0].norm() * spreads[1].norm())
    assert float(alike) > 0.7  # of two covariances from 300 draws each
    spread = [independent_directions(each - each.mean(1, keepdim=True)) for each in (errors, draws)]
    assert spread[1] == pytest.approx(spread[0], rel=0.2)


def test_errors_of_rise_have_as_many_directions_as_its_masks() -> None:
    method = Rise(num_masks=64, grid_size=3)
    maps = torch.stack([method(score, IMAGES, torch.zeros_like(IMAGES), seed=seed) for seed in range(RUNS)]).double().flatten(-2)
    errors = maps - maps.mean(0)
    found = independent_directions((errors - errors.mean(-1, keepdim=True))[:, 0])
    told = method.attribute(score, IMAGES, torch.zeros_like(IMAGES)).dims
    assert told == mask_directions(SIDE, SIDE, grid_size=3, keep_prob=0.5)
    assert found == pytest.approx(told, rel=0.2)


@pytest.mark.parametrize("grid_size", [2, 4, 7])
def test_directions_of_masks_grow_with_the_grid_and_stay_below_its_cells(grid_size: int) -> None:
    dims = mask_directions(28, 28, grid_size=grid_size, keep_prob=0.5)
    assert 0.5 * grid_size**2 < dims < (grid_size + 1) ** 2
    assert mask_directions(28, 28, grid_size=grid_size, keep_prob=0.2) == pytest.approx(dims, rel=0.25)


@pytest.mark.parametrize("variances", [[1.0] * 6, [4.0, 2.0, 1.0, 1.0], [1.0], [9.0] + [0.5] * 20])
def test_directions_of_normal_draws_are_those_of_their_covariance(variances: list[float]) -> None:
    spread = torch.tensor(variances)
    basis = torch.linalg.qr(torch.randn(40, 40, generator=torch.Generator().manual_seed(2)))[0][: len(variances)]
    draws = torch.randn(3000, len(variances), generator=torch.Generator().manual_seed(3)) * spread.sqrt() @ basis
    exact = float(spread.sum() ** 2 / spread.square().sum())
    assert independent_directions(draws) == pytest.approx(exact, rel=0.05)
    lengths = torch.rand(3000, 1, generator=torch.Generator().manual_seed(4)) + 0.1
    assert independent_directions(lengths * draws) == pytest.approx(exact, rel=0.1)


def test_directions_of_sets_are_averaged_and_of_nothing_are_all() -> None:
    draws = torch.randn(400, 3, 5, generator=torch.Generator().manual_seed(5))
    assert independent_directions(draws) == pytest.approx(5, rel=0.05)
    draws[:, 1] = 0
    assert independent_directions(draws) == pytest.approx(5, rel=0.05)  # a set that does not vary says nothing
    assert independent_directions(torch.zeros(4, 9)) == 9.0
    assert independent_directions(torch.ones(4, 9)) == 1.0


def test_a_sketch_is_as_large_as_the_whole_map() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 6, 3, stride=2), torch.nn.Tanh())
    draw = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / parameter[0].numel() ** 0.5)
    directions = torch.randn(6, 40, generator=draw)

    def scores(images: Tensor, rows: Tensor) -> Tensor:
        reps = network(2 * images - 1).mean((2, 3))
        made: Tensor = reps / reps.norm(dim=1, keepdim=True) @ directions
        return made

    images = torch.rand(6, 3, 16, 16, generator=draw)
    whole = IntegratedGradients(num_steps=64)
    of_whole, of_sketch = (squared_length(each(scores, images, torch.zeros_like(images))) for each in (whole, whole.sketch()))
    assert whole.sketch().num_steps == 2
    assert IntegratedGradients(num_steps=1).sketch().num_steps == 1
    ratio = of_sketch.mean(0) / of_whole.mean(0)
    assert bool((ratio > 0.9).all())  # too small would call noise a change
    assert float(ratio.mean()) < 1.5
