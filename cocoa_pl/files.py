"""Files that are either whole or not there: each is written beside its place and moved into it."""

from __future__ import annotations

import io
import json
import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import torch
from PIL import Image

from cocoa_pl.errors import OutputError

_CHUNK = 2**20


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
    part = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.part")  # processes of two machines may have one number
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
        _sync_folder(path.parent)
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
    """A checkpoint, as ``torch.save`` makes it, read back from the disk before it takes the place of an older one.

    Raises:
        OutputError: no permission, no space, or the disk gives back something else than was written; the older one stays.
    """
    with part_of(path) as part:
        summed = _SummedFile(part)
        try:
            torch.save(dict(checkpoint), cast(BinaryIO, summed))
        except RuntimeError:  # what torch makes of any error of a file
            if summed.error is not None:
                raise summed.error from None
            raise
        part.flush()
        os.fsync(part.fileno())
        if _sum_on_disk(Path(part.name)) != summed.crc:
            raise OutputError(f"{path}: what was written reads back differently; the disk or the memory is faulty")


def damage(archive: Path) -> str | None:
    """What is wrong with a file that ``torch.save`` made, by the checksum of every record, which ``torch.load`` does not look at.

    Example:
        >>> damage(Path("nowhere.ckpt"))
        'No such file or directory'
    """
    try:
        with zipfile.ZipFile(archive) as records:
            if any(record.compress_type != zipfile.ZIP_STORED for record in records.infolist()):
                return "holds compressed records, which torch.save never writes"
            bad = records.testzip()
        return None if bad is None else f"the checksum of record {bad} is wrong"
    except OSError as error:
        return error.strerror or str(error)
    except (zipfile.BadZipFile, RuntimeError, ValueError, EOFError, LookupError) as error:
        return str(error) or type(error).__name__


def remove_parts(folder: Path) -> None:
    """Remove what processes that were killed have left half-written in a folder."""
    for part in folder.rglob(".*.part"):
        if part.is_file():
            _remove(part)


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


class _SummedFile:
    """A file to write into that keeps the checksum of all it was given, and the first error."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.crc = 0
        self.error: OSError | None = None

    def write(self, data: bytes | memoryview) -> int:
        try:
            written = self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            raise
        self.crc = zlib.crc32(data, self.crc)
        return written

    def flush(self) -> None:
        self._file.flush()


def _sum_on_disk(path: Path) -> int:
    crc = 0
    with path.open("rb") as file:
        if hasattr(os, "posix_fadvise"):  # else the system would give back its own copy in memory
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := file.read(_CHUNK):
            crc = zlib.crc32(chunk, crc)
    return crc


def _sync_folder(folder: Path) -> None:
    """See that a move survives a power cut; some file systems know no such thing of folders."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


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
