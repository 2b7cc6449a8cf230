"""A folder of pictures as a dataset: class subfolders, or a flat folder without labels; with or without ``train/`` and ``val/``."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits, make_splits, subset
from cocoa_pl.errors import DataError, choices_hint
from cocoa_pl.formats import EXTENSIONS
from cocoa_pl.pictures import read_picture, read_square
from cocoa_pl.rng import generator

_LOG = logging.getLogger(__name__)
_MAX_NAMED = 20
_CHECK_SIZE = 32  # side at which a file is decoded to find out whether it can be

ON_BAD_IMAGE = ("error", "skip")


class Listing(NamedTuple):
    """Picture files in a fixed order, with labels where the folders tell classes."""

    paths: list[Path]
    labels: Tensor | None  # (n,) int64
    class_names: tuple[str, ...]


class FolderSource(Source):
    """Pictures on disk, decoded when they are asked for.

    Args:
        listing: the files, and labels where known.
        image_size: side S of the squares that ``load`` gives.
        max_picture_size: bound of the longer side of what ``picture`` gives.
    """

    def __init__(self, listing: Listing, *, image_size: int, max_picture_size: int = 1024) -> None:
        self.paths, self.labels, self.class_names = listing
        self.image_size, self.max_picture_size = image_size, max_picture_size

    def __len__(self) -> int:
        return len(self.paths)

    def load(self, ids: Sequence[int]) -> Tensor:
        """Central squares (B, 3, S, S) uint8.

        Raises:
            DataError: a file cannot be read; the message names it.
        """
        squares = [torch.from_numpy(read_square(self.paths[i], size=self.image_size)) for i in ids]
        empty = torch.empty(0, self.image_size, self.image_size, 3, dtype=torch.uint8)
        return (torch.stack(squares) if squares else empty).permute(0, 3, 1, 2).contiguous()

    def name(self, index: int) -> str:
        return self.paths[index].name

    def picture(self, index: int) -> Image.Image:
        """The whole picture, upright, RGB. Raises as :meth:`load`."""
        return read_picture(self.paths[index], max_size=self.max_picture_size)


def image_folder(
    root: str | Path,
    *,
    image_size: int = 224,
    val_fraction: float = 0.1,
    num_train: int | None = None,
    num_val: int | None = None,
    seed: int = 0,
    on_bad_image: str = "error",
    labelled: bool | None = None,
    max_picture_size: int = 1024,
) -> Splits:
    """Pictures below a folder, however they are arranged.

    Subfolders are classes when there are at least two of them and no picture lies beside them; anything else is one unlabelled
    collection, searched with all its subfolders. ``train/`` and ``val/`` below the root are the splits (ImageNet's layout); otherwise the
    validation images are drawn by seed, from every class alike.

    Args:
        root: the folder.
        image_size: side of the squares training works on.
        val_fraction: share of the pictures kept for validation where the folder has no ``val/``.
        num_train, num_val: take a random subset of this size.
        seed: the split and the subsets are a function of it and of the list of files.
        on_bad_image: ``error``: the first file that cannot be read stops everything, named, when its turn comes (the 2000 pictures of the
            channel statistics come first, so a small folder's training images are all looked at beforehand); ``skip``: every file is
            decoded once beforehand, and those that cannot be read are left out with a warning that names them.
        labelled: True: subfolders are classes; False: they are not; None: find out as described.
        max_picture_size: bound of the longer side where whole pictures are handed on (views made from PIL pictures, reports).

    Raises:
        DataError: the folder is missing, holds no or one picture, or holds one that cannot be read; an option is out of range.
    """
    root = Path(root)
    if on_bad_image not in ON_BAD_IMAGE:
        raise DataError(f"unknown on_bad_image {on_bad_image!r}; {choices_hint(on_bad_image, ON_BAD_IMAGE)}")
    if not 0 < val_fraction < 1:
        raise DataError(f"val_fraction is {val_fraction}; it must lie between 0 and 1")
    if not root.is_dir():
        raise DataError(f"{root} is not a folder; set data.root=FOLDER to one that holds pictures")
    if (root / "train").is_dir() and (root / "val").is_dir():
        train = _usable(list_pictures(root / "train", labelled=labelled), root / "train", on_bad_image)
        val = _usable(list_pictures(root / "val", labelled=labelled), root / "val", on_bad_image)
        val = _with_classes_of(train, val, root)
    elif (root / "train").is_dir() and any((root / name).is_dir() for name in ("test", "valid", "validation")):
        raise DataError(f"{root} has train/ but no val/; rename the folder of validation images to val, or point data.root at train/")
    else:
        everything = _usable(list_pictures(root, labelled=labelled), root, on_bad_image)
        train, val = _split(everything, root, val_fraction=val_fraction, seed=seed)
    train = _take(train, subset(len(train.paths), num_train, seed=seed, purpose="image_folder-train"))
    val = _take(val, subset(len(val.paths), num_val, seed=seed, purpose="image_folder-val"))
    sources = [FolderSource(part, image_size=image_size, max_picture_size=max_picture_size) for part in (train, val)]
    return make_splits(sources[0], sources[1], image_size=image_size, name=f"image_folder {root}")


def list_pictures(root: Path, *, labelled: bool | None = None) -> Listing:
    """All picture files below a folder, in alphabetical order, and the classes its subfolders stand for.

    Raises:
        DataError: there is none, or ``labelled`` asks for classes that the folder does not have.
    """
    paths, others = _walk(root)
    if others:
        _LOG.info("%s: %d files are no pictures by their extension, for example %s", root, len(others), others[0])
    if not paths:
        found = f"{len(others)} other files" if others else "an empty folder"
        raise DataError(f"{root} holds no picture ({found}); expected files ending in {', '.join(EXTENSIONS)}, there or in subfolders")
    tops = [path.relative_to(root).parts for path in paths]
    names = sorted({parts[0] for parts in tops if len(parts) > 1})
    beside = sum(len(parts) == 1 for parts in tops)
    if labelled and beside:
        stray = paths[tops.index(min(tops, key=len))]
        raise DataError(f"{root}: labelled is true, but {beside} pictures lie in no class subfolder, for example {stray}")
    if labelled or (labelled is None and beside == 0 and len(names) > 1):
        return Listing(paths, torch.tensor([names.index(parts[0]) for parts in tops]), tuple(names))
    return Listing(paths, None, ())


def split_ids(size: int, labels: Tensor | None, *, val_fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Positions of training and validation images, ascending; every class gives its share, and each split has at least one.

    Example:
        >>> train, val = split_ids(10, torch.tensor([0] * 5 + [1] * 5), val_fraction=0.2, seed=0)
        >>> len(train), [int((val < 5).sum()), int((val >= 5).sum())]
        (8, [1, 1])
    """
    assert size >= 2
    order = torch.randperm(size, generator=generator(seed, "image_folder", "split"))
    kinds = torch.zeros(size, dtype=torch.int64) if labels is None else labels
    classes = [order[kinds[order] == kind] for kind in range(int(kinds.max()) + 1)]
    chosen = torch.cat([rows[: round(val_fraction * len(rows))] for rows in classes])
    chosen = order[:1] if len(chosen) == 0 else chosen[: size - 1]
    in_val = torch.zeros(size, dtype=torch.bool)
    in_val[chosen] = True
    return (~in_val).nonzero()[:, 0], in_val.nonzero()[:, 0]


def _walk(root: Path) -> tuple[list[Path], list[Path]]:
    """Picture files and other files; links are followed, hidden files and folders are not looked at."""
    pictures: list[Path] = []
    others: list[Path] = []
    visited: set[str] = set()
    for folder, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = [] if real in visited else sorted(name for name in folders if not name.startswith("."))
        if real in visited:
            _LOG.warning("%s is a link to %s, which has been listed already", folder, real)
            continue
        visited.add(real)
        for name in files:
            if not name.startswith("."):
                (pictures if name.lower().endswith(EXTENSIONS) else others).append(Path(folder) / name)
    return sorted(pictures), sorted(others)


def _usable(listing: Listing, root: Path, on_bad_image: str) -> Listing:
    """The listing without the files that cannot be read, where it is allowed to leave them out."""
    if on_bad_image == "error":
        return listing
    with ThreadPoolExecutor() as pool:  # decoding releases the interpreter's lock
        reasons = list(pool.map(_why_unreadable, listing.paths))
    bad = [reason for reason in reasons if reason is not None]
    if not bad:
        return listing
    if len(bad) == len(reasons):
        raise DataError(f"{root} holds {len(bad)} files that look like pictures, and none can be read; the first: {bad[0]}")
    more = f"; and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
    warnings.warn(f"{len(bad)} of {len(reasons)} pictures are left out: {'; '.join(bad[:_MAX_NAMED])}{more}", stacklevel=3)
    return _take(listing, torch.tensor([i for i, reason in enumerate(reasons) if reason is None]))


def _why_unreadable(path: Path) -> str | None:
    try:
        read_square(path, size=_CHECK_SIZE)
    except DataError as error:
        return str(error)
    return None


def _take(listing: Listing, ids: Tensor) -> Listing:
    labels = None if listing.labels is None else listing.labels[ids]
    return Listing([listing.paths[i] for i in ids.tolist()], labels, listing.class_names)


def _split(listing: Listing, root: Path, *, val_fraction: float, seed: int) -> tuple[Listing, Listing]:
    if len(listing.paths) < 2:
        raise DataError(f"{root} holds one usable picture, {listing.paths[0].name}; training and validation need at least one each")
    train, val = split_ids(len(listing.paths), listing.labels, val_fraction=val_fraction, seed=seed)
    return _take(listing, train), _take(listing, val)


def _with_classes_of(train: Listing, val: Listing, root: Path) -> Listing:
    """The validation listing with labels numbered as in training, or without labels where only one of the two has classes."""
    if (train.labels is None) != (val.labels is None):
        which = "train" if train.labels is None else "val"
        warnings.warn(f"{root / which} has no class subfolders while the other split has; validation goes on without labels", stacklevel=3)
    if train.labels is None or val.labels is None:
        return Listing(val.paths, None, ())
    unknown = sorted(set(val.class_names) - set(train.class_names))
    if unknown:
        raise DataError(f"{root / 'val'} has {len(unknown)} classes that {root / 'train'} lacks, the first is {unknown[0]!r}")
    number = torch.tensor([train.class_names.index(name) for name in val.class_names])
    return Listing(val.paths, number[val.labels], train.class_names)
