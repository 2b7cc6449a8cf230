"""Cells: kept by what decides them, whole or not at all, and never believed when damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from cocoa_pl.data.source import MemorySource
from cocoa_pl.errors import OutputError
from cocoa_pl.study.cells import Cells, digest

CONTENT = {
    "gap": torch.arange(6, dtype=torch.float64).view(2, 3),
    "half": torch.tensor([1.5, float("nan")], dtype=torch.float32),
    "n": torch.tensor(7),
}


class Counted:
    """Something to compute that counts how often it was asked."""

    def __init__(self) -> None:
        self.times = 0

    def __call__(self) -> dict[str, Tensor]:
        self.times += 1
        return CONTENT


@pytest.fixture
def compute() -> Counted:
    return Counted()


def same(made: dict[str, Tensor]) -> bool:
    return made.keys() == CONTENT.keys() and all(
        made[name].dtype == own.dtype and torch.equal(made[name].nan_to_num(-1), own.nan_to_num(-1)) for name, own in CONTENT.items()
    )


def test_a_cell_is_computed_once(tmp_path: Path, compute: Counted) -> None:
    cells = Cells(tmp_path / "cells")
    assert not cells.has(["a", 1])
    assert same(cells.of(["a", 1], compute))
    assert cells.has(["a", 1])
    assert same(Cells(tmp_path / "cells").of(["a", 1], compute))  # another process
    assert compute.times == 1
    assert not cells.has(["a", 2])
    cells.of(["a", 2], compute)
    assert compute.times == 2


def test_without_a_folder_nothing_is_kept(compute: Counted) -> None:
    cells = Cells(None)
    assert same(cells.of(["a"], compute))
    assert same(cells.of(["a"], compute))
    assert compute.times == 2
    assert not cells.has(["a"])


def cut(content: bytes, place: int) -> bytes:
    return content[: len(content) * place // 8]


def turned(content: bytes, place: int) -> bytes:
    at = (len(content) - 1) * place // 8
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


@pytest.mark.parametrize("damage", [cut, turned])
def test_a_damaged_cell_is_computed_anew(tmp_path: Path, compute: Counted, damage: Callable[[bytes, int], bytes]) -> None:
    cells = Cells(tmp_path)
    cells.of(["a"], compute)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for place in range(8):
        file.write_bytes(damage(whole, place))
        assert same(cells.of(["a"], compute))
        file.write_bytes(b"")
        assert same(cells.of(["a"], compute))
        assert file.read_bytes() != b""


def test_no_single_byte_makes_another_cell_of_one(tmp_path: Path, compute: Counted) -> None:
    cells = Cells(tmp_path)
    cells.of(["a"], compute)
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    for at in range(0, len(whole), 11):
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :])
        assert same(cells.of(["a"], compute)), at


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path, compute: Counted) -> None:
    (tmp_path / "cells").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        Cells(tmp_path / "cells").of(["a"], compute)


def test_what_fails_leaves_no_cell(tmp_path: Path) -> None:
    def interrupted() -> dict[str, Tensor]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Cells(tmp_path / "cells").of(["a"], interrupted)
    assert not (tmp_path / "cells").exists()


def test_a_digest_tells_pictures_and_labels_apart() -> None:
    images = torch.randint(256, (600, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(600) % 3
    ids = torch.arange(0, 600, 2)
    whole = digest(MemorySource(images, labels=labels), ids)
    assert digest(MemorySource(images.clone(), labels=labels.clone()), ids) == whole
    assert digest(MemorySource(images[::2], labels=labels[::2]), torch.arange(300)) == whole  # the pictures count, not their places
    changed, renamed = images.clone(), labels.clone()
    changed[298, 0, 0, 0] ^= 1
    renamed[298] = (renamed[298] + 1) % 3
    others = [
        digest(MemorySource(changed, labels=labels), ids),
        digest(MemorySource(images, labels=renamed), ids),
        digest(MemorySource(images), ids),
        digest(MemorySource(images, labels=labels), ids.flip(0)),
        digest(MemorySource(images, labels=labels), ids.view(2, 150)),
    ]
    assert len({whole, *others}) == 6
