"""Pictures and maps as files inside a page, small and shown by any browser, with or without scripts.

A map becomes a PNG whose palette holds the colours of :mod:`cocoa_pl.viz`: pixel ``127 + l`` stands for the attribution ``l / 127`` of the
scale, and is as opaque as there. So a page lays it over the grey picture, fades it, and still knows the number under the pointer.
"""

from __future__ import annotations

import base64
import io
import math
import struct
import zlib
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from cocoa_pl.report.findings import Floats, Pixels
from cocoa_pl.viz import overlay, signed_colours

TOP = 127  # levels of either sign; a level of that size is at the scale or beyond
UNKNOWN = 255  # pixel of a map that is not finite
_SIDES = (96, 192)
_RAW_BUDGET = 10_000_000  # pixels of all maps together: what a page may weigh where maps are noise, which nothing makes smaller
OPACITY_POWER = 0.6  # as in cocoa_pl.viz.overlay; a test compares


def side_for(num_maps: int) -> int:
    """The longest side of a picture in a page with that many maps.

    Example:
        >>> [side_for(count) for count in (1, 100, 400, 5000)]
        [192, 192, 152, 96]
    """
    fair = int(math.sqrt(_RAW_BUDGET / max(1, num_maps))) // 8 * 8
    return min(max(fair, _SIDES[0]), _SIDES[1])


def reduced(height: int, width: int, *, side: int) -> tuple[int, int]:
    """Height and width of the same shape, neither longer than ``side``.

    Example:
        >>> reduced(224, 448, side=192), reduced(28, 28, side=192)
        ((96, 192), (28, 28))
    """
    factor = min(1.0, side / max(height, width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def levels(attribution: Floats, *, scale: float, side: int) -> Pixels:
    """A map (H, W) as pixels of the palette, averaged over areas where it is larger than ``side``.

    Example:
        >>> levels(np.array([[-2.0, 0.5, 0.0, np.nan]], dtype=np.float32), scale=1.0, side=192).tolist()
        [[0, 191, 127, 255]]
    """
    height, width = reduced(*attribution.shape, side=side)
    small = np.array(Image.fromarray(attribution.astype(np.float32)).resize((width, height), Image.Resampling.BOX))
    known = ~np.isnan(small)
    ratio = np.clip(np.where(known, small, 0.0) / scale, -1.0, 1.0) if scale > 0 else np.zeros_like(small)
    return np.where(known, np.rint(ratio * TOP) + TOP, UNKNOWN).astype(np.uint8)


def map_file(pixels: Pixels) -> str:
    """Pixels of :func:`levels` as a PNG, as an address.

    Rows are stored as they are or as differences to the row above, whichever is smaller: noise wants the one, smooth maps the other.
    """
    plain = zlib.compress(_rows(0, pixels), 6)
    differences = zlib.compress(_rows(2, np.diff(pixels, axis=0, prepend=np.uint8(0))), 6)
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 8, 3, 0, 0, 0)
    body = _chunk(b"IHDR", head) + _palette() + _chunk(b"IDAT", min(plain, differences, key=len)) + _chunk(b"IEND", b"")
    return address("png", b"\x89PNG\r\n\x1a\n" + body)


def picture_files(image: Pixels, *, side: int) -> tuple[str, str]:
    """A picture (H, W, 3) and the grey one that lies under its maps, as addresses."""
    height, width = reduced(*image.shape[:2], side=side)
    small = np.array(Image.fromarray(image).resize((width, height), Image.Resampling.BOX))
    grey = overlay(small, np.zeros(small.shape[:2]), scale=0.0)[..., 0]
    return _smaller(Image.fromarray(small)), _smaller(Image.fromarray(grey))


def colour_stops() -> str:
    """The colours from -scale to +scale, as CSS has them."""
    colours = signed_colours(np.linspace(-1.0, 1.0, 33)[None], scale=1.0)[0]
    return ",".join(f"rgb({red} {green} {blue})" for red, green, blue in colours.tolist())


def address(kind: str, content: bytes | memoryview) -> str:
    """A picture file as an address that needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _smaller(image: Image.Image) -> str:
    """As JPEG, or as PNG where that is smaller: drawings and small pictures."""
    jpeg, png = io.BytesIO(), io.BytesIO()
    image.save(jpeg, format="JPEG", quality=85, optimize=True)
    image.save(png, format="PNG", compress_level=6)
    return address("png", png.getbuffer()) if png.tell() <= jpeg.tell() else address("jpeg", jpeg.getbuffer())


def _rows(how: int, pixels: NDArray[np.uint8]) -> bytes:
    return np.pad(pixels, ((0, 0), (1, 0)), constant_values=how).tobytes()


@lru_cache(maxsize=1)
def _palette() -> bytes:
    """Chunks of 255 colours and opacities; the last pixel value stands for no number and shows nothing."""
    ratio = np.arange(-TOP, TOP + 1) / TOP
    colours = np.vstack([signed_colours(ratio[None], scale=1.0)[0], np.zeros((1, 3), dtype=np.uint8)])
    opacity = np.append(np.rint(255 * np.abs(ratio) ** OPACITY_POWER), 0).astype(np.uint8)
    return _chunk(b"PLTE", colours.tobytes()) + _chunk(b"tRNS", opacity.tobytes())


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
