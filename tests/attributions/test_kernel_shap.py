"""KernelSHAP against the definition of Shapley values over masked images, its errors, and its cost."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import KernelShap, kernel_shap_grid, kernel_shap_slic
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.removal import Blur, Inpaint
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import ScoreFn


class Bands:
    """Superpixels of unequal size, and of a number that is each explicand's own: 7 for bright ones, else 5."""

    def __call__(self, images: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        place = torch.arange(height)[:, None] + torch.arange(width)
        count = torch.where(images.mean((1, 2, 3)) > 0.4, 7, 5)
        return torch.minimum((place**2 // 20).expand(len(images), -1, -1), count[:, None, None] - 1)


@pytest.fixture
def score(encoder: FrozenEncoder, targets: DirectionTarget) -> ScoreFn:
    """A score that is far from additive."""
    return lambda images, rows: torch.exp(3 * targets(encoder(images), rows))


@pytest.fixture
def baseline(explicands: Tensor) -> Tensor:
    return Blur()(explicands)


def test_exact_values_equal_the_definition_and_are_shared_over_pixels(score: ScoreFn, explicands: Tensor, baseline: Tensor) -> None:
    explicands[1] /= 2  # a dark one
    segments = Bands()(explicands)
    method = KernelShap(num_samples=126, segment_fn=Bands())
    found = method.attribute(score, explicands, baseline, chunk_size=100)
    for n, d in enumerate((7, 5, 7)):
        label, row = segments[n].numpy(), torch.tensor([n])
        assert len(np.unique(label)) == d

        def value(kept: tuple[int, ...], n: int = n, label: np.ndarray = label, row: Tensor = row) -> np.ndarray:
            image = np.where(np.isin(label, kept), explicands[n].numpy(), baseline[n].numpy())
            return score(torch.from_numpy(image)[None], row)[0].double().numpy()

        games = {kept: value(kept) for size in range(d + 1) for kept in itertools.combinations(range(d), size)}
        for i in range(d):
            others = [kept for kept in games if i not in kept]
            gain = sum(
                (games[tuple(sorted((*kept, i)))] - games[kept]) / (d * math.comb(d - 1, len(kept))) for kept in others
            )  # fmt: skip
            pixel = found.maps[:, n, label == i]
            np.testing.assert_allclose(pixel.numpy(), np.repeat(gain[:, None] / (label == i).sum(), pixel.shape[1], 1), atol=1e-6)
    assert found.standard_error is not None
    assert not found.standard_error.any()
    assert found.reliability is not None
    assert bool((found.reliability == 1).all())


@pytest.mark.parametrize("method", [kernel_shap_grid(num_samples=120, grid_size=4), KernelShap(120, Bands()), kernel_shap_slic(400)])
def test_maps_sum_to_the_difference_of_scores(method: KernelShap, score: ScoreFn, explicands: Tensor, baseline: Tensor) -> None:
    rows = torch.arange(3)
    maps = method(score, explicands, baseline)
    torch.testing.assert_close(maps.sum((2, 3)).T, score(explicands, rows) - score(baseline, rows), atol=1e-5, rtol=1e-5)


def test_standard_error_and_reliability_tell_what_another_seed_gives(explicands: Tensor, baseline: Tensor) -> None:
    weight = torch.randn(2, 3 * 9 * 11, generator=torch.Generator().manual_seed(0)) / 10

    def score(images: Tensor, rows: Tensor) -> Tensor:
        return torch.sin(images.flatten(1) @ weight.T)

    method = kernel_shap_grid(num_samples=100, grid_size=4)
    runs = [method.attribute(score, explicands, baseline, seed=seed) for seed in range(40)]
    maps = torch.stack([run.maps for run in runs]).double()
    claimed = torch.stack([run.standard_error for run in runs if run.standard_error is not None])
    ratio = (claimed.square().mean((0, 3, 4)) / maps.var(0).mean((2, 3))).sqrt()
    assert ((ratio - 1).abs() < 0.25).all()
    reliability = torch.stack([run.reliability for run in runs if run.reliability is not None]).mean(0)
    centred = maps.flatten(3) - maps.flatten(3).mean(3, keepdim=True)
    unit = (centred / centred.norm(dim=3, keepdim=True)).permute(1, 2, 0, 3)
    agreement = ((unit @ unit.mT).sum((2, 3)) - 40) / (40 * 39)
    assert agreement.min() < 0.95  # or there would be nothing to tell
    torch.testing.assert_close(reliability.double(), agreement, atol=0.04, rtol=0)
    assert runs[0].num_samples == 100


def test_a_batch_of_unequal_numbers_of_superpixels_equals_single_runs(score: ScoreFn, explicands: Tensor, baseline: Tensor) -> None:
    explicands[[1, 2]] /= 2
    method = KernelShap(num_samples=30, segment_fn=Bands())  # draws for 7 superpixels, all coalitions of 5
    together = method.attribute(score, explicands, baseline, seed=2, chunk_size=11)
    assert together.standard_error is not None
    assert together.standard_error.flatten(2).amax(2).gt(0).tolist() == [[True, False, False]] * 4  # exact or drawn
    for n in range(3):
        own = slice(n, n + 1)
        alone = method.attribute(lambda x, rows, n=n: score(x, rows + n), explicands[own], baseline[own], seed=2)
        torch.testing.assert_close(together.maps[:, own], alone.maps, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(together.standard_error[:, own], alone.standard_error, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("method", [kernel_shap_grid(num_samples=300), kernel_shap_slic(num_samples=400)])
def test_passes_are_no_larger_than_a_chunk_and_as_many_as_told(method: KernelShap, score: ScoreFn, explicands: Tensor) -> None:
    sizes = []

    def counting(images: Tensor, rows: Tensor) -> Tensor:
        sizes.append(len(images))
        return score(images, rows)

    tiny = explicands[..., :7, :8]
    maps = method(counting, tiny, torch.zeros_like(tiny), chunk_size=90)
    assert max(sizes) == 90
    assert sum(sizes) == method.num_forwards(3, 7, 8)
    expected = method(score, tiny, torch.zeros_like(tiny), chunk_size=1000)
    torch.testing.assert_close(maps, expected, atol=1e-5, rtol=1e-4)


def test_inpainted_superpixels(score: ScoreFn, explicands: Tensor) -> None:
    """A removal that depends on what is left: the two ends are the image itself and its mean colour."""
    maps = kernel_shap_grid(num_samples=100, grid_size=4)(score, explicands, Inpaint()(explicands))
    rows, mean = torch.arange(3), explicands.mean((2, 3), keepdim=True).expand_as(explicands)
    torch.testing.assert_close(maps.sum((2, 3)).T, score(explicands, rows) - score(mean, rows), atol=1e-5, rtol=1e-5)


def test_one_superpixel_gets_everything() -> None:
    image = torch.rand(2, 1, 3, 4)
    maps = kernel_shap_grid(num_samples=2, grid_size=1)(lambda x, rows: x.sum((1, 2, 3))[:, None] ** 2, image[..., :3], image[..., :3] * 0)
    torch.testing.assert_close(maps[0, :, 0, 0], image[..., :3].sum((1, 2, 3)) ** 2 / 9)


@pytest.mark.parametrize("num_samples", [0, -2, 7])
def test_wrong_options_are_refused(num_samples: int) -> None:
    with pytest.raises(ConfigError, match=f"num_samples={num_samples}: must be even and at least 2"):
        KernelShap(num_samples)


@pytest.mark.parametrize(("num_samples", "taken"), [(64, 128), (128, 128), (130, 130)])
def test_many_superpixels_get_four_coalitions_each(num_samples: int, taken: int) -> None:
    """Two pictures side by side under the config's defaults: a grid of 4 x 8."""
    wide, sizes = torch.rand(2, 3, 8, 16, generator=torch.Generator().manual_seed(0)), []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        sizes.append(len(images))
        return torch.sin(images.sum((1, 2, 3)))[:, None]

    method = kernel_shap_grid(num_samples, grid_size=4)
    found = method.attribute(score, wide, torch.zeros_like(wide))
    assert found.num_samples == taken
    assert sum(sizes) == method.num_forwards(2, 8, 16) == 2 * (taken + 2)


def test_the_most_coalitions_of_any_explicand_are_told_and_paid_for(score: ScoreFn, explicands: Tensor, baseline: Tensor) -> None:
    explicands[1] /= 2
    for num_samples, exact in ((2, 28), (30, 30), (126, 126), (500, 126)):  # of 7 superpixels; all coalitions of 5 are 30
        assert KernelShap(num_samples, Bands()).attribute(score, explicands, baseline).num_samples == exact
    for n in (0, 1, 2):
        own, sizes = slice(n, n + 1), []

        def counting(images: Tensor, rows: Tensor, sizes: list[int] = sizes) -> Tensor:
            sizes.append(len(images))
            return score(images, rows)

        slic = kernel_shap_slic(num_samples=2, num_segments=12, compactness=1000)
        taken = slic.attribute(counting, explicands[own], baseline[own]).num_samples
        assert taken == 4 * (int(slic.segment_fn(explicands[own]).max()) + 1)
        assert sum(sizes) == taken + 2 <= slic.num_forwards(1, 9, 11) <= 4 * 25 + 2
    assert KernelShap(40, Bands()).num_forwards(3, 9, 11) == 3 * 42  # a function that does not say how many superpixels it makes
