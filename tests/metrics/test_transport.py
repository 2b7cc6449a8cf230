"""Transport distance against the exact linear programme, and against shifts whose distance is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import sparse, spatial, stats
from scipy.optimize import linprog
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.transport import transport_distance

DRAW = torch.Generator().manual_seed(0)


def exact(first: Tensor, second: Tensor) -> float:
    """Least cost over all transport plans between two maps (H, W)."""
    height, width = first.shape
    places = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1).reshape(-1, 2)
    p, q = (each.double().clamp_min(0).flatten().numpy() for each in (first, second))
    num = len(p)
    margins = sparse.vstack([sparse.kron(sparse.eye(num), np.ones((1, num))), sparse.kron(np.ones((1, num)), sparse.eye(num))])
    totals = np.concatenate([p / p.sum(), q / q.sum()])
    found = linprog(spatial.distance.cdist(places, places).ravel(), A_eq=margins.tocsr()[:-1], b_eq=totals[:-1], method="highs")
    return float(found.fun)


def bump(y: float, x: float, sd: float, *, size: int) -> Tensor:
    axis = torch.arange(size)
    return torch.exp(-((axis[:, None] - y) ** 2 + (axis - x) ** 2) / (2 * sd**2))[None]


@pytest.mark.parametrize("kind", ["noise", "peaked", "blobs"])
def test_close_to_the_exact_distance_and_never_below(kind: str) -> None:
    noise = [torch.randn(2, 7, 8, generator=DRAW) for _ in range(2)]
    first, second = {
        "noise": noise,
        "peaked": [(5 * each).exp() for each in noise],
        "blobs": [torch.cat([bump(2, 2, 1, size=8), bump(5, 3, 2, size=8)]), torch.cat([bump(4, 6, 1.5, size=8), bump(5.3, 3, 2, size=8)])],
    }[kind]
    expected = np.array([exact(a, b) for a, b in zip(first, second, strict=True)])
    ratio = transport_distance(first, second).numpy() / expected
    assert ((ratio > 1 - 1e-6) & (ratio < 1.02)).all(), ratio


def test_one_row_equals_scipy() -> None:
    first, second = torch.rand(2, 1, 1, 16, generator=DRAW)
    expected = stats.wasserstein_distance(range(16), range(16), first.flatten().numpy(), second.flatten().numpy())
    assert float(transport_distance(first, second)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("size", "down", "right"), [(16, 3, 0), (40, 0, -3), (40, 6, 8), (224, 3, 0), (224, -2, 2), (224, 0, 60)])
def test_a_blob_that_moves_is_as_far_as_it_moved_whatever_the_grid(size: int, down: int, right: int) -> None:
    far = (down**2 + right**2) ** 0.5
    blob = bump(size / 2.5, size / 3, size / 16, size=size)
    assert float(transport_distance(blob, bump(size / 2.5 + down, size / 3 + right, size / 16, size=size))) == pytest.approx(far, rel=0.08)


def test_what_two_maps_share_stays_and_scale_does_not_matter() -> None:
    maps = torch.randn(3, 20, 18, generator=DRAW)
    assert transport_distance(maps, 1e-20 * maps).abs().max() < 1e-6
    split = torch.zeros(1, 9, 9)
    split[0, 4, 0], moved = 3, torch.zeros(1, 9, 9)
    moved[0, 4, 0], moved[0, 4, 8] = 1, 1
    assert float(transport_distance(split, moved)) == pytest.approx(4, rel=1e-3)  # half of it moves by 8
    assert float(transport_distance(moved, split)) == pytest.approx(4, rel=1e-3)


def test_a_map_without_positive_values_is_spread_evenly() -> None:
    point, flat = torch.zeros(1, 5, 5), torch.zeros(1, 5, 5)
    point[0, 2, 2] = 1
    away = [((y - 2) ** 2 + (x - 2) ** 2) ** 0.5 for y in range(5) for x in range(5)]
    assert float(transport_distance(point, flat)) == pytest.approx(np.mean(away), rel=1e-3)
    assert transport_distance(flat, flat - 1).tolist() == [0]
    with pytest.raises(ConfigError, match="grid_size=1: must be at least 2"):
        transport_distance(flat, flat, grid_size=1)
