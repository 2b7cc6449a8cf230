"""Datasets that torchvision downloads: Fashion-MNIST, CIFAR-10, CIFAR-100 and STL-10, read into memory.

The official test split serves as validation. Files already on disk are read without network; Fashion-MNIST's four IDX files may be
unpacked or gzipped, in torchvision's place (ROOT/FashionMNIST/raw), in Debian's (ROOT/fashion-mnist) or in ROOT itself.
"""

from __future__ import annotations

import gzip
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import Splits, make_splits, subset
from cocoa_pl.errors import DataError

_IDX_UINT8 = b"\x00\x00\x08"
_READ_ERRORS = (RuntimeError, OSError, ValueError, EOFError, KeyError, pickle.UnpicklingError)
_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip

Arrays = tuple[Tensor, Tensor, tuple[str, ...]]
"""Images (n, 3, H, W) uint8, labels (n,) int64 with -1 where unknown, and class names."""


def fashion_mnist(
    *, root: str | Path = "data", download: bool = True, num_train: int | None = None, num_val: int | None = None, seed: int = 0
) -> Splits:
    """Fashion-MNIST (Xiao et al., 2017): 60 000 + 10 000 pictures of clothes, 28 x 28 grey, given as three equal channels.

    Args:
        root: folder the files are in, or are downloaded to.
        download: fetch the files where they are missing.
        num_train, num_val: take a random subset of this size.
        seed: the subsets are a function of it.

    Raises:
        DataError: the files are missing and cannot be downloaded, or cannot be read.
    """
    folder = _find_fashion_mnist(Path(root))
    if folder is None and download:
        from torchvision.datasets import FashionMNIST

        _attempt(lambda: FashionMNIST(str(root), download=True), _fashion_mnist_wanted(root))
        folder = _find_fashion_mnist(Path(root))
    if folder is None:
        raise DataError(f"{_fashion_mnist_wanted(root)}, or let it be downloaded with data.download=true")
    parts = {split: _read_fashion_mnist(folder, prefix) for split, prefix in (("train", "train"), ("val", "t10k"))}
    return _splits("fashion_mnist", parts["train"], parts["val"], num_train=num_train, num_val=num_val, seed=seed)


def cifar10(
    *, root: str | Path = "data", download: bool = True, num_train: int | None = None, num_val: int | None = None, seed: int = 0
) -> Splits:
    """CIFAR-10 (Krizhevsky, 2009): 50 000 + 10 000 photographs, 32 x 32. Arguments and errors as for :func:`fashion_mnist`."""
    return _cifar("CIFAR10", root=root, download=download, num_train=num_train, num_val=num_val, seed=seed)


def cifar100(
    *, root: str | Path = "data", download: bool = True, num_train: int | None = None, num_val: int | None = None, seed: int = 0
) -> Splits:
    """CIFAR-100 (Krizhevsky, 2009): 50 000 + 10 000 photographs, 32 x 32. Arguments and errors as for :func:`fashion_mnist`."""
    return _cifar("CIFAR100", root=root, download=download, num_train=num_train, num_val=num_val, seed=seed)


def stl10(
    *,
    root: str | Path = "data",
    download: bool = True,
    unlabeled: bool = False,
    num_train: int | None = None,
    num_val: int | None = None,
    seed: int = 0,
) -> Splits:
    """STL-10 (Coates et al., 2011): 5 000 + 8 000 labelled photographs, 96 x 96, and 100 000 unlabelled ones (2.8 GB of memory).

    Args:
        unlabeled: train on the unlabelled photographs too; their label is -1.

    The other arguments and the errors are those of :func:`fashion_mnist`.
    """
    from torchvision.datasets import STL10

    def read(split: str) -> Arrays:
        wanted = (
            f"stl10: its {split} files were looked for in {Path(root) / STL10.base_folder}; set data.root=FOLDER to where that folder is"
        )
        data: Any = _open(lambda fetch: STL10(str(root), split=split, download=fetch), download=download, wanted=wanted)
        return torch.from_numpy(data.data), torch.from_numpy(data.labels).long(), tuple(data.classes)

    train = read("train+unlabeled" if unlabeled else "train")
    return _splits("stl10", train, read("test"), num_train=num_train, num_val=num_val, seed=seed)


def _cifar(kind: str, *, root: str | Path, download: bool, num_train: int | None, num_val: int | None, seed: int) -> Splits:
    from torchvision import datasets

    cls = getattr(datasets, kind)
    wanted = f"{kind.lower()}: its files were looked for in {Path(root) / cls.base_folder}; set data.root=FOLDER to where that folder is"

    def read(train: bool) -> Arrays:
        data = _open(lambda fetch: cls(str(root), train=train, download=fetch), download=download, wanted=wanted)
        return torch.from_numpy(data.data).permute(0, 3, 1, 2).contiguous(), torch.tensor(data.targets), tuple(data.classes)

    return _splits(kind.lower(), read(True), read(False), num_train=num_train, num_val=num_val, seed=seed)


def _open(make: Callable[[bool], Any], *, download: bool, wanted: str) -> Any:
    """The dataset on disk, or, where it is not there and may be downloaded, the downloaded one."""
    if not download:
        return _attempt(lambda: make(False), f"{wanted}, or let it be downloaded with data.download=true")
    try:
        return make(False)
    except _READ_ERRORS:  # missing or damaged: either way a download is the cure, and says itself why it fails
        return _attempt(lambda: make(True), wanted)


def _attempt(make: Callable[[], Any], wanted: str) -> Any:
    try:
        return make()
    except _READ_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{wanted} ({reason})") from error


def _splits(name: str, train: Arrays, val: Arrays, *, num_train: int | None, num_val: int | None, seed: int) -> Splits:
    sources = []
    for split, (images, labels, classes), num in (("train", train, num_train), ("val", val, num_val)):
        if num is not None and not 1 <= num <= len(images):
            raise DataError(f"{name}: num_{split} is {num}; the dataset has {len(images)} such images, so ask for 1 to {len(images)}")
        ids = subset(len(images), num, seed=seed, purpose=f"{name}-{split}")
        images, labels = (images, labels) if len(ids) == len(images) else (images[ids], labels[ids])
        sources.append(MemorySource(images, labels=labels, class_names=classes))
    return make_splits(sources[0], sources[1], image_size=int(train[0].shape[-1]), name=name)


def _fashion_mnist_wanted(root: str | Path) -> str:
    folder = _fashion_folders(Path(root))[0]
    files = "IDX files (train-images-idx3-ubyte and so on, unpacked or .gz)"
    return f"fashion_mnist: no {files} in {folder}; put them there or set data.root=FOLDER"


def _fashion_folders(root: Path) -> tuple[Path, ...]:
    return root / "FashionMNIST" / "raw", root / "fashion-mnist", root


def _fashion_files(prefix: str) -> tuple[str, str]:
    return f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"


def _find_fashion_mnist(root: Path) -> Path | None:
    names = _fashion_files("train") + _fashion_files("t10k")
    complete = (folder for folder in _fashion_folders(root) if all(_unpacked_or_gz(folder / name) for name in names))
    return next(complete, None)


def _unpacked_or_gz(path: Path) -> Path | None:
    return next((candidate for candidate in (path, path.with_name(path.name + ".gz")) if candidate.is_file()), None)


def _read_fashion_mnist(folder: Path, prefix: str) -> Arrays:
    images, labels = (_read_idx(folder / name) for name in _fashion_files(prefix))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        shapes = f"images {tuple(images.shape)} and labels {tuple(labels.shape)}"
        raise DataError(f"fashion_mnist: {folder} holds {prefix} {shapes}, which do not match")
    return images[:, None].repeat(1, 3, 1, 1), labels.long(), _FASHION_CLASSES


def _read_idx(path: Path) -> Tensor:
    """An IDX file of unsigned bytes, unpacked or gzipped (layout: http://yann.lecun.com/exdb/mnist)."""
    found = _unpacked_or_gz(path)
    assert found is not None
    try:
        data = gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
    except (OSError, EOFError) as error:
        raise DataError(f"fashion_mnist: {found} cannot be read ({error}); delete it and download it again") from error
    rank = data[3] if len(data) > 3 else 0
    shape = tuple(np.frombuffer(data[4 : 4 + 4 * rank], dtype=">u4").tolist()) if len(data) >= 4 + 4 * rank else ()
    expected = 4 + 4 * rank + int(np.prod(shape, dtype=np.int64))
    if data[:3] != _IDX_UINT8 or not shape or len(data) != expected:
        raise DataError(f"fashion_mnist: {found} is not a whole IDX file ({len(data)} bytes); delete it and download it again")
    return torch.from_numpy(np.frombuffer(data, dtype=np.uint8, offset=4 + 4 * rank).reshape(shape).copy())
