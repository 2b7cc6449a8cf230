"""Gradients against captum and finite differences, and what they hold in memory."""

from __future__ import annotations

import weakref

import pytest
import torch
from captum.attr import InputXGradient, Saliency
from torch import Tensor

from cocoa_pl.attributions import Gradient, GradientXInput
from cocoa_pl.attributions.gradients import image_gradients
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution


@pytest.mark.parametrize(("method", "theirs"), [(Gradient(), Saliency), (GradientXInput(), InputXGradient)])
def test_equals_captum_for_every_target_and_explicand(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, method: Attribution, theirs: type
) -> None:
    ours = method(lambda x, rows: targets(encoder(x), rows), explicands, torch.zeros_like(explicands), seed=0, chunk_size=2)
    signed = {"abs": False} if theirs is Saliency else {}
    for k in range(4):
        for n in range(3):

            def score(images: Tensor, k: int = k, n: int = n) -> Tensor:
                return targets(encoder(images), torch.full((len(images),), n))[:, k]

            image = explicands[n : n + 1].clone().requires_grad_()
            expected = theirs(score).attribute(image, **signed).sum(dim=(0, 1)).detach()
            torch.testing.assert_close(ours[k, n], expected, atol=1e-7, rtol=1e-4)
            assert k == 0 or expected.abs().max() > 1e-4


def test_similarity_to_the_explicand_itself_has_no_gradient_there(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget
) -> None:
    """The cosine is at its maximum; what a contrastive target leaves is the slope away from the foil."""
    label_free, contrastive = Gradient()(lambda x, rows: targets(encoder(x), rows)[:, :2], explicands, torch.zeros_like(explicands))
    assert label_free.abs().max() < 1e-6
    assert contrastive.abs().amax(dim=(1, 2)).min() > 1e-4


def test_equals_finite_differences() -> None:
    images = torch.rand(2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weights = torch.randn(2, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def score(x: Tensor, rows: Tensor) -> Tensor:
        return torch.sin(x.flatten(1) @ weights.T) * (1 + rows[:, None])

    maps = Gradient()(score, images, torch.zeros_like(images))
    for y in range(2):
        for x in range(2):
            step = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
            step[:, :, y, x] = 1e-6  # along the sum of channels
            slope = (score(images + step, torch.arange(2)) - score(images - step, torch.arange(2))) / 2e-6
            torch.testing.assert_close(maps[:, :, y, x], slope.T, atol=1e-7, rtol=0)


def test_no_more_than_one_gradient_is_held(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    seen: list[weakref.ref[Tensor]] = []

    def share(gradient: Tensor) -> Tensor:
        assert all(earlier() is None for earlier in seen)
        seen.append(weakref.ref(gradient))
        return gradient.sum(dim=1)

    image_gradients(lambda x, rows: targets(encoder(x), rows), explicands, torch.arange(3), share)
    assert len(seen) == 4


@pytest.mark.parametrize("score", [lambda x, rows: x.detach().sum((1, 2, 3))[:, None], lambda x, rows: torch.ones(3, 1).requires_grad_()])
def test_a_score_that_is_cut_off_from_its_images_is_refused(explicands: Tensor, score: object) -> None:
    with pytest.raises(DataError, match="the score carries no gradient back to the images"):
        Gradient()(score, explicands, torch.zeros_like(explicands))
