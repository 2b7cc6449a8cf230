"""What every removal keeps: shape, range and type; its input; one picture at a time; the same answer to the same question."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cocoa_pl.registry import REMOVALS
from cocoa_pl.removal import Inpaint, RandomImage
from cocoa_pl.types import Removal


def pictures(num: int, *shape: int, seed: int = 0) -> Tensor:
    """Smooth pictures with some noise, from 0 to 1."""
    draw = torch.Generator().manual_seed(seed)
    smooth = torch.nn.functional.interpolate(torch.rand(num, shape[0], 4, 4, generator=draw), shape[1:], mode="bilinear")
    mixed = smooth + 0.3 * torch.rand(num, *shape, generator=draw)
    low, high = mixed.amin((1, 2, 3), keepdim=True), mixed.amax((1, 2, 3), keepdim=True)
    return (mixed - low) / (high - low).clamp_min(1e-6)


def removed(name: str, images: Tensor) -> Tensor:
    """The baseline; of a fill, what it makes of a mask that removes a block."""
    removal: Removal = RandomImage(pictures(3, *images.shape[1:], seed=9)) if name == "random_image" else REMOVALS.load(name)()
    baseline = removal(images)
    if isinstance(baseline, Tensor):
        return baseline
    keep = torch.ones(len(images), 1, *images.shape[2:])
    keep[:, :, : images.shape[2] // 2 + 1] = 0
    return baseline(images, keep)


@pytest.mark.parametrize("name", REMOVALS)
@pytest.mark.parametrize("shape", [(3, 8, 9), (1, 8, 9), (3, 224, 224), (3, 1, 1), (3, 2, 3), (3, 33, 20), (1, 5, 40)])
def test_shape_range_and_type_stay_and_the_input_is_untouched(name: str, shape: tuple[int, int, int]) -> None:
    images = pictures(1, *shape)
    before, rng = images.clone(), torch.get_rng_state()
    baseline = removed(name, images)
    assert baseline.shape == images.shape
    assert baseline.dtype == torch.float32
    assert baseline.min() >= 0
    assert baseline.max() <= 1 + 1e-6
    assert torch.equal(images, before)
    assert torch.equal(torch.get_rng_state(), rng)
    baseline.zero_()  # memory of its own
    assert torch.equal(images, before)


@pytest.mark.parametrize("name", REMOVALS)
def test_a_batch_equals_single_runs_and_repeats(name: str) -> None:
    images = pictures(3, 3, 18, 15)
    together = removed(name, images)
    assert torch.equal(removed(name, images), together)
    alone = torch.cat([removed(name, images[n : n + 1]) for n in range(3)])
    torch.testing.assert_close(alone, together, atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", REMOVALS)
@pytest.mark.parametrize("layout", [
    lambda x: x.contiguous(memory_format=torch.channels_last), lambda x: x.transpose(2, 3).contiguous().transpose(2, 3),
    lambda x: torch.stack([x, x], dim=-1)[..., 0],
])  # fmt: skip
def test_the_order_in_memory_does_not_matter(name: str, layout: Callable[[Tensor], Tensor]) -> None:
    images = pictures(2, 3, 18, 15)
    assert not layout(images).is_contiguous()
    torch.testing.assert_close(removed(name, layout(images)), removed(name, images), atol=1e-6, rtol=0)


@pytest.mark.parametrize("name", ["inpaint", "colour"])
def test_channels_that_are_neither_grey_nor_rgb_are_refused(name: str) -> None:
    with pytest.raises(Exception, match="images with 4 channels") as caught:
        removed(name, pictures(1, 4, 8, 9))
    assert type(caught.value).__name__ == "DataError"


def test_only_inpainting_depends_on_the_mask() -> None:
    images = pictures(1, 3, 8, 9)
    fills = [name for name in REMOVALS if name != "random_image" and not isinstance(REMOVALS.load(name)()(images), Tensor)]
    assert fills == ["inpaint"]
    assert Inpaint(radius=5)(images).radius == 5
