"""Law 5: a linear score has its map in closed form, whatever the method."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import (
    GradCam,
    Gradient,
    GradientShap,
    GradientXInput,
    IntegratedGradients,
    LayerIntegratedGradients,
    Occlusion,
    Rise,
    Slic,
    SmoothGrad,
    kernel_shap_grid,
    kernel_shap_slic,
)
from cocoa_pl.attributions.rise_masks import rise_masks
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import cosine
from cocoa_pl.registry import ATTRIBUTIONS
from cocoa_pl.removal import Black, Blur
from cocoa_pl.types import Attribution

DRAW = torch.Generator().manual_seed(0)
SIDE = 8
KERNEL = torch.randn(5, 3, 2, 2, generator=DRAW)  # image to maps of half its size
READ = torch.randn(4, 5, 4, 4, generator=DRAW) / 3  # maps to representation
DIRECTIONS = torch.randn(2, 4, generator=DRAW)
EXPLICANDS = torch.rand(3, 3, SIDE, SIDE, generator=DRAW)
BASELINE = Blur()(EXPLICANDS)


class Linear(nn.Module):
    """Two linear layers: a convolution without overlap, and a matrix that reads its maps."""

    def __init__(self) -> None:
        super().__init__()
        self.maps, self.read = nn.Conv2d(3, 5, 2, stride=2, bias=False), nn.Linear(80, 4, bias=False)
        self.maps.weight.data, self.read.weight.data = KERNEL.clone(), READ.flatten(1).clone()

    def forward(self, images: Tensor) -> Tensor:
        return self.read(self.maps(images).flatten(1))


class DotTarget:
    """Unnormalised representations against fixed directions: the whole score is linear in the image."""

    names = ("first", "second")

    def __call__(self, reps: Tensor, rows: Tensor) -> Tensor:
        return reps @ DIRECTIONS.T


def slopes() -> Tensor:
    """d score / d maps of both targets, (2, 5, 4, 4)."""
    return torch.einsum("kd,dohw->kohw", DIRECTIONS, READ)


def weights() -> Tensor:
    """W^T d of both targets, (2, 3, H, W): maps and pixels are linked one block of 2 x 2 at a time."""
    return torch.einsum("kohw,ocyx->kchywx", slopes(), KERNEL).reshape(2, 3, SIDE, SIDE)


def of_pixels(images: Tensor) -> Tensor:
    """What every pixel adds to the score, (2, N, H, W)."""
    return (weights()[:, None] * images).sum(dim=2)


def maps_of(images: Tensor) -> Tensor:
    """The convolution by hand, (N, 5, 4, 4)."""
    return torch.einsum("nchywx,ocyx->nohw", images.view(len(images), 3, 4, 2, 4, 2), KERNEL)


def enlarged(small: Tensor) -> Tensor:
    """Maps (2, N, 4, 4) to (2, N, H, W), bilinearly by numpy."""
    place = (np.arange(SIDE) + 0.5) / 2 - 0.5
    axis = torch.tensor(np.stack([np.interp(place, np.arange(4), one) for one in np.eye(4)]), dtype=torch.float32)
    return axis.T @ small @ axis


def occluded(window: int, stride: int) -> Tensor:
    """Window by window: a pixel's mean over the windows that cover it of what they hold."""
    held, total, covering = of_pixels(EXPLICANDS - BASELINE), torch.zeros(2, 3, SIDE, SIDE), torch.zeros(SIDE, SIDE)
    starts = range(0, SIDE - window + stride, stride)
    for here in ((slice(top, top + window), slice(left, left + window)) for top in starts for left in starts):
        total[..., *here] += held[..., *here].sum(dim=(2, 3), keepdim=True)
        covering[here] += 1
    return total / covering


def summed(segments: Tensor) -> Tensor:
    """What each superpixel (N, H, W) adds to the score, shared over its pixels."""
    held, maps = of_pixels(EXPLICANDS - BASELINE), torch.zeros(2, 3, SIDE, SIDE)
    for n, own in enumerate(segments):
        for number in own.unique():
            maps[:, n, own == number] = held[:, n, own == number].mean(dim=1, keepdim=True)
    return maps


CELLS = (torch.arange(SIDE)[:, None] // 2 * 4 + torch.arange(SIDE) // 2).expand(3, -1, -1)
CAM = slopes().mean(dim=(2, 3))  # (2, 5)
CLOSED: dict[str, tuple[Attribution, Callable[[], Tensor]]] = {
    "gradient": (Gradient(), lambda: weights().sum(dim=1)[:, None].expand(2, 3, -1, -1)),
    "gradient_x_input": (GradientXInput(), lambda: of_pixels(EXPLICANDS)),
    "smoothgrad": (SmoothGrad(num_samples=3), lambda: weights().sum(dim=1)[:, None].expand(2, 3, -1, -1)),
    "integrated_gradients": (IntegratedGradients(num_steps=2), lambda: of_pixels(EXPLICANDS - BASELINE)),
    "gradient_shap": (GradientShap(num_samples=3, noise=0), lambda: of_pixels(EXPLICANDS - BASELINE)),
    "grad_cam": (GradCam("maps"), lambda: enlarged(torch.einsum("ko,nohw->knhw", CAM, maps_of(EXPLICANDS)))),
    "layer_integrated_gradients": (
        LayerIntegratedGradients(num_steps=2, layer="maps"),
        lambda: enlarged(torch.einsum("kohw,nohw->knhw", slopes(), maps_of(EXPLICANDS - BASELINE))) / 4,
    ),
    "occlusion": (Occlusion(window=4, stride=3), lambda: occluded(4, 3)),
    "kernel_shap": (kernel_shap_grid(num_samples=64, grid_size=4), lambda: summed(CELLS)),
    "kernel_shap_slic": (kernel_shap_slic(2, 12, 1000), lambda: summed(Slic(12, 1000)(EXPLICANDS))),
}
BY_MASKS = {"rise"}  # what its own masks blur: below


def test_every_method_of_the_table_has_a_closed_form() -> None:
    assert {*CLOSED} | BY_MASKS == {*ATTRIBUTIONS}


@pytest.mark.parametrize("name", CLOSED)
def test_a_linear_score_has_its_map_in_closed_form(name: str) -> None:
    method, closed = CLOSED[name]
    expected = closed()
    given = Explainer(FrozenEncoder(Linear()), attributions={"it": method}, removal=Blur()).explain(EXPLICANDS, DotTarget(), seed=5)
    torch.testing.assert_close(given.attributions["it"], expected, atol=1e-5, rtol=1e-4)
    assert expected.flatten(2).std(dim=2).min() > 0.01
    torch.testing.assert_close(given.scores, of_pixels(EXPLICANDS).sum(dim=(2, 3)), atol=1e-4, rtol=1e-5)
    if "shap" in name:
        torch.testing.assert_close(given.attributions["it"].sum(dim=(2, 3)), of_pixels(EXPLICANDS - BASELINE).sum(dim=(2, 3)))
        assert name == "gradient_shap" or given.standard_errors["it"].max() < 1e-4  # every draw of coalitions gives the same


def test_the_expectation_of_gradient_shap_does_not_know_of_its_noise() -> None:
    got = GradientShap(num_samples=400, noise=0.2).attribute(
        lambda x, rows: DotTarget()(Linear()(x), rows), EXPLICANDS, BASELINE, seed=2, chunk_size=300
    )  # fmt: skip
    assert got.standard_error is not None
    z = (got.maps - of_pixels(EXPLICANDS - BASELINE)) / got.standard_error
    assert 0.8 < float(z[:, 0].square().mean().sqrt()) < 1.2  # explicands share their draws


def test_integrated_gradients_of_a_linear_score_need_one_step() -> None:
    for num_steps in (1, 9):
        maps = IntegratedGradients(num_steps)(lambda x, rows: DotTarget()(Linear()(x), rows), EXPLICANDS, BASELINE)
        torch.testing.assert_close(maps, of_pixels(EXPLICANDS - BASELINE), atol=1e-5, rtol=1e-4)


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
    closed = of_pixels(EXPLICANDS)
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
    closed = of_pixels(EXPLICANDS)
    kernel = torch.cov(rise_masks(torch.arange(3000), seed=77, height=SIDE, width=SIDE, grid_size=4).flatten(1).T)
    expected = (closed.flatten(2) @ kernel)[0]

    def agreement(estimator: str) -> Tensor:
        method = Rise(num_masks=64, grid_size=4, estimator=estimator)
        maps = method(lambda x, rows: x.flatten(1) @ weights().flatten(1).T + 100, EXPLICANDS, torch.zeros_like(EXPLICANDS), seed=1)[0]
        centred = maps.flatten(1) - maps.flatten(1).mean(1, keepdim=True)
        return cosine(centred, expected - expected.mean(1, keepdim=True))

    assert agreement("centred").min() > 0.6
    assert (agreement("centred") > agreement("petsiuk") + 0.2).all()
