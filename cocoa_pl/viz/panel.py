"""One panel, a picture and its map, and how pixels become larger: by whole factors, each pixel an exact square."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from cocoa_pl.viz.box import Box
from cocoa_pl.viz.colour import Floats, Pixels


@dataclass(frozen=True, eq=False)
class Panel:
    """What one panel of a sheet shows; raises ValueError where picture and map do not fit each other."""

    image: Pixels
    """(H, W, 3) uint8, the picture as the encoder saw it, before normalisation."""
    attribution: Floats
    """(H, W), signed."""
    caption: str = ""
    """Usually the name of the view."""
    score: float | None = None
    """The scalar explained, written under the panel."""
    flag: str = ""
    """A short warning such as ``flat``."""
    held_out: bool = False
    """Whether the view is one that training never used."""
    box: Box | None = None
    """Drawn on the map, in pixels of the image."""

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[-1] != 3 or self.image.dtype != np.uint8:
            raise ValueError(f"a panel's image must be (H, W, 3) uint8, got {self.image.shape} {self.image.dtype}")
        if self.attribution.shape != self.image.shape[:2]:
            raise ValueError(f"a panel's attribution must be {self.image.shape[:2]} like its image, got {self.attribution.shape}")


def tile_width(native: int, *, room: float) -> int:
    """The width at which a picture ``native`` pixels wide is shown: a whole multiple near the room there is.

    Pictures of up to twice the room are never made smaller; larger ones shrink by a whole factor.

    Example:
        >>> [tile_width(native, room=160) for native in (28, 32, 64, 224, 1000)]
        [168, 160, 128, 224, 250]
    """
    if native <= 2 * room:
        return native * max(1, round(room / native))
    return -(-native // int(-(-native // (2 * room))))


def resize(pixels: Pixels, *, width: int) -> Image.Image:
    """Pixels (H, W, 3) at most ``width`` wide: repeated by the largest whole factor that fits, or averaged by the smallest.

    Example:
        >>> resize(np.zeros((2, 3, 3), dtype=np.uint8), width=10).size
        (9, 6)
    """
    native = pixels.shape[1]
    if native > width:
        return Image.fromarray(pixels).reduce(-(-native // width))
    factor = width // native
    return Image.fromarray(pixels.repeat(factor, axis=0).repeat(factor, axis=1))
