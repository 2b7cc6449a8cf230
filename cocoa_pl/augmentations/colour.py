"""Colour changes as one affine map a picture: x -> matrix @ x + offset, so that any chain of them costs one small matrix product.

Brightness, contrast and saturation are the blends of torchvision's ``ColorJitter``; hue is a rotation about the grey axis in YIQ space,
which unlike a shift in HSV is linear and keeps the luminance. Nothing is clamped between the steps, only after the last one.

Shape legend: B pictures, 3 channels, H x W pixels; all parameters are (B,).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the grey value, as torchvision has them (ITU-R 601)."""

_YIQ = ((0.299, 0.587, 0.114), (0.595716, -0.274453, -0.321263), (0.211456, -0.522591, 0.311135))


class ColourMap(NamedTuple):
    """An affine map of colours, one a picture."""

    matrix: Tensor  # (B, 3, 3)
    offset: Tensor  # (B, 3)


class JitterParams(NamedTuple):
    """Factors (B,): 1 leaves brightness, contrast and saturation alone, 0 leaves hue alone; hue is in turns."""

    brightness: Tensor
    contrast: Tensor
    saturation: Tensor
    hue: Tensor


def jitter_params(draw: Tensor, *, strengths: tuple[float, float, float, float]) -> JitterParams:
    """Factors uniform in [max(0, 1 - s), 1 + s] and hue uniform in [-s, s], from uniform numbers (B, 4)."""
    low = torch.tensor([max(0.0, 1 - s) for s in strengths[:3]] + [-strengths[3]], device=draw.device)
    high = torch.tensor([1 + s for s in strengths[:3]] + [strengths[3]], device=draw.device)
    return JitterParams(*(low + draw * (high - low)).unbind(1))


def jitter_map(images: Tensor, params: JitterParams) -> ColourMap:
    """Brightness, contrast, saturation and hue, in this order, as one map.

    Args:
        images: (B, 3, H, W), whose mean grey value is the fixed point of the contrast.
        params: factors (B,).
    """
    luma = images.new_tensor(LUMA)
    mean_grey = images.mean(dim=(2, 3)) @ luma
    eye = torch.eye(3, device=images.device, dtype=images.dtype)
    saturation = params.saturation[:, None, None]
    saturate = saturation * eye + (1 - saturation) * luma.expand(3, 3)
    gain = (params.brightness * params.contrast)[:, None, None]
    # saturation and hue leave greys as they are, so the contrast's grey offset passes through both
    offset = (1 - params.contrast) * params.brightness * mean_grey
    return ColourMap(gain * (hue_matrix(params.hue) @ saturate), offset[:, None].expand(-1, 3))


def hue_matrix(turns: Tensor) -> Tensor:
    """Rotation (B, 3, 3) of RGB colours about the grey axis in YIQ space by ``turns`` (B,), one turn being the full circle."""
    to_yiq = turns.new_tensor(_YIQ)
    angle = 2 * torch.pi * turns
    rotate = torch.zeros(len(turns), 3, 3, device=turns.device, dtype=turns.dtype)
    rotate[:, 0, 0] = 1
    rotate[:, 1, 1] = rotate[:, 2, 2] = angle.cos()
    rotate[:, 1, 2], rotate[:, 2, 1] = -angle.sin(), angle.sin()
    back: Tensor = torch.linalg.inv(to_yiq.cpu()).to(turns.device)
    return back @ rotate @ to_yiq


def identity_map(num: int, *, like: Tensor) -> ColourMap:
    """The map that changes nothing, ``num`` times."""
    return ColourMap(torch.eye(3, device=like.device, dtype=like.dtype).repeat(num, 1, 1), like.new_zeros(num, 3))


def grayscale_after(colours: ColourMap) -> ColourMap:
    """``colours`` followed by the grey value in all three channels."""
    luma = colours.matrix.new_tensor(LUMA)
    matrix, offset = luma @ colours.matrix, colours.offset @ luma
    return ColourMap(matrix[:, None, :].expand(-1, 3, -1), offset[:, None].expand(-1, 3))


def choose(chosen: Tensor, yes: ColourMap, no: ColourMap) -> ColourMap:
    """Rows of ``yes`` where ``chosen`` (B,) is true, rows of ``no`` elsewhere."""
    return ColourMap(torch.where(chosen[:, None, None], yes.matrix, no.matrix), torch.where(chosen[:, None], yes.offset, no.offset))


def recolour(images: Tensor, colours: ColourMap) -> Tensor:
    """Apply one map a picture to images (B, 3, H, W) and clamp to [0, 1]."""
    flat = torch.baddbmm(colours.offset[:, :, None], colours.matrix, images.flatten(2))
    return flat.clamp_(0, 1).view_as(images)
