"""Checkpoints on disk: whole and read back, or the older one."""

from __future__ import annotations

import errno
import os
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch

from cocoa_pl import files
from cocoa_pl.errors import OutputError
from cocoa_pl.files import damage, remove_parts, write_checkpoint


@pytest.fixture
def older(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    write_checkpoint(path, {"weights": torch.zeros(1000)})
    return path


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_checkpoint_is_the_one_that_torch_writes(older: Path, tmp_path: Path) -> None:
    torch.save({"weights": torch.zeros(1000)}, tmp_path / "torchs.ckpt")
    with zipfile.ZipFile(older) as ours, zipfile.ZipFile(tmp_path / "torchs.ckpt") as theirs:
        contents = [[archive.read(record) for record in archive.infolist()] for archive in (ours, theirs)]
    assert contents[0] == contents[1]
    assert damage(older) is None


def test_what_reads_back_differently_never_replaces_the_older_one(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, sync = older.read_bytes(), os.fsync

    def sync_badly(descriptor: int) -> None:
        sync(descriptor)
        for part in older.parent.glob(".*.part"):
            flip(part)

    monkeypatch.setattr(os, "fsync", sync_badly)
    with pytest.raises(OutputError, match=r"last\.ckpt: what was written reads back differently"):
        write_checkpoint(older, {"weights": torch.ones(1000)})
    assert older.read_bytes() == before
    assert list(older.parent.iterdir()) == [older]


def test_a_disk_that_is_full_in_the_middle_is_named(older: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch itself would say ``unexpected pos 64 vs 0``."""
    before, original = older.read_bytes(), files._SummedFile.write
    with open("/dev/full", "wb", buffering=0) as full:

        def write(self: Any, data: bytes) -> int:
            if self.crc:
                self._file = full
            return original(self, data)

        monkeypatch.setattr(files._SummedFile, "write", write)
        with pytest.raises(OutputError, match=rf"last\.ckpt: cannot be written \({os.strerror(errno.ENOSPC)}\)"):
            write_checkpoint(older, {"weights": torch.ones(1000)})
    assert older.read_bytes() == before


def test_damage_is_found_where_torch_finds_none(older: Path) -> None:
    flip(older)
    torch.load(older, weights_only=True)
    assert "the checksum of record" in (damage(older) or "")


def test_only_parts_are_removed(older: Path, tmp_path: Path) -> None:
    (tmp_path / ".last.ckpt.12.part").write_bytes(b"half")
    (tmp_path / ".report.12.part").mkdir()
    remove_parts(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".report.12.part", "last.ckpt"]
