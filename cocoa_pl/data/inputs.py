"""The user's own pictures, named on the command line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cocoa_pl.data.image_folder import FolderSource, Listing, list_pictures
from cocoa_pl.errors import DataError


def load_pictures(paths: Sequence[str | Path], *, size: int) -> FolderSource:
    """Files and folders as one unlabelled source, in the order given; folders are searched with their subfolders.

    Args:
        paths: what was named.
        size: side of the squares that the encoder sees.

    Raises:
        DataError: a path that does not exist, or a folder without pictures. A file that cannot be read is named when it is loaded.
    """
    files: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            files += list_pictures(path, labelled=False).paths
        elif path.is_file():
            files.append(path)
        else:
            raise DataError(f"--input {path}: no such file or folder")
    return FolderSource(Listing(files, None, ()), image_size=size)
