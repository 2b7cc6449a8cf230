"""The views under which pictures are explained, most of which training never makes, and the way back from a view to the picture.

A view has two parts. ``theta`` is its geometry, a matrix (2, 3) in the convention of ``torch.nn.functional.affine_grid``: it says where in
the picture (x, y in [-1, 1]) each place of the view comes from. ``paint`` changes pixels where they are. The parameters are a function of
(seed, name of the view, image id).

Flips and quarter turns move pixels and never interpolate: they equal ``torch.flip`` and ``torch.rot90`` bit by bit.

Shape legend: N pictures, 3 channels, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.augmentations import colour
from cocoa_pl.augmentations.device import affine, crop_window
from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.rng import counter_uniform, derive_seed

_CROP_AREA = (0.2, 0.5)
_ERASE_AREA = (0.10, 0.25)
_RATIO = (3 / 4, 4 / 3)
_JITTER_STRENGTHS = (0.8, 0.8, 0.8, 0.2)
_NUM_DRAWS = 8


class Painted(NamedTuple):
    """Pictures after the photometric part, and which of their pixels still show the picture."""

    images: Tensor  # (N, 3, H, W)
    valid: Tensor  # (N, H, W) bool


class ViewResult(NamedTuple):
    """Views of N pictures."""

    images: Tensor  # (N, 3, H, W) float in [0, 1]
    theta: Tensor  # (N, 2, 3), to be handed to warp and unwarp
    valid: Tensor  # (N, H, W) bool, false on pixels of the view that were erased


@dataclass(frozen=True)
class HeldOutView:
    """Geometry and colour of a view, both from uniform numbers (N, 8)."""

    theta: Callable[[Tensor], Tensor]
    paint: Callable[[Tensor, Tensor], Painted]


def _fixed(matrix: list[list[float]]) -> Callable[[Tensor], Tensor]:
    return lambda draw: torch.tensor(matrix, dtype=torch.float32, device=draw.device).repeat(len(draw), 1, 1)


def _crop(draw: Tensor) -> Tensor:
    scale, place = crop_window(draw[:, :4], area=_CROP_AREA, ratio=_RATIO)
    return affine(scale[:, 0], scale[:, 1], place)


def _crop_flip(draw: Tensor) -> Tensor:
    scale, place = crop_window(draw[:, :4], area=_CROP_AREA, ratio=_RATIO)
    return affine(-scale[:, 0], scale[:, 1], place)


def _unpainted(images: Tensor, draw: Tensor) -> Painted:
    return Painted(images, _everywhere(images))


def _grayscale(images: Tensor, draw: Tensor) -> Painted:
    grey = colour.grayscale_after(colour.identity_map(len(images), like=images))
    return Painted(colour.recolour(images, grey), _everywhere(images))


def _jitter(images: Tensor, draw: Tensor) -> Painted:
    params = colour.jitter_params(draw[:, 4:8], strengths=_JITTER_STRENGTHS)
    return Painted(colour.recolour(images, colour.jitter_map(images, params)), _everywhere(images))


def _erase(images: Tensor, draw: Tensor) -> Painted:
    """Fill a rectangle with the picture's mean colour."""
    height, width = images.shape[-2:]
    scale, place = crop_window(draw[:, :4], area=_ERASE_AREA, ratio=_RATIO)
    sides = (scale * scale.new_tensor([width, height])).round()
    first = ((place + 1) / 2 * scale.new_tensor([width, height]) - sides / 2).round()
    inside_x, inside_y = (
        (axis >= first[:, i, None]) & (axis < (first + sides)[:, i, None])
        for i, axis in enumerate((torch.arange(width, device=images.device), torch.arange(height, device=images.device)))
    )
    gone = inside_y[:, :, None] & inside_x[:, None, :]
    mean = images.mean(dim=(2, 3), keepdim=True)
    return Painted(torch.where(gone[:, None], mean, images), ~gone)


def _everywhere(images: Tensor) -> Tensor:
    return torch.ones(len(images), *images.shape[-2:], dtype=torch.bool, device=images.device)


_STAY = _fixed([[1, 0, 0], [0, 1, 0]])
VIEWS: dict[str, HeldOutView] = {
    "original": HeldOutView(_STAY, _unpainted),
    "flip": HeldOutView(_fixed([[-1, 0, 0], [0, 1, 0]]), _unpainted),
    "crop": HeldOutView(_crop, _unpainted),
    "crop_flip": HeldOutView(_crop_flip, _unpainted),
    "grayscale": HeldOutView(_STAY, _grayscale),
    "jitter": HeldOutView(_STAY, _jitter),
    "erase": HeldOutView(_STAY, _erase),
    "rotate90": HeldOutView(_fixed([[0, -1, 0], [1, 0, 0]]), _unpainted),
}


def make_view(name: str, images: Tensor, *, ids: Tensor, seed: int) -> ViewResult:
    """Make the view ``name`` of every picture.

    Args:
        name: a key of ``VIEWS``.
        images: (N, 3, H, W) float in [0, 1].
        ids: (N,) int64; the parameters of a view are a function of (seed, name, id).
        seed: seed of the explain set.

    Raises:
        ConfigError: no view has this name.
    """
    if name not in VIEWS:
        raise ConfigError(f"unknown view {name!r}; {choices_hint(name, VIEWS)}")
    view = VIEWS[name]
    draw = counter_uniform(derive_seed(seed, "held_out", name), ids.to(images.device), num=_NUM_DRAWS)
    theta = view.theta(draw)
    painted = view.paint(warp(images, theta), draw)
    return ViewResult(painted.images, theta, painted.valid)


def warp(maps: Tensor, theta: Tensor) -> Tensor:
    """Apply a view's geometry to pictures, attributions or masks.

    Args:
        maps: (N, ..., H, W), float or bool; bool is interpolated and cut at one half.
        theta: (N, 2, 3).

    Returns:
        The same shape and type. Values are sampled, not integrated: a crop does not conserve a map's sum.

    Raises:
        ValueError: maps of another type or without batch and two axes of pixels, or a quarter turn of maps that are not square.
    """
    if maps.ndim < 3 or not (maps.dtype == torch.bool or maps.is_floating_point()):
        raise ValueError(f"maps must be float or bool of shape (N, ..., H, W), got {maps.dtype} of shape {tuple(maps.shape)}")
    if maps.dtype == torch.bool:
        return warp(maps.to(theta.dtype), theta) >= 0.5
    theta = theta.to(maps.dtype)
    out = torch.empty_like(maps)
    exact = torch.isin(theta, theta.new_tensor([-1, 0, 1])).flatten(1).all(1) & (theta[:, :, 2] == 0).all(1)
    for matrix in torch.unique(theta[exact], dim=0):
        rows = (theta == matrix).flatten(1).all(1)
        out[rows] = _move_pixels(maps[rows], matrix)
    if not bool(exact.all()):
        flat = maps[~exact].flatten(1, -3) if maps.ndim > 3 else maps[~exact][:, None]
        grid = F.affine_grid(theta[~exact], list(flat.shape), align_corners=False)
        moved = F.grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=False)
        out[~exact] = moved.view(-1, *maps.shape[1:])
    return out


def unwarp(maps: Tensor, theta: Tensor) -> tuple[Tensor, Tensor]:
    """Bring maps of a view back into the frame of the picture.

    Args:
        maps: (N, ..., H, W), made on the view.
        theta: (N, 2, 3), the view's geometry.

    Returns:
        Maps (N, ..., H, W) in the picture's frame, zero where the view does not show the picture, and the valid area (N, H, W) bool.
    """
    back = invert(theta)
    grid = F.affine_grid(back, [len(maps), 1, *maps.shape[-2:]], align_corners=False)
    valid = (grid.abs() <= 1).all(dim=-1)
    shown = valid.view(len(maps), *[1] * (maps.ndim - 3), *maps.shape[-2:])
    restored = warp(maps, back)
    return torch.where(shown, restored, torch.zeros_like(restored)), valid


def unwarp_shown(maps: Tensor, theta: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """Bring maps of a view back into the frame of the picture, where they can be compared with the picture's own pixel by pixel.

    Args:
        maps: (N, H, W) floats, made on the view.
        theta: (N, 2, 3), the view's geometry.
        valid: (N, H, W) bool, the view's pixels that were not erased.

    Returns:
        The maps, zero where the view has nothing to say, and where it has, both (N, H, W). A pixel counts if the view shows it and nothing
        that it is interpolated from was erased.
    """
    restored, shown = unwarp(torch.stack([maps, (~valid).to(maps)], dim=1), theta.to(maps.device))
    shown &= restored[:, 1] == 0  # a mean with positive weights: zero only where all pixels under it are valid
    return restored[:, 0].masked_fill(~shown, 0), shown


def invert(theta: Tensor) -> Tensor:
    """The way back (N, 2, 3) of an affine map (N, 2, 3); signs and zeros of flips and quarter turns stay exact."""
    a, b, c, d = theta[:, 0, 0], theta[:, 0, 1], theta[:, 1, 0], theta[:, 1, 1]
    determinant = (a * d - b * c)[:, None, None]
    linear = torch.stack([torch.stack([d, -b], 1), torch.stack([-c, a], 1)], 1) / determinant
    return torch.cat([linear, -linear @ theta[:, :, 2:]], dim=2)


def _move_pixels(maps: Tensor, matrix: Tensor) -> Tensor:
    """Flips and quarter turns of maps (n, ..., H, W), exactly; ``matrix`` (2, 3) holds 1, 0 and -1 only."""
    (a, b, _), (c, d, _) = matrix.tolist()
    if a * d - b * c == 0:
        raise ValueError(f"theta {matrix.tolist()} is singular")
    if b and maps.shape[-1] != maps.shape[-2]:
        raise ValueError(f"a quarter turn needs square maps, got {maps.shape[-2]} x {maps.shape[-1]}")
    if b:  # transposed: a place (x, y) of the view comes from (b * y, c * x)
        return _flip(maps, along_x=b < 0, along_y=c < 0).transpose(-1, -2)
    return _flip(maps, along_x=a < 0, along_y=d < 0)


def _flip(maps: Tensor, *, along_x: bool, along_y: bool) -> Tensor:
    dims = [dim for dim, flipped in ((-1, along_x), (-2, along_y)) if flipped]
    return maps.flip(dims) if dims else maps
