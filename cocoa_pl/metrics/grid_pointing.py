"""Grid pointing: several pictures in one, and one of them asked for. The right cell is known without any object mask.

After Boehle, Fritz & Schiele (CVPR 2021), who ask for one class in grids of pictures of different classes. Cells are numbered in reading
order. Chance is 1 / number of cells, which is also the value of a flat map.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.metrics.maps import precise, settle, unit_peak


def tile_grid(images: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Lay pictures side by side.

    Args:
        images: (N, rows * columns, C, H, W), the pictures of each grid in reading order.
        grid: rows and columns.

    Returns:
        (N, C, rows * H, columns * W).

    Raises:
        DataError: the number of pictures is not rows times columns.

    Example:
        >>> tile_grid(torch.arange(4.0).view(1, 4, 1, 1, 1), grid=(2, 2)).tolist()
        [[[[0.0, 1.0], [2.0, 3.0]]]]
    """
    rows, columns = grid
    if images.ndim != 5 or images.shape[1] != rows * columns:
        raise DataError(f"pictures {tuple(images.shape)} for a grid of {rows} x {columns}: must be (N, {rows * columns}, C, H, W)")
    num, _, channels, height, width = images.shape
    return images.view(num, rows, columns, channels, height, width).permute(0, 3, 1, 4, 2, 5).reshape(num, channels, rows * height, -1)


def grid_pointing(attributions: Tensor, cells: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Share of the positive attribution that lies in the right cell, in [0, 1]; (N, H, W) to (N,). Higher is better.

    Args:
        attributions: (N, H, W), signed; negative attribution counts for nothing.
        cells: (N,) int64, the right cell of each.
        grid: rows and columns.

    Raises:
        DataError: no such cell, or fewer pixels than cells.

    Example:
        >>> maps = torch.tensor([[[3.0, 1.0], [-9.0, 0.0]]])
        >>> float(grid_pointing(maps, torch.tensor([0]), grid=(2, 2)))
        0.75
    """
    sums = _cell_sums(unit_peak(attributions).clamp_min(0), cells, grid=grid)
    total = sums.sum(1)
    share = _chosen(sums, cells) / total.where(total > 0, 1)
    return settle(share.where(total > 0, 1 / sums.shape[1]), attributions)


def grid_hit(attributions: Tensor, cells: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """1 where the right cell has the largest sum of signed attribution, else 0; cells that tie share the 1. Higher is better.

    Arguments as in :func:`grid_pointing`; (N, H, W) to (N,).

    Example:
        >>> maps = torch.tensor([[[3.0, 1.0], [-9.0, 0.0]]]).expand(4, -1, -1)
        >>> grid_hit(maps, torch.arange(4), grid=(2, 2)).tolist()
        [1.0, 0.0, 0.0, 0.0]
    """
    sums = _cell_sums(precise(attributions), cells, grid=grid)
    largest = precise(sums == sums.amax(1, keepdim=True))
    return settle(_chosen(largest, cells) / largest.sum(1).clamp_min(1), attributions)


def half_preference(attributions: Tensor) -> Tensor:
    """Two-object test: 1 where the attribution's sum over the left half exceeds the right half's, .5 on a tie; (N, H, W) to (N,).

    :func:`grid_hit` of a grid of one row and two columns. The middle column of an odd width counts for neither half.
    """
    return grid_hit(attributions, torch.zeros(len(attributions), dtype=torch.int64, device=attributions.device), grid=(1, 2))


def _cell_sums(maps: Tensor, cells: Tensor, *, grid: tuple[int, int]) -> Tensor:
    """Sums of maps (N, H, W) over the cells, (N, rows * columns); pixels that a border cuts belong to no cell."""
    for size, parts, name in zip(maps.shape[-2:], grid, ("rows", "columns"), strict=True):
        if not 1 <= parts <= size:
            raise DataError(f"a grid of {grid[0]} x {grid[1]} on maps of {maps.shape[-2]} x {maps.shape[-1]} pixels: too many {name}")
    if len(cells) != len(maps) or bool(((cells < 0) | (cells >= grid[0] * grid[1])).any()):
        raise DataError(f"cells {cells.tolist()}: must be {len(maps)} numbers from 0 to {grid[0] * grid[1] - 1}")
    of_rows, of_columns = (_members(size, parts, like=maps) for size, parts in zip(maps.shape[-2:], grid, strict=True))
    return (of_rows @ maps @ of_columns.mT).flatten(1)


def _members(size: int, parts: int, *, like: Tensor) -> Tensor:
    """Which pixels lie in which part of an axis, (parts, size)."""
    pixel, part = (torch.arange(n, device=like.device) for n in (size, parts))
    start, stop = part * size, (part + 1) * size  # in units of 1 / parts of a pixel
    return ((pixel * parts >= start[:, None]) & ((pixel + 1) * parts <= stop[:, None])).to(like.dtype)


def _chosen(sums: Tensor, cells: Tensor) -> Tensor:
    return sums.gather(1, cells.to(sums.device)[:, None])[:, 0]
