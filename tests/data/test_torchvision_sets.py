"""Datasets on disk are read without network; missing or damaged ones say what would do."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, STL10, FashionMNIST

from cocoa_pl.data.torchvision_sets import cifar10, cifar100, fashion_mnist, stl10
from cocoa_pl.errors import DataError


def write_idx(path: Path, values: np.ndarray, *, packed: bool = False) -> None:
    data = struct.pack(">BBBB", 0, 0, 8, values.ndim) + struct.pack(f">{values.ndim}I", *values.shape) + values.tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    if packed:
        path.with_name(path.name + ".gz").write_bytes(gzip.compress(data))
    else:
        path.write_bytes(data)


def write_fashion_mnist(folder: Path, *, packed: bool = False) -> None:
    rng = np.random.default_rng(0)
    for prefix, num in (("train", 20), ("t10k", 8)):
        write_idx(folder / f"{prefix}-images-idx3-ubyte", rng.integers(0, 256, (num, 28, 28), dtype=np.uint8), packed=packed)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", (np.arange(num) % 10).astype(np.uint8), packed=packed)


def test_fashion_mnist_reads_what_torchvision_reads(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path / "FashionMNIST" / "raw")
    splits = fashion_mnist(root=tmp_path, download=False)
    assert (len(splits.train), len(splits.val)) == (20, 8)
    assert (splits.image_size, splits.in_memory, splits.name) == (28, True, "fashion_mnist")
    for source, train in ((splits.train, True), (splits.val, False)):
        theirs = FashionMNIST(str(tmp_path), train=train)
        images = source.load(range(len(source)))
        assert images.dtype == torch.uint8
        assert torch.equal(images, theirs.data[:, None].expand(-1, 3, -1, -1))
        assert source.labels is not None
        assert torch.equal(source.labels, theirs.targets)
        assert source.class_names == tuple(theirs.classes)


@pytest.mark.parametrize("place", ["FashionMNIST/raw", "fashion-mnist", "."])
def test_gzipped_files_are_read_wherever_they_lie(tmp_path: Path, place: str) -> None:
    write_fashion_mnist(tmp_path / place, packed=True)
    assert len(fashion_mnist(root=tmp_path).train) == 20


def test_subsets_are_seeded(tmp_path: Path) -> None:
    write_fashion_mnist(tmp_path / "FashionMNIST" / "raw")
    first, again, other = (fashion_mnist(root=tmp_path, num_train=5, num_val=3, seed=seed) for seed in (0, 0, 1))
    assert (len(first.train), len(first.val)) == (5, 3)
    everything = range(5)
    assert torch.equal(first.train.load(everything), again.train.load(everything))
    assert not torch.equal(first.train.load(everything), other.train.load(everything))
    with pytest.raises(DataError, match=r"num_train is 21; the dataset has 20"):
        fashion_mnist(root=tmp_path, num_train=21)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    write_fashion_mnist(folder)
    path = folder / "train-images-idx3-ubyte"
    whole = path.read_bytes()
    for data in (whole[:-10], whole[:3], b"", b"nonsense", b"\x00\x00\x0d\x01" + whole[4:]):
        path.write_bytes(data)
        with pytest.raises(DataError, match="train-images-idx3-ubyte is not a whole IDX file"):
            fashion_mnist(root=tmp_path)
    write_idx(path, np.zeros((3, 28, 28), dtype=np.uint8))
    with pytest.raises(DataError, match="do not match"):
        fashion_mnist(root=tmp_path)


def no_network(*args: Any, **kwargs: Any) -> None:
    raise OSError("Network is unreachable")


@pytest.mark.parametrize("make", [fashion_mnist, cifar10, cifar100, stl10])
def test_missing_data_says_what_was_looked_for_and_what_would_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Any) -> None:
    with pytest.raises(DataError, match=r"data\.root.*data\.download=true") as caught:
        make(root=tmp_path, download=False)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)
    monkeypatch.setattr("urllib.request.urlopen", no_network)
    with pytest.raises(DataError, match=r"data\.root.*") as caught:
        make(root=tmp_path, download=True)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_cifar10_and_stl10_are_read_from_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Real files in torchvision's layout; only its check of the official checksums is switched off."""
    monkeypatch.setattr(CIFAR10, "_check_integrity", lambda self: True)
    monkeypatch.setattr(CIFAR10, "_load_meta", lambda self: setattr(self, "classes", [str(i) for i in range(10)]))
    folder = tmp_path / CIFAR10.base_folder
    folder.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    for name, _ in CIFAR10.train_list + CIFAR10.test_list:
        (folder / name).write_bytes(pickle.dumps({"data": pixels.reshape(4, -1), "labels": [3, 1, 4, 1]}))
    splits = cifar10(root=tmp_path, download=False)
    assert (len(splits.train), len(splits.val), splits.image_size) == (20, 4, 32)
    assert np.array_equal(splits.val.load(range(4)).numpy(), pixels)
    assert splits.val.labels is not None
    assert splits.val.labels.tolist() == [3, 1, 4, 1]

    monkeypatch.setattr(STL10, "_check_integrity", lambda self: True)
    folder = tmp_path / STL10.base_folder
    folder.mkdir()
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 3, 96, 96), dtype=np.uint8)
    for part in ("train", "test", "unlabeled"):
        (folder / f"{part}_X.bin").write_bytes(pixels.transpose(0, 1, 3, 2).tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes([1, 2, 1, 2]))
    labelled, more = stl10(root=tmp_path, download=False), stl10(root=tmp_path, download=False, unlabeled=True)
    assert (len(labelled.train), len(more.train), len(more.val)) == (4, 8, 4)
    assert more.train.labels is not None
    assert more.train.labels.tolist() == [0, 1, 0, 1, -1, -1, -1, -1]
    assert np.array_equal(labelled.val.load(range(4)).numpy(), pixels)
