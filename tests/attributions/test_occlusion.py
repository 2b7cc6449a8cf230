"""Occlusion against captum and against loops over windows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from captum.attr import Occlusion as CaptumOcclusion
from torch import Tensor

from cocoa_pl.attributions import Occlusion
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.removal import Black, Blur
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Removal


@pytest.mark.parametrize(("window", "stride"), [(1, 1), (3, 2), (4, 3), (5, 5), (9, 4), (9, 9)])
@pytest.mark.parametrize("removal", [Black(), Blur()])
def test_equals_captum_up_to_the_border(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, window: int, stride: int, removal: Removal
) -> None:
    baseline = removal(explicands)
    ours = Occlusion(window, stride)(lambda x, rows: targets(encoder(x), rows), explicands, baseline, chunk_size=50)
    for k, n in ((0, 2), (1, 1), (3, 0)):  # targets with a reference for each explicand, and without
        own = slice(n, n + 1)

        def score(images: Tensor, k: int = k, n: int = n) -> Tensor:
            return targets(encoder(images), torch.full((len(images),), n))[:, k]

        theirs = CaptumOcclusion(score).attribute(
            explicands[own], (3, window, window), (3, stride, stride), baselines=baseline[own], perturbations_per_eval=64
        )  # fmt: skip
        torch.testing.assert_close(ours[k, n], theirs[0, 0].float(), atol=1e-6, rtol=1e-4)


class Halfway:
    """A fill that depends on the mask: absent pixels show the mean of those that are left."""

    def __call__(self, images: Tensor, keep: Tensor) -> Tensor:
        left = (images * keep).sum((2, 3), keepdim=True) / keep.sum((2, 3), keepdim=True).clamp_min(1)
        return torch.where(keep > 0.5, images, left)


def test_equals_a_loop_over_windows_with_a_fill(encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget) -> None:
    window, stride = 4, 3
    ours = Occlusion(window, stride)(lambda x, rows: targets(encoder(x), rows), explicands, Halfway(), chunk_size=7)
    for n, image in enumerate(explicands.numpy()):
        row = torch.tensor([n])
        whole = targets(encoder(explicands[n : n + 1]), row)[0].numpy()
        total, covering = np.zeros((len(whole), 9, 11)), np.zeros((9, 11))
        for top in (0, 3, 6):
            for left in (0, 3, 6, 9):
                removed = np.zeros((9, 11), dtype=bool)
                removed[top : top + window, left : left + window] = True
                filled = np.where(removed, image[:, ~removed].mean(1)[:, None, None], image).astype(np.float32)
                score = targets(encoder(torch.from_numpy(filled)[None]), row)[0].numpy()
                total += (whole - score)[:, None, None] * removed
                covering += removed
        np.testing.assert_allclose(ours[:, n].numpy(), total / covering, atol=2e-6)


@pytest.mark.parametrize(("shape", "windows"), [((1, 1), 1), ((8, 9), 8 * 9), ((32, 32), 15 * 15), ((224, 224), 15 * 15)])
def test_default_windows_suit_the_size_of_the_image(shape: tuple[int, int], windows: int) -> None:
    seen = 0

    def score(images: Tensor, rows: Tensor) -> Tensor:
        nonlocal seen
        seen += len(images)
        return images.mean((1, 2, 3))[:, None]

    image = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(0))
    maps = Occlusion()(score, image, torch.zeros_like(image), chunk_size=64)
    assert seen == Occlusion().num_forwards(1, *shape) == windows + 1
    assert (maps > 0).all()  # every pixel is covered: each is positive and adds to the mean


@pytest.mark.parametrize("chunk_size", [1, 7, 1000])
def test_chunks_do_not_matter_and_none_is_larger(
    encoder: FrozenEncoder, explicands: Tensor, targets: DirectionTarget, chunk_size: int
) -> None:
    sizes = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        sizes.append(len(images))
        return targets(encoder(images), rows)

    maps = Occlusion(5)(score, explicands, torch.zeros_like(explicands), chunk_size=chunk_size)
    assert max(sizes) <= chunk_size
    expected = Occlusion(5)(score, explicands, torch.zeros_like(explicands), chunk_size=16)
    torch.testing.assert_close(maps, expected, atol=1e-6, rtol=0)


def test_no_graph_is_kept() -> None:
    weight = torch.randn(27, 1, requires_grad=True)
    image = torch.rand(1, 3, 3, 3)
    assert not Occlusion()(lambda x, rows: x.flatten(1) @ weight, image, torch.zeros_like(image)).requires_grad


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ConfigError, match="window=0: must be at least 1 pixel"):
        Occlusion(window=0)
    with pytest.raises(ConfigError, match="stride=-1: must be at least 1 pixel"):
        Occlusion(stride=-1)
    with pytest.raises(ConfigError, match="stride=4: must be at most window=3"):
        Occlusion(window=3, stride=4)


def test_windows_that_do_not_fit_the_image_are_refused() -> None:
    image = torch.rand(1, 3, 8, 9)
    with pytest.raises(DataError, match="window=9 is larger than images of 8 x 9 pixels; take at most 8"):
        Occlusion(window=9)(lambda x, rows: x.mean((1, 2, 3))[:, None], image, image)
    with pytest.raises(DataError, match="stride=5 is larger than the window of 1 pixels that images of 8 x 9 get"):
        Occlusion(stride=5)(lambda x, rows: x.mean((1, 2, 3))[:, None], image, image)
