"""Results that are kept by what they were computed from, so that a study that was stopped goes on, and nothing is computed twice.

A cell is a file named by a hash of everything that decides its content: the encoder, the pictures themselves, methods, options and seeds.
Whoever changes one of them gets another cell; whoever repeats a study gets the old one.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.data.source import Source
from cocoa_pl.files import write_arrays
from cocoa_pl.types import Removal

_VERSION = 1  # of what a cell holds; a newer program does not read older cells
_NUM_ENTRIES = slice(-12, -10)  # of a zip archive, where its end says how many entries it has
_PICTURES = 256  # loaded at once


class Cells:
    """A folder of cells.

    Args:
        folder: where they lie; None keeps nothing.

    Example:
        >>> cells = Cells(None)
        >>> cells.of(["a name", 3], lambda: {"x": torch.ones(2)})["x"].tolist(), cells.has(["a name", 3])
        ([1.0, 1.0], False)
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def has(self, key: Sequence[object]) -> bool:
        """Whether a cell is there."""
        return self._folder is not None and self._path(key).is_file()

    def of(self, key: Sequence[object], compute: Callable[[], Mapping[str, Tensor]]) -> dict[str, Tensor]:
        """The content of a cell, on the CPU, computed unless it is there; one that cannot be read is computed anew."""
        if self._folder is not None and (stored := _read(self._path(key))) is not None:
            return stored
        made = {name: values.detach().cpu() for name, values in compute().items()}
        if self._folder is not None:
            write_arrays(self._path(key), {name: np.asarray(values) for name, values in made.items()})
        return made

    def _path(self, key: Sequence[object]) -> Path:
        assert self._folder is not None
        text = "\n".join(map(str, (_VERSION, *key)))
        return self._folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npz"


def _read(path: Path) -> dict[str, Tensor] | None:
    """A cell's content; None where it is not there or damaged, as by a disk that was full."""
    try:
        content = path.read_bytes()
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            found = {name: torch.from_numpy(file[name]) for name in file.files}
    except (OSError, ValueError, KeyError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error):  # RuntimeError: flags say encrypted
        return None
    return found if len(found) == int.from_bytes(content[_NUM_ENTRIES], "little") else None  # a reader of archives does not count


def described(removal: Removal) -> str:
    """A removal with its options, and with a hash of the pictures that it may draw from."""
    pool = getattr(removal, "pool", None)
    drawn = hashlib.sha256(pool.cpu().contiguous().numpy().tobytes()).hexdigest() if isinstance(pool, Tensor) else ""
    return f"{removal!r}{f' of {drawn}' if drawn else ''}"


def digest(source: Source, ids: Tensor) -> str:
    """A hash of pictures as they are loaded, ids (n,) or (L, M), and of their labels."""
    found = hashlib.sha256(str(tuple(ids.shape)).encode())
    for some in torch.split(ids.flatten(), _PICTURES):
        found.update(source.load(some.tolist()).contiguous().numpy().tobytes())
    if source.labels is not None:
        found.update(source.labels[ids.flatten()].numpy().tobytes())
    return found.hexdigest()
