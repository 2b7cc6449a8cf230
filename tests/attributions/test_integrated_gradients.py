"""Integrated gradients against captum and against their axioms."""

from __future__ import annotations

import pytest
import torch
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor

from cocoa_pl.attributions import IntegratedGradients, completeness_residual
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.removal import Black, Blur
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Removal


@pytest.mark.parametrize(("k", "removal"), [(0, Blur()), (1, Black()), (2, Blur()), (3, Blur())])
def test_equals_captum_for_every_target(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, k: int, removal: Removal
) -> None:
    baseline = removal(explicands)
    ours = IntegratedGradients(num_steps=7)(lambda x, rows: targets(encoder(x), rows), explicands, baseline, chunk_size=4)
    for n in (0, 2):  # one by one: captum tiles references in another order than rows
        own = slice(n, n + 1)

        def score(images: Tensor, n: int = n) -> Tensor:
            return targets(encoder(images), torch.full((len(images),), n))[:, k]

        theirs = CaptumIntegratedGradients(score).attribute(explicands[own], baseline[own], n_steps=7, method="gausslegendre")
        torch.testing.assert_close(ours[k, n], theirs.sum(dim=(0, 1)).float(), atol=1e-6, rtol=1e-4)


def test_attributions_sum_to_the_difference_of_scores(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    rows, baseline = torch.arange(3), torch.zeros_like(explicands)
    maps = IntegratedGradients(num_steps=32)(lambda x, rows: targets(encoder(x), rows), explicands, baseline)
    difference = targets(encoder(explicands), rows) - targets(encoder(baseline), rows)
    torch.testing.assert_close(maps.sum(dim=(2, 3)).T, difference, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("chunk_size", [2, 1000])
def test_chunks_do_not_matter(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, chunk_size: int) -> None:
    def maps(chunk_size: int) -> Tensor:
        method = IntegratedGradients(num_steps=3)
        return method(lambda x, rows: targets(encoder(x), rows), explicands, torch.zeros_like(explicands), chunk_size=chunk_size)

    torch.testing.assert_close(maps(chunk_size), maps(9), atol=1e-7, rtol=1e-5)


def test_no_grad_field_is_touched(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    images, baseline = explicands.clone().requires_grad_(), torch.zeros_like(explicands).requires_grad_()
    weight = torch.ones(5, requires_grad=True)
    maps = IntegratedGradients(num_steps=2)(lambda x, rows: targets(encoder(x) * weight, rows), images.detach(), baseline.detach())
    assert (images.grad, baseline.grad, weight.grad) == (None, None, None)
    assert not maps.requires_grad


def test_the_completeness_residual_falls_with_steps_and_is_what_is_missing(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    baseline = torch.zeros_like(explicands)
    scores, base_scores = (targets(encoder(x), torch.arange(3)).T for x in (explicands, baseline))

    def residual(num_steps: int, keep: float = 1) -> Tensor:
        maps = IntegratedGradients(num_steps)(lambda x, rows: targets(encoder(x), rows), explicands, baseline)
        return completeness_residual(keep * maps, scores, base_scores)

    assert residual(32).max() < 1e-4 < 10 * residual(4).max() < residual(1).max()
    torch.testing.assert_close(residual(32, keep=0.7), torch.full((4, 3), 0.3), atol=1e-3, rtol=0)
    assert completeness_residual(torch.zeros(1, 1, 2, 2), torch.ones(1, 1), torch.ones(1, 1)) == 0


def test_no_steps_are_refused() -> None:
    with pytest.raises(ConfigError, match="num_steps=0: must be at least 1"):
        IntegratedGradients(num_steps=0)
