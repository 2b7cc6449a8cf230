"""Picture files of any common format, size and mode, read as RGB."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from cocoa_pl.errors import DataError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
MAX_PIXELS = 89_478_485
"""Larger pictures are refused before they are decoded (Pillow's own bound against decompression bombs)."""

_DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip


def read_picture(path: str | Path, *, max_size: int | None = None) -> Image.Image:
    """Read a file as RGB: upright by its EXIF orientation, transparency on white, the first frame of an animation.

    Args:
        path: the file.
        max_size: bound of the longer side; a larger picture is reduced.

    Raises:
        DataError: the file is missing, is no picture, is damaged or holds more than ``MAX_PIXELS`` pixels; the message names it.
    """
    return _read(path, draft_size=max_size, max_size=max_size)


def read_square(path: str | Path, *, size: int) -> np.ndarray:
    """Read a file as the central square, resized to ``size``: (size, size, 3) uint8. Raises as :func:`read_picture`.

    This is a resize of the shorter side followed by a central crop, in the other order: however long a picture, no more than the square
    is ever enlarged.
    """
    image = _read(path, draft_size=2 * size, max_size=None)
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    resized = image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))
    return np.array(resized)


def _read(path: str | Path, *, draft_size: int | None, max_size: int | None) -> Image.Image:
    try:
        with Image.open(path) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"{path} has {image.width} x {image.height} pixels; at most {MAX_PIXELS} are read")
            if draft_size is not None:
                image.draft(None, (draft_size, draft_size))  # JPEG only: decode at 1/2, 1/4 or 1/8, never below this size
            image.load()
            upright = ImageOps.exif_transpose(image)
            rgb = to_rgb(upright)
    except _DECODE_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read as a picture: {reason}") from error
    if max_size is not None and max(rgb.size) > max_size:
        scale = max_size / max(rgb.size)
        rgb = rgb.resize((max(1, round(rgb.width * scale)), max(1, round(rgb.height * scale))), Image.Resampling.LANCZOS)
    return rgb


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency on white, 16-bit grey by its full range."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(_to_bytes(np.asarray(image), image.mode)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")
    return image.convert("RGB")


def _to_bytes(values: np.ndarray, mode: str) -> np.ndarray:
    """Grey values of more than 8 bits as bytes: 16-bit ones by their full range, others by the smallest range they fit into."""
    levels = values.astype(np.float64)
    top = 65535.0 if mode.startswith("I;16") else next((t for t in _tops(mode) if levels.max(initial=0) <= t), levels.max(initial=0))
    return np.asarray(np.nan_to_num(levels / top * 255, posinf=255, neginf=0).clip(0, 255).round(), dtype=np.uint8)


def _tops(mode: str) -> tuple[float, ...]:
    return (1.0, 255.0, 65535.0) if mode == "F" else (255.0, 65535.0)
