"""``scenes``: real handwritten digits on cluttered backgrounds, with exact object masks; embedded, generated in about a second.

Training and validation images share no digit (see ``data.digits``). Each scene is a function of (seed, split, index).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.data.digits import MASK_THRESHOLD, clutter, digits, placed
from cocoa_pl.data.source import MemorySource
from cocoa_pl.rng import counter_uniform, derive_seed

CLASS_NAMES = tuple(str(digit) for digit in range(10))
_PATCH_COLOURS = torch.tensor(
    [
        [0.90, 0.10, 0.10], [0.10, 0.75, 0.20], [0.15, 0.25, 0.95], [0.95, 0.85, 0.10], [0.85, 0.15, 0.85],
        [0.10, 0.85, 0.85], [0.98, 0.55, 0.10], [0.50, 0.25, 0.05], [0.98, 0.98, 0.98], [0.03, 0.03, 0.03],
    ]
)  # fmt: skip


@dataclass(frozen=True)
class ScenesOptions:
    """How scenes look; sizes in pixels."""

    image_size: int = 32
    num_objects: int = 1
    background: float = 0.08
    shortcut: float | None = None
    shortcut_size: int = 5


def scenes(*, num_images: int, split: str, seed: int, options: ScenesOptions | None = None) -> MemorySource:
    """Generate a split of scenes.

    Args:
        num_images: how many.
        split: ``train`` or ``val``; the two share no digit.
        seed: scenes are a function of (seed, split, index).
        options: size, number of objects, background strength and shortcut.

    Returns:
        Images (n, 3, S, S) uint8, labels (n,) of the first object, masks (n, S, S) of the first object, and, with a shortcut, patches
        (n, S, S).

    With a ``shortcut`` p, a small square patch is drawn in every image, away from no object in particular. Its colour is that of the class
    with probability p and of a class drawn at random otherwise, so that p = 0 is the control in which the patch says nothing.
    """
    options = options or ScenesOptions()
    ids = torch.arange(num_images)
    draw = counter_uniform(derive_seed(seed, "scenes", split), ids, num=64)
    pool, pool_labels = digits(split)
    size = options.image_size
    canvas, noise_level = _background(draw[:, :32], ids, size, seed=derive_seed(seed, "noise", split), strength=options.background)
    labels = masks = None
    for k in range(options.num_objects):
        own = draw[:, 32 + 12 * k : 44 + 12 * k]
        which = (own[:, 0] * len(pool)).long()
        alpha = _place(pool[which], own[:, 1:4], size, slot=k if options.num_objects > 1 else None)
        canvas = canvas + alpha[:, None] * (_object_colour(own[:, 4:8], canvas)[:, :, None, None] - canvas)
        if k == 0:
            labels, masks = pool_labels[which], alpha > MASK_THRESHOLD
        elif masks is not None:
            masks &= alpha <= MASK_THRESHOLD
    assert labels is not None
    assert masks is not None
    patches = None
    if options.shortcut is not None:
        canvas, patches = _add_patch(canvas, labels, draw[:, 56:61], options)
        masks &= ~patches
    canvas = (canvas + noise_level).clamp(0, 1)
    return MemorySource((canvas * 255).round().to(torch.uint8), labels=labels, class_names=CLASS_NAMES, masks=masks, patches=patches)


def _place(chosen: Tensor, draw: Tensor, size: int, slot: int | None) -> Tensor:
    """Enlarge each digit to its own size, put it at its own place; returns opacity (n, S, S)."""
    low, high = (18.0, 28.0) if slot is None else (12.0, 16.0)
    unit = size / 32
    extent = (low + draw[:, 0] * (high - low)) * unit
    half_x, half_y = size / 2, size / 2
    room_x = half_x - extent / 2 if slot is None else size / 4 - extent / 2
    x = (2 * draw[:, 1] - 1) * room_x.clamp_min(0) + (0 if slot is None else (2 * slot - 1) * size / 4)
    y = (2 * draw[:, 2] - 1) * (half_y - extent / 2)
    return placed(chosen, extent=extent, x=x, y=y, size=size)


def _background(draw: Tensor, ids: Tensor, size: int, *, seed: int, strength: float) -> tuple[Tensor, Tensor]:
    """Base colour plus low-frequency noise (n, 3, S, S), and the pixel noise to be added last."""
    light = (draw[:, 3:4] < 0.5).float()
    base = 0.05 + 0.42 * draw[:, :3] + 0.48 * light  # dark or light, so that the digit always stands out
    low, fine = clutter(ids, size, seed=seed, strength=strength)
    return base[:, :, None, None] + low, fine


def _object_colour(draw: Tensor, canvas: Tensor) -> Tensor:
    """A light or a dark colour (n, 3), whichever stands out against the background."""
    dark_background = canvas.mean(dim=(1, 2, 3)) < 0.5
    tint = 0.2 * draw[:, 1:4]
    return torch.where(dark_background[:, None], 1 - tint, tint)


def _add_patch(canvas: Tensor, labels: Tensor, draw: Tensor, options: ScenesOptions) -> tuple[Tensor, Tensor]:
    """Draw the shortcut patch; returns the images and the patch masks (n, S, S)."""
    assert options.shortcut is not None
    size, side = options.image_size, options.shortcut_size
    agrees = draw[:, 0] < options.shortcut
    colour = _PATCH_COLOURS[torch.where(agrees, labels, (draw[:, 1] * 10).long())]
    top, left = ((draw[:, i] * (size - side + 1)).long() for i in (2, 3))
    axis = torch.arange(size)
    rows = (axis >= top[:, None]) & (axis < top[:, None] + side)
    cols = (axis >= left[:, None]) & (axis < left[:, None] + side)
    patch = rows[:, :, None] & cols[:, None, :]
    return torch.where(patch[:, None], colour[:, :, None, None], canvas), patch
