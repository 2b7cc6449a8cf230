"""Law 5: a linear score has its map in closed form."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import cosine
from cocoa_pl.removal import Black

DRAW = torch.Generator().manual_seed(0)
SIDE = 8
MATRIX = torch.randn(4, 3 * SIDE * SIDE, generator=DRAW)
DIRECTIONS = torch.randn(2, 4, generator=DRAW)
EXPLICANDS = torch.rand(3, 3, SIDE, SIDE, generator=DRAW)


class Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.matrix = nn.Parameter(MATRIX.clone())

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.matrix.T


class DotTarget:
    """Unnormalised representations against fixed directions: the whole score is linear in the image."""

    names = ("first", "second")

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        return reps @ DIRECTIONS.T


def weights() -> Tensor:
    """W^T d of both targets, (2, 3, H, W)."""
    return (DIRECTIONS @ MATRIX).view(2, 3, SIDE, SIDE)


def test_integrated_gradients_is_the_weight_times_the_difference_with_any_number_of_steps() -> None:
    expected = (weights()[:, None] * EXPLICANDS).sum(dim=2)
    for num_steps in (1, 2, 9):
        explainer = Explainer(FrozenEncoder(Linear()), attributions={"ig": IntegratedGradients(num_steps)}, removal=Black())
        given = explainer.explain(EXPLICANDS, DotTarget())
        torch.testing.assert_close(given.attributions["ig"], expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(given.attributions["ig"].sum((2, 3)), given.scores, atol=1e-4, rtol=1e-5)  # completeness


def test_integrated_gradients_of_a_known_nonlinear_score() -> None:
    """score = (sum w x)^2 from black: attribution_i = w_i x_i * sum w x, by hand."""
    weight = weights()[0]

    def score(images: Tensor, rows: Tensor) -> Tensor:
        return (images * weight).sum((1, 2, 3)).square()[:, None]

    maps = IntegratedGradients(num_steps=2)(score, EXPLICANDS, torch.zeros_like(EXPLICANDS))
    total = (EXPLICANDS * weight).sum((1, 2, 3), keepdim=True)
    torch.testing.assert_close(maps[0], (EXPLICANDS * weight * total).sum(1), atol=1e-3, rtol=1e-4)


def test_rise_converges_to_the_weights_smoothed_by_the_mask_kernel() -> None:
    """Cov(score, M(p)) / E M(p) = sum over q of a(q) Cov(M(q), M(p)) / E M(p), with a the closed-form map and masks of another seed."""
    grid = {"grid_size": 4, "keep_prob": 0.5}
    independent = rise_masks(torch.arange(20_000), seed=77, height=SIDE, width=SIDE, **grid).flatten(1).double()
    kernel = torch.cov(independent.T, correction=0) / independent.mean(0)
    closed = (weights()[:, None] * EXPLICANDS).sum(dim=2)
    expected = (closed.flatten(2).double() @ kernel).view_as(closed).float()

    def error(num_masks: int) -> float:
        method = Rise(num_masks=num_masks, **grid)
        explainer = Explainer(FrozenEncoder(Linear()), attributions={"rise": method}, removal=Black(), chunk_size=4096)
        maps = explainer.explain(EXPLICANDS, DotTarget(), seed=1).attributions["rise"]
        return float((maps - expected).norm() / expected.norm())

    few, many = error(200), error(8000)
    assert many < 0.08
    assert 0.3 < few / many / math.sqrt(40) < 3  # the error of a Monte-Carlo mean falls with the root of the masks


def test_the_centred_estimator_needs_fewer_masks_than_the_plain_one() -> None:
    """Agreement with the closed form where the score has a large constant part."""
    closed = (weights()[:, None] * EXPLICANDS).sum(dim=2)
    kernel = torch.cov(rise_masks(torch.arange(3000), seed=77, height=SIDE, width=SIDE, grid_size=4).flatten(1).T)
    expected = (closed.flatten(2) @ kernel)[0]

    def agreement(estimator: str) -> Tensor:
        method = Rise(num_masks=64, grid_size=4, estimator=estimator)
        maps = method(lambda x, rows: x.flatten(1) @ (DIRECTIONS @ MATRIX).T + 100, EXPLICANDS, torch.zeros_like(EXPLICANDS), seed=1)[0]
        centred = maps.flatten(1) - maps.flatten(1).mean(1, keepdim=True)
        return cosine(centred, expected - expected.mean(1, keepdim=True))

    assert agreement("centred").min() > 0.6
    assert (agreement("centred") > agreement("petsiuk") + 0.2).all()
