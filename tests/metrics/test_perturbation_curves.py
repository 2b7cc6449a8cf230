"""Insertion and deletion against a loop over pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.metrics.intervals import t_interval
from cocoa_pl.metrics.perturbation import PerturbationCurves, perturbation_curves

DRAW = torch.Generator().manual_seed(0)
EXPLICANDS, BASELINE = (torch.rand(2, 3, 5, 7, generator=DRAW) for _ in range(2))
MAPS = torch.randn(2, 5, 7, generator=DRAW)
TIED = MAPS.round(decimals=0)
WEIGHTS = 0.2 * torch.randn(2, 3 * 5 * 7, generator=DRAW)


def measures(images: Tensor, rows: Tensor) -> Tensor:
    """Two measures, the second of which knows the explicand."""
    return torch.tanh(images.flatten(1) @ WEIGHTS.T) + torch.stack([torch.zeros(len(rows)), rows.float()], dim=1)


def slow_curve(maps: Tensor, n: int, *, num_steps: int, inserting: bool) -> np.ndarray:
    """Both measures (2, T + 1): pixels enter in groups of equal attribution, and the group at the edge in part."""
    x, b = EXPLICANDS[n].numpy(), BASELINE[n].numpy()
    groups: dict[float, list[tuple[int, int]]] = {}
    for y, row in enumerate(maps[n].tolist()):
        for c, level in enumerate(row):
            groups.setdefault(level, []).append((y, c))
    values = []
    for step in range(num_steps + 1):
        left, taken = step * 35 / num_steps, np.zeros((5, 7))
        for level in sorted(groups, reverse=True):
            for y, c in groups[level]:
                taken[y, c] = min(1, max(0, left / len(groups[level])))
            left -= len(groups[level])
        image = b + taken * (x - b) if inserting else x + taken * (b - x)
        values.append(measures(torch.tensor(image, dtype=torch.float32)[None], torch.tensor([n]))[0].numpy())
    return np.stack(values, 1)


@pytest.mark.parametrize("num_steps", [1, 6, 35, 50], ids=lambda steps: f"{steps} steps of 35 pixels")
@pytest.mark.parametrize("chunk_size", [5, 1000])
@pytest.mark.parametrize("maps", [MAPS, TIED], ids=["distinct", "tied"])
def test_curves_equal_a_loop_over_pixels(maps: Tensor, num_steps: int, chunk_size: int) -> None:
    curves = perturbation_curves(measures, EXPLICANDS, BASELINE, maps, num_steps=num_steps, chunk_size=chunk_size)
    shares = np.arange(num_steps + 1) / num_steps
    for n in range(2):
        insertion, deletion = (slow_curve(maps, n, num_steps=num_steps, inserting=flag) for flag in (True, False))
        np.testing.assert_allclose(curves.insertion[:, n].numpy(), insertion, atol=1e-5)
        np.testing.assert_allclose(curves.deletion[:, n].numpy(), deletion, atol=1e-5)
        areas = integrate.trapezoid(insertion, shares), integrate.trapezoid(deletion, shares)
        np.testing.assert_allclose(curves.insertion_auc[:, n].numpy(), areas[0], atol=1e-5)
        np.testing.assert_allclose(curves.deletion_auc[:, n].numpy(), areas[1], atol=1e-5)
        np.testing.assert_allclose(curves.gap[:, n].numpy(), areas[0] - areas[1], atol=1e-5)


def test_without_ties_the_images_hold_whole_pixels() -> None:
    seen = []

    def score(images: Tensor, rows: Tensor) -> Tensor:
        seen.append(((images == EXPLICANDS[rows]) | (images == BASELINE[rows])).all())
        return images.mean((1, 2, 3))[:, None]

    perturbation_curves(score, EXPLICANDS, BASELINE, MAPS, num_steps=7)
    assert all(seen)


@pytest.mark.parametrize("num_steps", [50, 16])
def test_a_step_costs_two_forwards_an_explicand_for_all_measures(num_steps: int) -> None:
    encoder = FrozenEncoder(nn.Conv2d(3, 4, 3))
    perturbation_curves(lambda x, rows: encoder(x), EXPLICANDS, BASELINE, MAPS, num_steps=num_steps, chunk_size=64)
    assert encoder.num_forwards == 2 * num_steps * len(EXPLICANDS)


def test_a_better_order_has_a_larger_gap_and_the_reverse_order_the_opposite_one() -> None:
    def brightness(images: Tensor, rows: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3))[:, None]

    order = EXPLICANDS.mean(dim=1)
    best, worst = (perturbation_curves(brightness, EXPLICANDS, 0 * BASELINE, o, num_steps=35).gap for o in (order, -order))
    assert (best > 0.05).all()
    torch.testing.assert_close(best, -worst, atol=1e-6, rtol=0)


def test_a_flat_map_has_no_gap_and_a_map_with_nan_has_none_to_show() -> None:
    flat = perturbation_curves(measures, EXPLICANDS, BASELINE, torch.full((2, 5, 7), 0.3), num_steps=50)
    torch.testing.assert_close(flat.insertion, flat.deletion.flip(-1), atol=1e-6, rtol=0)
    torch.testing.assert_close(flat.gap, torch.zeros(2, 2), atol=1e-6, rtol=0)
    assert (flat.insertion_auc - flat.insertion[..., 0]).abs().min() > 0.001
    broken = MAPS.clone()
    broken[0, 2, 2] = torch.nan
    curves = perturbation_curves(measures, EXPLICANDS, BASELINE, broken, num_steps=7)
    assert curves.insertion[:, 0].isnan().all()
    assert curves.gap[:, 0].isnan().all()
    sound = perturbation_curves(measures, EXPLICANDS, BASELINE, MAPS, num_steps=7)
    torch.testing.assert_close(curves.deletion[:, 1], sound.deletion[:, 1])


def test_a_random_order_has_no_gap_within_its_interval_on_a_residual_network() -> None:
    from cocoa_pl.models.backbones import SmallResNet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = FrozenEncoder(SmallResNet(width=4))
    images = torch.rand(1, 3, 16, 16, generator=DRAW).expand(60, -1, -1, -1)
    own = encoder.encode(images[:1])

    def similarity(x: Tensor, rows: Tensor) -> Tensor:
        return torch.cosine_similarity(encoder(x), own)[:, None]

    maps = torch.randn(60, 16, 16, generator=DRAW)
    random = perturbation_curves(similarity, images, torch.zeros_like(images), maps, num_steps=8)
    interval = t_interval(random.gap[0], confidence=0.999)
    assert interval.low < 0 < interval.high
    assert interval.high < 0.1 * float(random.insertion[0, 0, -1] - random.insertion[0, 0, 0])
    centre = -torch.linspace(-1, 1, 16).square()
    informed = perturbation_curves(similarity, images[:1], torch.zeros(1, 3, 16, 16), (centre[:, None] + centre)[None], num_steps=8)
    assert float(informed.gap) > interval.high  # the interval does tell a map that keeps pixels together


def test_areas_by_name() -> None:
    curves = perturbation_curves(measures, EXPLICANDS, BASELINE, MAPS, num_steps=5)
    areas = curves.areas(["own", "other"])
    assert list(areas) == [f"{area}/{name}" for area in ("insertion_auc", "deletion_auc", "gap") for name in ("own", "other")]
    assert torch.equal(areas["deletion_auc/other"], curves.deletion_auc[1])
    torch.testing.assert_close(areas["gap/own"], areas["insertion_auc/own"] - areas["deletion_auc/own"])
    assert isinstance(curves, PerturbationCurves)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="num_steps=0: must be at least 1"):
        perturbation_curves(measures, EXPLICANDS, BASELINE, MAPS, num_steps=0)
    with pytest.raises(DataError, match=r"attributions \(2, 7, 5\) of explicands \(2, 3, 5, 7\): must be \(2, 5, 7\)"):
        perturbation_curves(measures, EXPLICANDS, BASELINE, MAPS.mT)
