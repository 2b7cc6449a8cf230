"""Representations kept from one question to the next, found again by the content of the pictures and of the encoder."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import json
import os
import re
import threading
import warnings
import zipfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import PIL
import torch
from torch import Tensor

from cocoa_pl.asking.cache_folder import default_cache_folder
from cocoa_pl.data.inputs import content_digest
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError, OutputError, some
from cocoa_pl.files import write_arrays
from cocoa_pl.pictures import require_regular
from cocoa_pl.streaming import automatic_chunk_size

__all__ = ["RepsCache", "content_digest", "default_cache_folder", "load_reps"]

_T = TypeVar("_T")
_FORMAT = 1  # to be raised when other pixels are made of the same file
_AT_ONCE = 256  # pictures in memory, and as many that are being read
_PIECE = 8  # pictures that a thread reads at a time
_MOST_THREADS = 8
_SHOWN = 20  # names of arrays
_LARGE_ARCHIVE, _MOST_UNFOLDED = 2**30, 100  # bytes, and times its length
_OURS = re.compile(r"\.?[0-9a-f]{64}\.npz(\.[0-9]+(-[0-9a-f]+)?\.part)?")  # parts: of processes that were killed
_WRITING = threading.Lock()  # threads that write one file at a time: their unfinished parts would have one name


class RepsCache:
    """Encodes pictures, or finds that it has been done: the result is the same to the bit.

    Args:
        folder: where representations are kept, one file a set of pictures; None keeps nothing.
        max_bytes: of the folder's files; what was not asked for the longest goes first.
    """

    def __init__(self, folder: Path | None, *, max_bytes: float = 2e9) -> None:
        self.folder, self.max_bytes, self._warned = folder, max_bytes, False

    def encode(
        self, encoder: FrozenEncoder, source: Source, ids: Sequence[int], *, fingerprint: str, chunk_size: int | None = None
    ) -> Tensor:  # fmt: skip
        """Representations (n, D) float32 of pictures ``ids`` on the encoder's device, with few pictures in memory at a time.

        Args:
            encoder: the encoder.
            source: where the pictures are.
            ids: n positions in it.
            fingerprint: of all that decides the encoder's output, its preprocessing included; empty: nothing is kept or found.
            chunk_size: images in one pass; None chooses by their size.

        Raises:
            DataError: no picture, one that cannot be read, or an encoder that cannot take them.
        """
        ids = [int(index) for index in ids]
        if not ids:
            raise DataError("no image to encode: the corpus, the foil or the explicands are empty")
        height, width = source.load(ids[:1]).shape[-2:]
        size = chunk_size or automatic_chunk_size(height, width, encoder.device)
        if self.folder is None or not fingerprint:
            return _encode(encoder, source, ids, size)
        settings = [_FORMAT, fingerprint, height, width, size, encoder.device.type, torch.__version__, PIL.__version__]
        key = _key(settings, source, ids)
        path = self.folder / key[:2] / f"{key}.npz"
        known = _read(path, key, len(ids))
        if known is not None:
            return known.to(encoder.device)
        reps = _encode(encoder, source, ids, size)
        self._write(path, key, reps)
        return reps

    def _write(self, path: Path, key: str, reps: Tensor) -> None:
        if reps.nbytes > self.max_bytes:
            return
        try:
            with _WRITING:
                write_arrays(path, {"key": np.array(key), "reps": reps.cpu().numpy()})
        except OutputError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f"representations are not kept for the next question: {error}", stacklevel=3)
            return
        self._remove_oldest()

    def _remove_oldest(self) -> None:
        assert self.folder is not None
        found: list[tuple[int, int, str]] = []
        for part in _scan(self.folder):
            for file in _scan(part.path) if len(part.name) == 2 else ():
                with contextlib.suppress(OSError):  # another process removed it
                    if _OURS.fullmatch(file.name):
                        found.append((file.stat().st_mtime_ns, file.stat().st_size, file.path))
        total = sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self.max_bytes:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
            total -= size


def load_reps(path: str | Path, key: str | None = None) -> Tensor:
    """A user's own representations (M, D) as float32, from an ``.npy``, or from an ``.npz`` by the name of the array.

    Nothing in the file is executed.

    Raises:
        DataError: a file that cannot be read, no such array or several without a name, other than finite floats (M, D).
    """
    where = str(path) if key is None else f"{path}#{key}"
    try:
        require_regular(path)
        _check_archive(path)
        with open(path, "rb") as file:  # numpy leaves it open where it is damaged
            array = _chosen(np.load(file, allow_pickle=False), path, key)
    except DataError:
        raise
    except Exception as error:  # whatever a damaged file makes numpy raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{where} cannot be read as an array of numbers: {reason}") from error
    return _checked(array, where)


def _check_archive(path: str | Path) -> None:
    """Refuse an archive that would unfold to far more than its length, as representations do not."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unfolded = sum(record.file_size for record in archive.infolist())
    if unfolded > _LARGE_ARCHIVE and unfolded > _MOST_UNFOLDED * os.path.getsize(path):
        raise DataError(f"{path}: unfolds to {unfolded} bytes from {os.path.getsize(path)}, as no representations do; not opened")


def _chosen(content: Any, path: str | Path, key: str | None) -> Any:
    """The array of a file, or the one of this name."""
    if isinstance(content, np.ndarray):
        if key is not None:
            raise DataError(f"{path}#{key}: the file holds one array, which has no name; leave out #{key}")
        return content
    names = list(content.files)
    shown = some(names, most=_SHOWN) or "none"
    if key is None and len(names) != 1:
        raise DataError(f"{path}: holds {len(names)} arrays; say which by {path}#NAME: {shown}")
    if key is not None and key not in names:
        raise DataError(f"{path}#{key}: no such array; the file holds: {shown}")
    return content[names[0] if key is None else key]


def _checked(array: Any, where: str) -> Tensor:
    wanted = "it must hold representations (M, D), one a row, as floats"
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f" or array.ndim != 2 or array.size == 0:
        raise DataError(f"{where}: {getattr(array, 'shape', '')} of {getattr(array, 'dtype', 'bytes')}; {wanted}")
    with np.errstate(over="ignore"):
        reps = torch.from_numpy(np.ascontiguousarray(array, dtype=np.float32))
    finite = torch.isfinite(reps).all(dim=1)
    if not bool(finite.all()):
        wrong = int((~finite).sum())
        raise DataError(f"{where}: {wrong} of {len(reps)} rows hold NaN, infinite values or such as float32 does not reach; {wanted}")
    return reps


def _encode(encoder: FrozenEncoder, source: Source, ids: Sequence[int], size: int) -> Tensor:
    """In blocks of whole passes, so that passes are those of all pictures together."""
    block = max(1, _AT_ONCE // size) * size
    parts = (ids[first : first + block] for first in range(0, len(ids), block))
    return torch.cat([encoder.encode(torch.cat(images), chunk_size=size) for images in _in_threads(source.load, parts)])


def _key(settings: Sequence[object], source: Source, ids: Sequence[int]) -> str:
    def digests(part: Sequence[int]) -> list[str]:
        return [content_digest(source, index) for index in part]

    whole = hashlib.sha256(json.dumps(settings).encode())
    parts = (ids[first : first + _AT_ONCE] for first in range(0, len(ids), _AT_ONCE))
    for each in itertools.chain.from_iterable(_in_threads(digests, parts)):
        whole.update("".join(each).encode())
    return whole.hexdigest()


def _in_threads(fn: Callable[[Sequence[int]], _T], parts: Iterator[Sequence[int]]) -> Iterator[list[_T]]:
    """What ``fn`` makes of each part's pieces, in order, while the next part is being worked on."""
    with ThreadPoolExecutor(min(_MOST_THREADS, os.cpu_count() or 1)) as pool:
        ahead: deque[list[Future[_T]]] = deque()
        try:
            for part in parts:
                ahead.append([pool.submit(fn, part[first : first + _PIECE]) for first in range(0, len(part), _PIECE)])
                if len(ahead) > 1:
                    yield [future.result() for future in ahead.popleft()]
            while ahead:
                yield [future.result() for future in ahead.popleft()]
        finally:
            pool.shutdown(cancel_futures=True)  # after a failure nothing else is wanted


def _read(path: Path, key: str, num: int) -> Tensor | None:
    """What a file of ours holds; None for any other."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as content:
            reps = content["reps"] if str(content["key"]) == key else np.empty(0)
    except Exception:  # not there, damaged or foreign: it is made again, and says nothing that the user has to know
        return None
    if reps.dtype != np.float32 or reps.ndim != 2 or len(reps) != num:
        return None
    with contextlib.suppress(OSError):
        os.utime(path)  # asked for now; access times are not kept everywhere
    return torch.from_numpy(reps)


def _scan(folder: Path | str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:  # no folder
        return []
