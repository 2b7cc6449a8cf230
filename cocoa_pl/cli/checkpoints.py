"""The checkpoints that ``--ckpt`` names."""

from __future__ import annotations

import glob
import re
from pathlib import Path

from cocoa_pl.cli.common import checkpoint_of
from cocoa_pl.errors import CheckpointError


def checkpoints_of(words: list[str], *, last_of_folder: bool) -> tuple[tuple[Path, ...], bool]:
    """The files that words name, and whether they are a run over time.

    Args:
        words: files, globs, folders of runs.
        last_of_folder: of a folder take ``last.ckpt`` alone, for one encoder is asked about; else all that it holds.

    Raises:
        CheckpointError: one is not there, or a glob or folder holds none.
    """
    files: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            found = sorted(path.glob("*.ckpt"), key=_natural)
            if path / "last.ckpt" in found and last_of_folder:
                found = [path / "last.ckpt"]
            if not found:
                raise CheckpointError(f"{path}: no such checkpoint; the folder holds no .ckpt file")
        elif not path.exists() and glob.has_magic(word):
            found = sorted((Path(name) for name in glob.glob(word, recursive=True) if Path(name).is_file()), key=_natural)
            if not found:
                raise CheckpointError(f"{word}: no file matches")
        else:
            found = [checkpoint_of(path)]
        files += [file for file in found if file not in files]
    return tuple(files), len(files) > 1


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key by which ``step10`` comes after ``step9``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", str(path))]
