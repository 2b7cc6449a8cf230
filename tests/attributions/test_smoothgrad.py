"""SmoothGrad by hand, as the method that it smooths, and its standard error against repeated runs."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import GradCam, Gradient, SmoothGrad
from cocoa_pl.attributions.sampling import counter_normal
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import derive_seed
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution, Scorer


def test_noise_is_a_share_of_each_explicand_s_own_range() -> None:
    """d / dx of x^3 at every noisy copy, by hand."""
    images = torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([0.1, 0.5, 1.0]).view(-1, 1, 1, 1)
    maps = SmoothGrad(5, 0.3)(lambda x, rows: x.pow(3).sum((1, 2, 3))[:, None], images, images, seed=2, chunk_size=4)
    noise = counter_normal(derive_seed(2, "smoothgrad"), torch.arange(5), (1, 4, 4))
    for n, image in enumerate(images):
        copies = image + 0.3 * (image.max() - image.min()) * noise
        torch.testing.assert_close(maps[0, n], (3 * copies**2).mean(0)[0])


@pytest.mark.parametrize("method", [Gradient(), GradCam(layer="2")])
def test_one_copy_without_noise_is_the_method_itself(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution
) -> None:
    score_fn = Scorer(encoder, targets)
    smooth = SmoothGrad(num_samples=1, noise=0, method=method)(score_fn, explicands, explicands)
    assert torch.equal(smooth, method(score_fn, explicands, explicands, seed=0, chunk_size=256))


def test_a_plain_function_is_told_the_row_of_every_copy(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    method = SmoothGrad(num_samples=3)
    plain = method(lambda x, rows: targets(encoder(x), rows), explicands, explicands, chunk_size=4)
    assert torch.equal(plain, method(Scorer(encoder, targets), explicands, explicands, chunk_size=4))


def test_the_standard_error_is_the_spread_of_runs_with_other_noise(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    def attribute(seed: int) -> tuple[Tensor, Tensor]:
        got = SmoothGrad(num_samples=12, noise=0.4).attribute(Scorer(encoder, targets), explicands[:1], explicands[:1], seed=seed)
        return got.maps, got.standard_error

    maps, errors = (torch.stack(tensors) for tensors in zip(*(attribute(seed) for seed in range(40)), strict=True))
    said, seen = errors.square().mean().sqrt(), maps.var(dim=0).mean().sqrt()
    assert float(said / seen) == pytest.approx(1, abs=0.15)


def test_flat_images_get_no_noise() -> None:
    flat = torch.full((1, 1, 3, 3), 0.4)
    maps = SmoothGrad(num_samples=3)(lambda x, rows: x.pow(3).sum((1, 2, 3))[:, None], flat, flat)
    torch.testing.assert_close(maps, torch.full((1, 1, 3, 3), 3 * 0.4**2))


@pytest.mark.parametrize("options", [{"num_samples": 0}, {"noise": -0.1}, {"noise": float("nan")}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=f"{next(iter(options))}=.* must be at least"):
        SmoothGrad(**options)
