"""Files that are either whole or not there: each is written beside its place and moved into it."""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from PIL import Image

from cocoa_pl.errors import OutputError


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file so that it is never seen half-written, and a file that was there survives a failure.

    Raises:
        OutputError: no permission, no space, not a folder.
    """
    with part_of(path) as part:
        part.write(content)


@contextmanager
def part_of(path: Path) -> Iterator[BinaryIO]:
    """A file to write into, which takes the place of ``path`` once it is complete on disk, and is removed where anything fails.

    Raises:
        OutputError: no permission, no space, not a folder.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        _remove(part)
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        _remove(part)
        raise


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """JSON with NaN and infinity as null, so that every reader takes it."""
    write_bytes(path, json.dumps(_finite(content), indent=2, ensure_ascii=False).encode() + b"\n")


def png_bytes(image: Image.Image) -> bytes:
    """A PNG as bytes; compressed as far as takes hardly any time."""
    return bytes(_buffer(lambda file: image.save(file, format="PNG", compress_level=3)))


def write_png(path: Path, image: Image.Image) -> None:
    """A PNG."""
    write_bytes(path, png_bytes(image))


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Named arrays as one compressed npz."""
    write_bytes(path, _buffer(lambda file: np.savez_compressed(file, **arrays)))  # type: ignore[arg-type]


def write_checkpoint(path: Path, checkpoint: Mapping[str, Any]) -> None:
    """A checkpoint, as ``torch.save`` makes it."""
    write_bytes(path, _buffer(lambda file: torch.save(dict(checkpoint), file)))


@contextmanager
def fresh_folder(path: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of ``path`` once it is complete: nothing of an earlier answer stays in it.

    Raises:
        OutputError: it cannot be made or moved.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        yield part
        shutil.rmtree(path, ignore_errors=True)
        part.replace(path)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise OutputError(f"{path}: cannot be written ({error.strerror or error})") from error
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise


def require_folder(path: Path) -> Path:
    """Make a folder and see that it can be written to, before any work is done.

    Raises:
        OutputError: it cannot be made or written to.
    """
    probe = path / f".write-test-{os.getpid()}"
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise OutputError(f"{path}: cannot write into this folder ({error.strerror or error})") from error
    return path


def _buffer(write: Callable[[io.BytesIO], Any]) -> memoryview:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getbuffer()


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return  # the folder itself is gone or forbidden; the error that is being raised says so


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value
