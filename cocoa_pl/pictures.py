"""Picture files of any common format, size and mode, read as RGB."""

from __future__ import annotations

import contextlib
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from cocoa_pl.errors import DataError

MAX_PIXELS = 2**27
"""Pictures of which more has to be decoded are refused beforehand: half a GiB. A JPEG is decoded no larger than it is needed."""

_LARGE_PIXELS = 2**24
_LARGE = threading.Lock()  # pictures with more pixels are decoded one at a time, however many threads read
_BAND_PIXELS = 2**20  # converted at once
_DECODE_ERRORS = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, struct.error, zlib.error,
    Image.DecompressionBombError, Image.DecompressionBombWarning,
)  # fmt: skip
_OPENERS: dict[bytes, Callable[[str | Path], Image.Image]] = {
    b"\xff\xd8\xff": JpegImageFile, b"\x89PNG": PngImageFile, b"II*\0": TiffImageFile, b"MM\0*": TiffImageFile,
}  # fmt: skip
_FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")  # nothing else is tried: of others, some start programs (EPS: Ghostscript)
if hasattr(os, "register_at_fork"):  # a loader's worker that is forked while a thread decodes would wait for that thread for ever
    os.register_at_fork(before=_LARGE.acquire, after_in_parent=_LARGE.release, after_in_child=_LARGE.release)


def read_picture(path: str | Path, *, max_size: int | None = None) -> Image.Image:
    """Read a file as RGB: upright by its EXIF orientation, transparency on white, the first frame of an animation.

    Args:
        path: the file.
        max_size: bound of the longer side; a larger picture is reduced.

    Raises:
        DataError: the file is missing, is no picture in JPEG, PNG, WebP, TIFF, GIF or BMP, is damaged or has more than ``MAX_PIXELS``
            pixels to decode; the message names it.
    """

    def bounded(image: Image.Image) -> Image.Image:
        if max_size is None or max(image.size) <= max_size:
            return image.copy()  # free of the file
        scale = max_size / max(image.size)
        return image.resize((max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS)

    return _read(path, draft_size=max_size, finish=bounded)


def read_square(path: str | Path, *, size: int) -> np.ndarray:
    """Read a file as :func:`to_square`: (size, size, 3) uint8. Raises as :func:`read_picture`."""
    return np.array(_read(path, draft_size=2 * size, finish=lambda image: to_square(image, size=size)))


def require_regular(path: str | Path) -> None:
    """Refuse pipes and devices: opening one waits for whoever writes into it, or never ends.

    Raises:
        DataError: the path leads to one.
        OSError: it leads nowhere.
    """
    mode = os.stat(path).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path} cannot be read: it is neither a file nor a folder")


def to_square(image: Image.Image, *, size: int) -> Image.Image:
    """The central square, resized to ``size``.

    This is a resize of the shorter side followed by a central crop, in the other order: however long a picture, no more than the square
    is ever enlarged.
    """
    side = min(image.size)
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return image.resize((size, size), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side))


def to_rgb(image: Image.Image) -> Image.Image:
    """Any mode to RGB: transparency on white, 16-bit grey by its full range. An image that is RGB already is returned as it is."""
    convert: Callable[[Image.Image], Image.Image]
    if image.mode.startswith("I") or image.mode == "F":
        convert = partial(_grey, top=_top(image))
    elif image.has_transparency_data:
        convert = _on_white
    elif image.mode == "RGB":
        return image
    else:
        convert = _opaque
    rgb = Image.new("RGB", image.size)
    for first, band in _bands(image):
        rgb.paste(convert(band), (0, first))
    return rgb


def _read(path: str | Path, *, draft_size: int | None, finish: Callable[[Image.Image], Image.Image]) -> Image.Image:
    try:
        with _open(path) as image:
            whole = image.size
            if draft_size is not None:
                image.draft(None, (draft_size, draft_size))  # JPEG only: decode at 1/2, 1/4 or 1/8, never below this size
            width, height = whole if image.info.get("progressive") else image.size  # a progressive one is held whole, whatever it becomes
            if width * height > MAX_PIXELS:
                raise DataError(f"{path} has {width} x {height} pixels; at most {MAX_PIXELS} are read: reduce it")
            with _LARGE if width * height > _LARGE_PIXELS else contextlib.nullcontext():
                image.load()
                _turn_upright(image)
                return finish(to_rgb(image))
    except UnidentifiedImageError as error:
        raise DataError(f"{path} cannot be read as a picture: it is none of {', '.join(_FORMATS)}, or damaged") from error
    except _DECODE_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path} cannot be read as a picture: {reason}") from error


def _open(path: str | Path) -> Image.Image:
    """``Image.open``, which warns of large pictures and refuses very large ones before a JPEG can be asked for less."""
    require_regular(path)
    with Path(path).open("rb") as file:
        start = file.read(4)
    opener = next((opener for magic, opener in _OPENERS.items() if start.startswith(magic)), None)
    return Image.open(path, formats=_FORMATS) if opener is None else opener(path)


def _turn_upright(image: Image.Image) -> None:
    """By the EXIF orientation; metadata that cannot be read says nothing, and the picture stays as it is."""
    with contextlib.suppress(*_DECODE_ERRORS, UserWarning):
        ImageOps.exif_transpose(image, in_place=True)


def _bands(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """Rows of an image, from top to bottom: conversions take several times the memory of what they convert."""
    rows = max(1, _BAND_PIXELS // image.width)
    for first in range(0, image.height, rows):
        yield first, image.crop((0, first, image.width, min(first + rows, image.height)))


def _opaque(image: Image.Image) -> Image.Image:
    return image.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, (255, 255, 255, 255)), rgba).convert("RGB")


def _top(image: Image.Image) -> float:
    """The value that is white: of 16-bit grey 65535, of others the smallest usual one that no pixel exceeds."""
    if image.mode.startswith("I;16"):
        return 65535.0
    values = (np.asarray(band) for _, band in _bands(image))
    high = max(float(np.max(each, initial=0, where=np.isfinite(each))) for each in values)
    return next((top for top in ((1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)) if high <= top), high)


def _grey(image: Image.Image, top: float) -> Image.Image:
    """Grey values of more than 8 bits as RGB; NaN is black, and the value that a PNG declares transparent is white."""
    levels = np.asarray(image).astype(np.float64)
    values = np.nan_to_num(levels / top * 255, posinf=255, neginf=0).clip(0, 255).round()
    if isinstance(see_through := image.info.get("transparency"), int):
        values[levels == see_through] = 255
    return Image.fromarray(values.astype(np.uint8)).convert("RGB")
