"""Expected gradients against a loop, and what GradientSHAP converges to."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import GradientShap, IntegratedGradients, completeness_residual
from cocoa_pl.attributions.sampling import counter_normal
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import counter_uniform, derive_seed
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Scorer

NUM = 6


def draws(seed: int, num: int = NUM) -> tuple[Tensor, Tensor, Tensor]:
    """Place on the way, choice in the pool, and noise of every sample."""
    alphas, choice = counter_uniform(derive_seed(seed, "gradient_shap", "way"), torch.arange(num), num=2).T
    return alphas, choice, counter_normal(derive_seed(seed, "gradient_shap", "noise"), torch.arange(num), (3, 9, 11))


def slow(score_fn: Scorer, image: Tensor, n: int, starts: Tensor, alphas: Tensor, noise: Tensor) -> Tensor:
    """Sample by sample, target by target."""
    total = torch.zeros(4, 9, 11)
    for start, alpha, shift in zip(starts, alphas, noise, strict=True):
        noisy = image + shift
        at = (start + alpha * (noisy - start)).requires_grad_()
        scores = score_fn(at[None], torch.tensor([n]))[0]
        for k in range(4):
            (gradient,) = torch.autograd.grad(scores[k], at, retain_graph=True)
            total[k] += ((noisy - start) * gradient).sum(0)
    return total / len(alphas)


@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_expected_gradients_equal_a_loop(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, noise: float) -> None:
    pool = torch.rand(4, 3, 9, 11, generator=torch.Generator().manual_seed(9))
    ours = GradientShap(NUM, noise=noise, pool=pool)(
        Scorer(encoder, targets), explicands, torch.zeros_like(explicands), seed=1, chunk_size=7
    )
    alphas, choice, normal = draws(1)
    starts = torch.stack([pool[int(c * 4)] for c in choice.tolist()])
    for n in range(3):
        expected = slow(Scorer(encoder, targets), explicands[n], n, starts, alphas, noise * normal)
        torch.testing.assert_close(ours[:, n], expected, atol=1e-6, rtol=1e-4)


def test_stratified_places_fill_the_way_evenly(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    baseline = torch.zeros_like(explicands)
    ours = GradientShap(NUM, noise=0, stratified=True)(Scorer(encoder, targets), explicands, baseline, seed=1)
    alphas = (torch.arange(NUM) + draws(1)[0]) / NUM
    expected = slow(Scorer(encoder, targets), explicands[1], 1, baseline[:1].expand(NUM, -1, -1, -1), alphas, torch.zeros(NUM, 1, 1, 1))
    torch.testing.assert_close(ours[:, 1], expected, atol=1e-6, rtol=1e-4)


def test_without_noise_it_comes_to_integrated_gradients_as_fast_as_its_standard_error_says(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    score_fn, baseline, rows = Scorer(encoder, targets), torch.zeros_like(explicands), torch.arange(3)
    exact = IntegratedGradients(num_steps=32)(score_fn, explicands, baseline)
    got = GradientShap(num_samples=200, noise=0).attribute(score_fn, explicands, baseline, seed=3)
    z = (got.maps - exact) / got.standard_error
    assert 0.3 < float(z.square().mean().sqrt()) < 2  # pixels share their draws, so that z has few degrees of freedom
    even = GradientShap(num_samples=200, noise=0, stratified=True)(score_fn, explicands, baseline, seed=3)
    assert (even - exact).norm() < 0.1 * (got.maps - exact).norm()
    scores, base_scores = score_fn(explicands, rows).T, score_fn(baseline, rows).T
    assert completeness_residual(got.maps, scores, base_scores).max() < 0.1
    assert completeness_residual(even, scores, base_scores).max() < 1e-3


def test_what_cannot_be_used_is_refused(explicands: Tensor) -> None:
    with pytest.raises(ConfigError, match="num_samples=0: must be at least 1"):
        GradientShap(num_samples=0)
    with pytest.raises(ConfigError, match="noise=-1: must be at least 0"):
        GradientShap(noise=-1)
    with pytest.raises(DataError, match=r"pool \(3, 9, 11\): must be images"):
        GradientShap(pool=torch.zeros(3, 9, 11))
    with pytest.raises(DataError, match=r"pool of images \(3, 8, 8\) met explicands \(3, 9, 11\)"):
        GradientShap(pool=torch.zeros(2, 3, 8, 8))(lambda x, rows: x.mean((1, 2, 3))[:, None], explicands, explicands)
    with pytest.raises(DataError, match="gradient_shap needs a baseline image"):
        GradientShap()(lambda x, rows: x.mean((1, 2, 3))[:, None], explicands, lambda images, keep: images)
