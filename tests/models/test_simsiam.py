"""SimSiam: its loss against a slow transcription of the paper, and that nothing learns through the stopped branch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from cocoa_pl.models.optim import OptimSpec, adamw, constant
from cocoa_pl.models.simsiam import SimSiam
from cocoa_pl.rng import generator
from cocoa_pl.types import Batch

Array = NDArray[np.float64]

MEAN, STD = np.array([0.4, 0.5, 0.6], dtype=np.float32), np.array([0.2, 0.3, 0.1], dtype=np.float32)  # as a module keeps them


def simsiam() -> SimSiam:
    torch.manual_seed(0)
    spec = OptimSpec(adamw, constant, 1e-3, 0.0, 0.0)
    module = SimSiam(
        nn.Sequential(nn.Flatten(), nn.Linear(12, 7)), rep_dim=7, optim=spec, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1), hidden_dim=9,
        projection_dim=8,
    )  # fmt: skip
    return module.double()


def batch() -> Batch:
    first, second = torch.rand(2, 6, 3, 2, 2, generator=generator(0, "simsiam")).double()
    return Batch(torch.arange(6), torch.full((6,), -1), torch.zeros(6, 3, 2, 2, dtype=torch.uint8), (first, second), 0)


def transcribed(weights: dict[str, Array], views: tuple[Tensor, ...], *, fixed: list[Array] | None = None) -> tuple[float, list[Array]]:
    """Algorithm 1 of Chen & He: the loss towards ``fixed`` projections, the module's own where there are none, and these projections."""

    def normed(x: Array) -> Array:
        return np.asarray((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-5))

    def relu_of(x: Array, norm: str) -> Array:
        return np.maximum(normed(x) * weights[f"{norm}.weight"] + weights[f"{norm}.bias"], 0)

    projections, predictions = [], []
    for view in views:
        pixels = (view.numpy() - MEAN[:, None, None]) / STD[:, None, None]
        x = pixels.reshape(len(pixels), -1) @ weights["backbone.1.weight"].T + weights["backbone.1.bias"]
        x = relu_of(x @ weights["projection_head.layers.0.weight"].T, "projection_head.layers.1")
        x = relu_of(x @ weights["projection_head.layers.3.weight"].T, "projection_head.layers.4")
        x = normed(x @ weights["projection_head.layers.6.weight"].T)
        projections.append(x)
        x = relu_of(x @ weights["prediction_head.layers.0.weight"].T, "prediction_head.layers.1")
        predictions.append(x @ weights["prediction_head.layers.3.weight"].T + weights["prediction_head.layers.3.bias"])
    towards = fixed or projections
    total = 0.0
    for own, other in ((0, 1), (1, 0)):
        for p, z in zip(predictions[own], towards[other], strict=True):
            total -= float(p @ z) / float(np.linalg.norm(p) * np.linalg.norm(z))
    return total / (2 * len(views[0])), projections


def weights_of(module: nn.Module) -> dict[str, Array]:
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def test_the_loss_is_the_papers() -> None:
    module, given = simsiam(), batch()
    expected, _ = transcribed(weights_of(module), given.views)
    assert module.loss(given).item() == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["backbone.1.weight", "projection_head.layers.3.weight", "prediction_head.layers.0.weight"])
def test_the_gradient_is_that_with_the_other_views_projections_held_fast(name: str) -> None:
    module, given = simsiam(), batch()
    module.loss(given).backward()
    weights = weights_of(module)
    _, fixed = transcribed(weights, given.views)
    way = torch.randn(weights[name].shape, generator=generator(0, "way")).double().numpy()

    def slope(held: list[Array] | None) -> float:
        step = 1e-5
        ahead, behind = (transcribed(weights | {name: weights[name] + sign * step * way}, given.views, fixed=held)[0] for sign in (1, -1))
        return (ahead - behind) / (2 * step)

    found = float((module.get_parameter(name).grad.numpy() * way).sum())  # type: ignore[union-attr]
    assert found == pytest.approx(slope(fixed), rel=1e-5)
    if not name.startswith("prediction_head"):  # which no projection passes
        assert abs(found - slope(None)) > 0.01 * abs(found)


def test_views_that_are_alike_and_a_predictor_that_copies_have_the_least_loss() -> None:
    module, given = simsiam(), batch()
    module.prediction_head = nn.Identity()
    alike = given._replace(views=(given.views[0],) * 2)
    assert module.loss(alike).item() == pytest.approx(-1, abs=1e-9)
