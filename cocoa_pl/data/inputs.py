"""The user's own pictures, as one source, however they are named."""

from __future__ import annotations

import functools
import hashlib
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.data.image_folder import FolderSource
from cocoa_pl.data.listing import Drawn, Entry, list_entries
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import DataError
from cocoa_pl.pictures import read_picture, read_square, require_regular, to_square


class PictureSource(Source):
    """Pictures from anywhere, unlabelled; no file is opened before it is asked for.

    Args:
        entries: paths of files, and images of the data set; no two the same.
        image_size: side S of the squares that ``load`` gives.
        splits: the data set that images are drawn from.
        max_picture_size: bound of the longer side of what ``picture`` gives.
    """

    def __init__(
        self, entries: Sequence[Entry], *, image_size: int, splits: Splits | None = None, max_picture_size: int = 1024
    ) -> None:  # fmt: skip
        assert splits is not None or all(isinstance(entry, str) for entry in entries)
        self.labels, self.class_names = None, ()
        self.image_size, self.max_picture_size = image_size, max_picture_size
        self._entries, self._splits = entries, splits

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def paths(self) -> list[Path]:
        """Of the pictures that are files."""
        return [Path(entry) for entry in self._entries if isinstance(entry, str)]

    def load(self, ids: Sequence[int]) -> Tensor:
        """Central squares (B, 3, S, S) uint8.

        Raises:
            DataError: a file cannot be read; the message names it.
        """
        squares = [self._square(self._entries[i]) for i in ids]
        return torch.stack(squares) if squares else torch.empty(0, 3, self.image_size, self.image_size, dtype=torch.uint8)

    def picture(self, index: int) -> Image.Image:
        """The whole picture, upright, RGB. Raises as :meth:`load`."""
        entry = self._entries[index]
        return read_picture(entry, max_size=self.max_picture_size) if isinstance(entry, str) else self._from(entry).picture(entry.id)

    def name(self, index: int) -> str:
        """The file's name, with as many folders before it as make it the only picture of this name."""
        return self._names[index]

    def file(self, index: int) -> str:
        """The path as it was given, or ``val:5``."""
        return str(self._entries[index])

    def digest(self, index: int) -> str:
        """SHA-256 of the picture's content in hexadecimal digits. Raises as :meth:`load`."""
        entry = self._entries[index]
        return _file_digest(entry) if isinstance(entry, str) else content_digest(self._from(entry), entry.id)

    def _square(self, entry: Entry) -> Tensor:
        if isinstance(entry, str):
            return _channels_first(read_square(entry, size=self.image_size))
        image = self._from(entry).load([entry.id])[0]
        if image.shape[-2:] == (self.image_size, self.image_size):
            return image
        return _channels_first(np.array(to_square(self._from(entry).picture(entry.id), size=self.image_size)))

    def _from(self, entry: Drawn) -> Source:
        assert self._splits is not None
        return self._splits.train if entry.split == "train" else self._splits.val

    @functools.cached_property
    def _names(self) -> list[str]:
        def parts(index: int) -> list[str]:
            entry = self._entries[index]
            return (
                os.path.abspath(entry).strip(os.sep).split(os.sep)
                if isinstance(entry, str)
                else [str(entry).replace(":", " "), last(entry)]
            )

        def last(entry: Entry) -> str:
            return os.path.basename(entry) if isinstance(entry, str) else self._from(entry).name(entry.id)

        return _unique([last(entry) for entry in self._entries], parts)


def load_pictures(
    items: Sequence[str | Path], *, size: int, splits: Splits | None = None, what: str = "--input", stdin: TextIO | None = None
) -> PictureSource:  # fmt: skip
    """Pictures as one unlabelled source, in the order given and each of them once.

    Args:
        items: picture files; folders, searched with their subfolders; globs, ``**`` for any subfolders; ``train:IDS`` or ``val:IDS``,
            images of the data set, with IDS such as ``0,5,7-20`` or ``all``; ``-`` for one of these a line from standard input, where empty
            lines and those that begin with ``#`` say nothing. What exists under such a name is what is meant.
        size: side of the squares that the encoder sees.
        splits: the data set, where there is one.
        what: the option that named them, for messages.
        stdin: read instead of standard input.

    Raises:
        DataError: a path that does not exist, a folder or a glob without pictures, images that the data set does not have, an empty list. A
            file that cannot be read is named when it is loaded.
    """
    sizes = None if splits is None else {"train": len(splits.train), "val": len(splits.val)}
    entries = list_entries([str(item) for item in items], sizes=sizes, what=what, stdin=stdin)
    return PictureSource(entries, image_size=size, splits=splits)


def content_digest(source: Source, index: int) -> str:
    """What identifies a picture's content: SHA-256 of its file where that is known, else of its pixels.

    Example:
        >>> from cocoa_pl.data.source import MemorySource
        >>> source = MemorySource(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
        >>> content_digest(source, 0) == content_digest(source, 1) == hashlib.sha256(bytes(48)).hexdigest()
        True
    """
    own: Callable[[int], str] | None = getattr(source, "digest", None)
    if own is not None:
        return own(index)
    if isinstance(source, FolderSource):
        return _file_digest(source.paths[index])
    return hashlib.sha256(source.load([index]).contiguous().numpy().data).hexdigest()


def _file_digest(path: str | Path) -> str:
    try:
        require_regular(path)
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error


def _unique(names: list[str], parts: Callable[[int], list[str]]) -> list[str]:
    """Names that several share are told apart by the folders they lie in, as few as it takes.

    Example:
        >>> _unique(["x.jpg", "x.jpg", "y.jpg"], [["a", "x.jpg"], ["b", "x.jpg"], ["b", "y.jpg"]].__getitem__)
        ['a/x.jpg', 'b/x.jpg', 'y.jpg']
    """
    names, depth = list(names), 1
    while True:
        count, depth = Counter(names), depth + 1
        shared = [i for i, name in enumerate(names) if count[name] > 1]
        if not any(len(parts(i)) >= depth for i in shared):
            break
        for i in shared:
            names[i] = "/".join(parts(i)[-depth:])
    for number, i in enumerate(shared, start=1):  # links may lead to several files by what looks like one path
        names[i] = f"{names[i]} ({number})"
    return names


def _channels_first(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
