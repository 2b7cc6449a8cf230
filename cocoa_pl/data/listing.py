"""What names on a command line stand for: files, folders, globs, images of the data set, lists from standard input.

No torch and no picture is opened here: a hundred thousand names take a second.
"""

from __future__ import annotations

import functools
import glob
import logging
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple, TextIO

from cocoa_pl.errors import DataError
from cocoa_pl.formats import EXTENSIONS

_LOG = logging.getLogger(__name__)
_OF_DATA_SET = re.compile(r"(train|val):(.*)", re.DOTALL)
_RANGE = re.compile(r"([0-9]{1,15})(?:-([0-9]{1,15}))?")


class Drawn(NamedTuple):
    """An image of the data set."""

    split: str
    id: int

    def __str__(self) -> str:
        return f"{self.split}:{self.id}"


Entry = str | Drawn
"""The path of a file, or an image of the data set."""


def list_entries(
    items: Iterable[str], *, sizes: Mapping[str, int] | None = None, what: str = "--input", stdin: TextIO | None = None
) -> list[Entry]:
    """Everything that is named, in the order given and each of them once, found out by where links lead.

    Args:
        items: as ``inputs.load_pictures`` takes them.
        sizes: number of images in ``train`` and ``val`` of the data set; None where there is none.
        what: the option that named them, for messages.
        stdin: read instead of standard input.

    Raises:
        DataError: a path that does not exist, a folder or a glob without pictures, images that the data set does not have, an empty list.
    """
    found: dict[str, Entry] = {}  # by what they really are
    real = functools.cache(os.path.realpath)
    for item in _lines(items, what, stdin):
        for entry in _named(item, sizes, what):
            found.setdefault(_identity(entry, real) if isinstance(entry, str) else str(entry), entry)
    if not found:
        raise DataError(
            f"{what}: no picture is named; give files, folders, globs, train:IDS or val:IDS, or - for a list from standard input"
        )
    return list(found.values())


def of_data_set(item: str) -> tuple[str, str] | None:
    """The split and the IDS of an item such as ``val:0,5,7-20``; None for any other.

    Example:
        >>> of_data_set("val:0,7-9"), of_data_set("photos/")
        (('val', '0,7-9'), None)
    """
    match = _OF_DATA_SET.fullmatch(item)
    return None if match is None else (match[1], match[2])


def id_ranges(item: str, what: str) -> list[range] | None:
    """What the IDS of an item of the data set say; None for all of them.

    Raises:
        DataError: they are no numbers or ranges of numbers.

    Example:
        >>> id_ranges("val:0,7-9", "--input")
        [range(0, 1), range(7, 10)]
    """
    split, text = of_data_set(item) or ("val", "")
    if text == "all":
        return None
    ranges = []
    for part in map(str.strip, text.split(",")):
        match = _RANGE.fullmatch(part)
        if match is None or (match[2] is not None and int(match[2]) < int(match[1])):
            raise DataError(f"{what} {item}: {part!r} is no image or range of images; it must be as in {split}:0,5,7-20 or {split}:all")
        ranges.append(range(int(match[1]), int(match[2] or match[1]) + 1))
    return ranges


def _lines(items: Iterable[str], what: str, stdin: TextIO | None) -> Iterator[str]:
    """The items, with those that standard input lists in the place of ``-``."""
    for item in items:
        if item != "-":
            yield item
            continue
        stream = sys.stdin if stdin is None else stdin
        if stream is None or stream.isatty():
            raise DataError(
                f"{what} -: reads a list from standard input, which is a terminal; as in: find photos -name '*.jpg' | ... {what} -"
            )
        count = 0
        try:
            for line in map(str.strip, stream):
                if line and not line.startswith("#"):
                    if line == "-":
                        raise DataError(f"{what} -: the list holds a line '-'; it must hold files, folders, globs, train:IDS or val:IDS")
                    count += 1
                    yield line
        except UnicodeDecodeError as error:
            raise DataError(f"{what} -: standard input is no text in {error.encoding}; it must be a list of paths, one a line") from error
        if count == 0:
            raise DataError(f"{what} -: standard input is empty; it must be a list of paths, one a line")


def _named(item: str, sizes: Mapping[str, int] | None, what: str) -> Iterable[Entry]:
    """What one item stands for; what exists under its name comes first."""
    try:
        mode = os.stat(item).st_mode
    except (OSError, ValueError):
        mode = 0
    if stat.S_ISREG(mode):
        return [item]
    if stat.S_ISDIR(mode):
        return _in_folder(item, what)
    if mode:
        raise DataError(f"{what} {item}: is neither a file nor a folder")
    if of_data_set(item) is not None:
        return _drawn(item, sizes, what)
    if glob.has_magic(item):
        return _matching(item, what)
    raise DataError(f"{what} {item}: no such file or folder")


def _drawn(item: str, sizes: Mapping[str, int] | None, what: str) -> Iterator[Drawn]:
    """Images of the data set."""
    if sizes is None:
        raise DataError(f"{what} {item}: no data set is known; say which by data.name=... and data.root=...")
    split, num = item.partition(":")[0], sizes[item.partition(":")[0]]
    ranges = id_ranges(item, what)
    for part in ranges or ():
        if part[-1] >= num:
            raise DataError(f"{what} {item}: there is no image {max(part[0], num)}; {split} has {num}, numbered from 0")
    return (Drawn(split, index) for part in ([range(num)] if ranges is None else ranges) for index in part)


def _in_folder(folder: str, what: str) -> list[str]:
    others: list[str] = []
    paths = list(_walk("" if folder == "." else folder, set(), others))
    return _pictures(paths, others, f"{what} {folder}: holds no picture", ", there or in subfolders")


def _matching(pattern: str, what: str) -> list[str]:
    """The files that match, in the order of a folder's."""
    files = sorted((path for path in glob.iglob(pattern, recursive=True) if os.path.isfile(path)), key=lambda path: path.split(os.sep))
    paths = [path for path in files if path.lower().endswith(EXTENSIONS)]
    others = [path for path in files if not path.lower().endswith(EXTENSIONS)]
    return _pictures(paths, others, f"{what} {pattern}: matches no picture", "")


def _pictures(paths: list[str], others: list[str], problem: str, where: str) -> list[str]:
    if others:
        _LOG.info("%d files are no pictures by their extension, for example %s", len(others), others[0])
    if not paths:
        found = f"{len(others)} other files, for example {others[0]}" if others else "no file at all"
        raise DataError(f"{problem} ({found}); expected files ending in {', '.join(EXTENSIONS)}{where}")
    return paths


def _walk(folder: str, visited: set[str], others: list[str]) -> Iterator[str]:
    """Picture files in alphabetical order, as ``image_folder.list_pictures`` has it; links are followed, hidden files are not looked at."""
    real = os.path.realpath(folder)
    if real in visited:
        return  # a link to what has been listed
    visited.add(real)
    try:
        with os.scandir(folder or ".") as entries:
            inside = sorted((entry.name, _is_folder(entry)) for entry in entries if not entry.name.startswith("."))
    except OSError as error:
        _LOG.warning("%s cannot be listed: %s", folder, error.strerror or error)
        return
    for name, is_folder in inside:
        path = os.path.join(folder, name)
        if is_folder:
            yield from _walk(path, visited, others)
        elif name.lower().endswith(EXTENSIONS):
            yield path
        else:
            others.append(path)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _identity(path: str, real: Callable[[str], str]) -> str:
    """The path without links; as most files are none, their folder is resolved once for all of them."""
    folder, name = os.path.split(path)
    return real(path) if os.path.islink(path) else os.path.join(real(folder), name)
