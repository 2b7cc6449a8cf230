"""Answers on disk while the work goes on: one file a block and frame, each whole or not there, so that a kill costs one block at most."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch

from cocoa_pl.files import write_arrays, write_bytes
from cocoa_pl.types import Rows

_UNREADABLE = (OSError, ValueError, KeyError, EOFError, BadZipFile, zlib.error)


@dataclass(frozen=True)
class Parts:
    """The parts of an answer below a folder that is named by all that decides it.

    Args:
        root: ``<out>/.parts``.
        fingerprint: of encoders, question, pictures and options: parts of another question are never taken for these.
    """

    root: Path
    fingerprint: str

    @property
    def folder(self) -> Path:
        """Where the parts of this question are."""
        return self.root / self.fingerprint[:16]

    def path(self, frame: int, block: int) -> Path:
        """The file of a block in a frame."""
        return self.folder / str(frame) / f"{block:07d}.npz"

    def answered(self, frame: int) -> set[int]:
        """The blocks that have rows."""
        return {int(path.stem) for path in (self.folder / str(frame)).glob("[0-9]*.npz")}

    def finished(self, frame: int) -> set[int]:
        """The blocks that are done, those without a readable picture too."""
        return self.answered(frame) | {int(path.stem) for path in (self.folder / str(frame)).glob("[0-9]*.empty")}

    def write_empty(self, frame: int, block: int) -> None:
        """Note that a block has no picture that can be read. Raises OutputError where that cannot be."""
        write_bytes(self.path(frame, block).with_suffix(".empty"), b"")

    def write(self, frame: int, block: int, rows: Rows) -> None:
        """Store a block. Raises OutputError where that cannot be."""
        write_arrays(self.path(frame, block), {name: values.numpy() for name, values in rows.items()})

    def read(self, frame: int, block: int, names: Iterable[str] | None = None) -> Rows:
        """A block, or some of its columns."""
        with self.path(frame, block).open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return {name: torch.from_numpy(file[name]) for name in (file.files if names is None else names) if name in file.files}

    def damaged(self, frame: int) -> set[int]:
        """The blocks that cannot be read, such as a failing disk leaves behind, or that are gone again."""
        found = set()
        for block in self.answered(frame):
            try:
                self.read(frame, block, ["picture"])
            except (*_UNREADABLE, FileNotFoundError):
                found.add(block)
        return found

    def drop(self, blocks: Sequence[Iterable[int]]) -> None:
        """Remove some blocks of each frame."""
        for frame, some in enumerate(blocks):
            for block in some:
                self.path(frame, block).unlink(missing_ok=True)

    def drop_others(self) -> None:
        """Remove the parts of other questions."""
        for other in self.root.iterdir() if self.root.is_dir() else ():
            if other != self.folder:
                shutil.rmtree(other, ignore_errors=True)
