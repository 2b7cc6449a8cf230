"""A region of the picture that a user watches, from a few numbers or from a painted mask."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.pictures import read_picture

_WHITE = 128


def parse_region(text: str, *, height: int, width: int) -> Tensor:
    """A box or a painted mask as pixels of the picture, the square that the encoder sees.

    Args:
        text: ``x0,y0,x1,y1``, left, top, right and bottom as shares of the picture, or the path of a picture, white where it is watched.
        height: H, in pixels.
        width: W.

    Returns:
        (H, W) bool: the pixels whose centre lies in the box, or the nearest ones of the mask, stretched to H x W.

    Raises:
        ConfigError: neither a box nor a file, or a box that is out of range or holds no pixel.
        DataError: a file that cannot be read, or a mask without any white, or without anything else.

    Example:
        >>> parse_region("0.5,0,1,0.5", height=2, width=4).int().tolist()
        [[0, 0, 1, 1], [0, 0, 0, 0]]
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return _mask(Path(text), height, width)
    return _box(text, numbers, height, width)


def _box(text: str, numbers: list[float], height: int, width: int) -> Tensor:
    if len(numbers) != 4:
        raise ConfigError(f"region {text}: must be four numbers x0,y0,x1,y1, got {len(numbers)}")
    x0, y0, x1, y1 = numbers
    if not (0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1):
        raise ConfigError(f"region {text}: must be x0,y0,x1,y1 with 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, shares of the picture")
    (rows, columns) = ((torch.arange(side, dtype=torch.float64) + 0.5) / side for side in (height, width))
    region = ((rows >= y0) & (rows < y1))[:, None] & ((columns >= x0) & (columns < x1))
    if not bool(region.any()):
        raise ConfigError(f"region {text}: holds the centre of no pixel of {height} x {width}; make it larger")
    if bool(region.all()):
        raise ConfigError(f"region {text}: is the whole picture of {height} x {width} pixels; leave something to compare it with")
    return region


def _mask(path: Path, height: int, width: int) -> Tensor:
    if not path.is_file():
        raise ConfigError(f"region {path}: neither four numbers x0,y0,x1,y1 nor a file")
    grey = read_picture(path).convert("L").resize((width, height), Image.Resampling.NEAREST)
    region = torch.from_numpy(np.asarray(grey) >= _WHITE)
    if not bool(region.any()):
        raise DataError(f"region {path}: no pixel of {height} x {width} is white; paint white what is to be watched")
    if bool(region.all()):
        raise DataError(f"region {path}: white everywhere (transparent counts as white); paint black what is not to be watched")
    return region
