"""Grid pointing against loops over cells."""

from __future__ import annotations

import pytest
import torch

from cocoa_pl.errors import DataError
from cocoa_pl.metrics import localisation
from cocoa_pl.metrics.grid_pointing import grid_hit, grid_pointing, half_preference, tile_grid

DRAW = torch.Generator().manual_seed(0)
GRID = (2, 3)
MAPS = torch.randn(12, 8, 15, generator=DRAW)
CELLS = torch.arange(12) % 6


def blocks(n: int) -> list[torch.Tensor]:
    return [MAPS[n, 4 * i : 4 * i + 4, 5 * j : 5 * j + 5] for i in range(2) for j in range(3)]


def test_tiles_lie_in_reading_order() -> None:
    images = torch.rand(2, 6, 3, 4, 5, generator=DRAW)
    grids = tile_grid(images, grid=GRID)
    assert grids.shape == (2, 3, 8, 15)
    for cell in range(6):
        top, left = 4 * (cell // 3), 5 * (cell % 3)
        assert torch.equal(grids[..., top : top + 4, left : left + 5], images[:, cell])
    with pytest.raises(DataError, match=r"for a grid of 2 x 2: must be \(N, 4, C, H, W\)"):
        tile_grid(images, grid=(2, 2))


def test_share_of_the_positive_attribution_in_the_right_cell() -> None:
    expected = []
    for n in range(12):
        positive = [float(block.clamp_min(0).sum()) for block in blocks(n)]
        expected.append(positive[n % 6] / sum(positive))
    torch.testing.assert_close(grid_pointing(MAPS, CELLS, grid=GRID), torch.tensor(expected))
    torch.testing.assert_close(grid_pointing(MAPS * 1e-25, CELLS, grid=GRID), torch.tensor(expected))


def test_the_cell_with_the_largest_sum() -> None:
    largest = torch.tensor([max(range(6), key=lambda cell: float(blocks(n)[cell].sum())) for n in range(12)])
    hits = torch.stack([grid_hit(MAPS, torch.full((12,), cell), grid=GRID) for cell in range(6)])
    assert torch.equal(hits.argmax(0), largest)
    assert hits.sum(0).tolist() == [1.0] * 12
    assert len(largest.unique()) > 2


def test_chance_for_maps_that_prefer_no_cell() -> None:
    for maps in (torch.zeros(6, 8, 15), torch.full((6, 8, 15), -0.1)):
        assert grid_pointing(maps, CELLS[:6], grid=GRID).tolist() == pytest.approx([1 / 6] * 6)
    assert grid_hit(torch.ones(6, 8, 15), CELLS[:6], grid=GRID).tolist() == pytest.approx([1 / 6] * 6)


def test_half_preference_by_hand() -> None:
    maps = torch.tensor([[[1.0, 9.0, 0.0]], [[0.0, 9.0, 1.0]], [[1.0, 0.0, 1.0]], [[-3.0, 0.0, -4.0]]])
    assert half_preference(maps).tolist() == [1.0, 0.0, 0.5, 1.0]
    assert localisation.half_preference is half_preference


def test_pixels_that_a_border_cuts_belong_to_no_cell() -> None:
    maps = torch.tensor([[[1.0, 100.0, 2.0, 200.0, 5.0]]])  # thirds of five pixels: 1, then 3 (middle), then 5
    assert grid_pointing(maps, torch.tensor([1]), grid=(1, 3)).tolist() == [0.25]


@pytest.mark.parametrize(
    ("cells", "grid", "said"),
    [([0], (1, 2), "must be 12 numbers from 0 to 1"), ([6] * 12, GRID, "from 0 to 5"), ([0] * 12, (9, 1), "8 x 15 pixels: too many rows")],
)
def test_cells_that_are_not_there(cells: list[int], grid: tuple[int, int], said: str) -> None:
    with pytest.raises(DataError, match=said):
        grid_pointing(MAPS, torch.tensor(cells), grid=grid)
