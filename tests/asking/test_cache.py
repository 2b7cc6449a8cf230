"""Representations kept from one question to the next."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.asking import cache
from cocoa_pl.asking.cache import RepsCache, default_cache_folder, load_reps
from cocoa_pl.data.inputs import PictureSource, load_pictures
from cocoa_pl.data.source import MemorySource, Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError

SIZE, NUM = 8, 11


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5))
    return FrozenEncoder(network)


@pytest.fixture
def source(tmp_path: Path) -> PictureSource:
    """Pictures in files."""
    draw = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(NUM):
        Image.fromarray(draw.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)).save(tmp_path / "photos" / f"{i:02d}.png")
    return load_pictures([tmp_path / "photos"], size=SIZE)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


class TestEncode:
    def test_the_second_time_nothing_is_encoded(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        first = RepsCache(tmp_path / "cache").encode(encoder, source, range(NUM), fingerprint="a")
        assert (first.shape, first.dtype) == ((NUM, 5), torch.float32)
        assert encoder.num_forwards == NUM
        for again in (RepsCache(tmp_path / "cache"), RepsCache(tmp_path / "cache")):
            assert torch.equal(again.encode(encoder, source, range(NUM), fingerprint="a"), first)
        assert encoder.num_forwards == NUM
        (file,) = files(tmp_path / "cache")
        assert file.parent.name == file.name[:2]
        assert len(file.stem) == 64

    @pytest.mark.parametrize("chunk_size", [None, 1, 3, 4, 500])
    def test_it_is_what_the_encoder_makes_of_all_pictures_together(
        self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource, chunk_size: int | None, monkeypatch: pytest.MonkeyPatch
    ) -> None:  # fmt: skip
        monkeypatch.setattr(cache, "_AT_ONCE", 4)
        monkeypatch.setattr(cache, "_PIECE", 3)
        ids = [3, 0, 7, 1, 10, 2, 9, 5, 3]
        whole = encoder.encode(source.load(ids), chunk_size=chunk_size)
        for folder in (None, tmp_path / "cache", tmp_path / "cache"):
            assert torch.equal(RepsCache(folder).encode(encoder, source, ids, fingerprint="a", chunk_size=chunk_size), whole)

    def test_what_changes_representations_is_encoded_anew(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        kept = RepsCache(tmp_path / "cache")

        def forwards(source: Source = source, ids: Sequence[int] = (0, 1, 2), fingerprint: str = "a", chunk_size: int | None = None) -> int:
            before = encoder.num_forwards
            kept.encode(encoder, source, ids, fingerprint=fingerprint, chunk_size=chunk_size)
            return encoder.num_forwards - before

        assert forwards() == 3
        assert forwards() == 0
        assert forwards(fingerprint="b") == 3
        assert forwards(ids=(1, 0, 2)) == 3
        assert forwards(ids=(0, 1)) == 2
        assert forwards(chunk_size=2) == 3  # other passes may round otherwise
        first, second = source.paths[:2]
        content = first.read_bytes()
        stamp = first.stat().st_mtime_ns
        first.write_bytes(second.read_bytes())
        os.utime(first, ns=(stamp, stamp))
        assert forwards() == 3
        first.write_bytes(content)
        assert forwards() == 0
        first.rename(first.with_name("other.png"))
        assert forwards(load_pictures([first.with_name("other.png"), *source.paths[1:]], size=SIZE)) == 0  # its name does not matter

    def test_images_of_another_size_are_others(self, tmp_path: Path, source: PictureSource) -> None:
        kept, mean = RepsCache(tmp_path), FrozenEncoder(lambda images: images.mean((2, 3)))
        for size in (8, 4):
            kept.encode(mean, load_pictures(source.paths, size=size), range(NUM), fingerprint="a")
        assert mean.num_forwards == 2 * NUM

    def test_data_sets_in_memory_are_known_by_their_pixels(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        images, kept = source.load(range(NUM)), RepsCache(tmp_path / "cache")
        first = kept.encode(encoder, MemorySource(images), range(NUM), fingerprint="a")
        assert torch.equal(kept.encode(encoder, MemorySource(images.clone()), range(NUM), fingerprint="a"), first)
        assert encoder.num_forwards == NUM
        changed = images.clone()
        changed[5, 0, 0, 0] ^= 1
        kept.encode(encoder, MemorySource(changed), range(NUM), fingerprint="a")
        assert encoder.num_forwards == 2 * NUM

    def test_without_a_fingerprint_or_a_folder_nothing_is_kept(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        for _ in range(2):
            RepsCache(tmp_path / "cache").encode(encoder, source, [0], fingerprint="")
            RepsCache(None).encode(encoder, source, [0], fingerprint="a")
        assert encoder.num_forwards == 4
        assert not (tmp_path / "cache").exists()

    def test_errors_name_the_picture_and_leave_nothing(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        kept = RepsCache(tmp_path / "cache")
        source.paths[7].write_bytes(b"no picture")
        for _ in range(2):
            with pytest.raises(DataError, match=r"07\.png cannot be read as a picture"):
                kept.encode(encoder, source, range(NUM), fingerprint="a")
        assert files(tmp_path / "cache") == []
        with pytest.raises(DataError, match="no image to encode"):
            kept.encode(encoder, source, [], fingerprint="a")

    def test_few_pictures_are_in_memory_at_a_time(self, encoder: FrozenEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
        """While a block is encoded no more than the next one is being read."""
        monkeypatch.setattr(cache, "_AT_ONCE", 20)
        loaded, most = [0], [0]

        class Counting(MemorySource):
            def load(self, ids: Sequence[int]) -> Tensor:
                with lock:
                    loaded[0] += len(ids)
                    most[0] = max(most[0], loaded[0] - encoder.num_forwards)
                return super().load(ids)

        lock = threading.Lock()
        RepsCache(None).encode(
            encoder, Counting(torch.zeros(400, 3, SIZE, SIZE, dtype=torch.uint8)), range(400), fingerprint="", chunk_size=10
        )
        assert loaded[0] == 401  # the first is looked at for its size
        assert most[0] <= 61


class TestFiles:
    def test_damaged_and_foreign_files_are_replaced(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        kept = RepsCache(tmp_path / "cache")
        whole = kept.encode(encoder, source, range(NUM), fingerprint="a")
        (file,) = files(tmp_path / "cache")
        good, encoded = file.read_bytes(), encoder.num_forwards
        np.savez(tmp_path / "foreign.npz", key=np.array("0" * 64), reps=np.zeros((NUM, 5), np.float32))
        np.savez(tmp_path / "short.npz", key=np.array(file.stem), reps=np.zeros((NUM - 1, 5), np.float32))
        np.savez(tmp_path / "pickle.npz", key=np.array(file.stem), reps=np.array([[Evil(tmp_path / "executed")]], dtype=object))
        others = [(tmp_path / f"{name}.npz").read_bytes() for name in ("foreign", "short", "pickle")]
        for bad in [b"", b"no archive", good[: len(good) // 2], good[:-1], *others]:
            file.write_bytes(bad)
            assert torch.equal(kept.encode(encoder, source, range(NUM), fingerprint="a"), whole)
            encoded += NUM
            assert encoder.num_forwards == encoded
            assert file.read_bytes() == good or zipfile.is_zipfile(file)
            assert torch.equal(kept.encode(encoder, source, range(NUM), fingerprint="a"), whole)
            assert encoder.num_forwards == encoded
        assert not (tmp_path / "executed").exists()

    def test_a_flipped_bit_is_never_taken_for_a_representation(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        kept = RepsCache(tmp_path / "cache")
        whole = kept.encode(encoder, source, range(NUM), fingerprint="a")
        (file,) = files(tmp_path / "cache")
        good = bytearray(file.read_bytes())
        for position in range(0, len(good), 7):
            bad = good.copy()
            bad[position] ^= 1 << position % 8
            file.write_bytes(bad)
            assert torch.equal(kept.encode(encoder, source, range(NUM), fingerprint="a"), whole)

    def test_a_folder_that_cannot_be_written_to_is_one_warning(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        (tmp_path / "cache").write_text("a file in its place")
        kept = RepsCache(tmp_path / "cache")
        with pytest.warns(UserWarning, match="representations are not kept for the next question: .*cannot be written") as caught:
            first = kept.encode(encoder, source, range(NUM), fingerprint="a")
        assert len(caught) == 1
        assert torch.equal(kept.encode(encoder, source, range(NUM), fingerprint="a"), first)  # a second warning would be an error

    def test_threads_and_processes_may_share_a_folder(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        results: list[Tensor] = []
        jobs = [
            threading.Thread(
                target=lambda: results.append(RepsCache(tmp_path / "cache").encode(encoder, source, range(NUM), fingerprint="a"))
            )
            for _ in range(6)
        ]
        for job in jobs:
            job.start()
        for job in jobs:
            job.join()
        assert len(results) == 6
        assert all(torch.equal(each, results[0]) for each in results)
        assert [file.suffix for file in files(tmp_path / "cache")] == [".npz"]

    def test_what_was_asked_for_the_longest_ago_goes_first(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        folder = tmp_path / "cache"
        RepsCache(folder).encode(encoder, source, [0], fingerprint="a")
        (file,) = files(folder)
        size = file.stat().st_size
        (folder / "aa").mkdir()
        killed = folder / "aa" / f".{'a' * 64}.npz.12.part"
        killed.write_bytes(bytes(size))
        strangers = [folder / "notes.txt", folder / "aa" / "photo.npz"]
        for stranger in strangers:
            stranger.write_bytes(bytes(10 * size))
        for age, path in ((500, killed), (400, file)):
            os.utime(path, (time.time() - age,) * 2)
        kept = RepsCache(folder, max_bytes=3.5 * size)
        for number in (1, 2):
            kept.encode(encoder, source, [number], fingerprint="a")
        assert not killed.exists()
        assert len(files(folder)) == 3 + len(strangers)
        kept.encode(encoder, source, [0], fingerprint="a")  # asked for again: the youngest now
        assert encoder.num_forwards == 3
        kept.encode(encoder, source, [3], fingerprint="a")
        assert file.exists()
        assert len(files(folder)) == 3 + len(strangers)
        assert all(stranger.exists() for stranger in strangers)
        kept.encode(encoder, source, [2], fingerprint="a")
        assert encoder.num_forwards == 4

    def test_what_is_larger_than_the_folder_may_be_is_not_kept(self, tmp_path: Path, encoder: FrozenEncoder, source: PictureSource) -> None:
        RepsCache(tmp_path / "cache", max_bytes=10).encode(encoder, source, [0], fingerprint="a")
        assert files(tmp_path / "cache") == []


class Evil:
    """What would leave a file behind if it was unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[object, ...]:
        return open, (self.path, "w")


class TestLoadReps:
    @pytest.mark.parametrize("dtype", ["<f2", "<f4", "<f8", ">f4", ">f8"])
    def test_floats_of_every_width(self, tmp_path: Path, dtype: str) -> None:
        values = np.random.default_rng(0).normal(size=(5, 3)).astype(dtype)
        np.save(tmp_path / "x.npy", values)
        np.save(tmp_path / "columns.npy", np.asfortranarray(values))
        np.savez_compressed(tmp_path / "one.npz", reps=values)
        np.savez(tmp_path / "two.npz", other=values[:2], reps=values)
        for name, key in (("x.npy", None), ("columns.npy", None), ("one.npz", None), ("one.npz", "reps"), ("two.npz", "reps")):
            reps = load_reps(tmp_path / name, key)
            assert reps.dtype == torch.float32
            assert (reps.numpy() == values.astype(np.float32)).all()

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            (np.zeros(5, np.float32), r"x.npy: \(5,\) of float32; it must hold representations \(M, D\), one a row, as floats"),
            (np.zeros((2, 3, 4), np.float32), r"\(2, 3, 4\) of float32"),
            (np.zeros((0, 3), np.float32), r"\(0, 3\) of float32"),
            (np.zeros((3, 0), np.float32), r"\(3, 0\) of float32"),
            (np.zeros((3, 2), np.int64), r"\(3, 2\) of int64"),
            (np.zeros((3, 2), np.complex64), "of complex64"),
            (np.array([["a", "b"]]), "of <U1"),
            (np.array([[0, np.nan], [1, 1], [np.inf, 0]], np.float16), "x.npy: 2 of 3 rows hold NaN, infinite values"),
            (np.array([[0, 1e300]]), "1 of 1 rows hold NaN, infinite values or such as float32 does not reach"),
            (np.zeros((2, 2), np.dtype([("a", "f4")])), r"of \[\('a', '<f4'\)\]"),
        ],
    )
    def test_what_is_no_representation_is_refused(self, tmp_path: Path, values: np.ndarray, message: str) -> None:
        np.save(tmp_path / "x.npy", values)
        with pytest.raises(DataError, match=message):
            load_reps(tmp_path / "x.npy")

    def test_arrays_of_an_archive_are_named(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "x.npz", cat=np.ones((2, 3)), dog=np.ones((2, 3)))
        np.savez(tmp_path / "none.npz")
        with pytest.raises(DataError, match=r"x\.npz: holds 2 arrays; say which by .*x\.npz#NAME: cat, dog"):
            load_reps(tmp_path / "x.npz")
        with pytest.raises(DataError, match=r"x\.npz#cow: no such array; the file holds: cat, dog"):
            load_reps(tmp_path / "x.npz", "cow")
        with pytest.raises(DataError, match=r"holds 0 arrays"):
            load_reps(tmp_path / "none.npz")
        np.save(tmp_path / "x.npy", np.ones((2, 3)))
        with pytest.raises(DataError, match="the file holds one array, which has no name"):
            load_reps(tmp_path / "x.npy", "cat")

    def test_nothing_is_executed_and_damage_is_named(self, tmp_path: Path) -> None:
        evil = np.array([[Evil(tmp_path / "executed")]], dtype=object)
        np.save(tmp_path / "evil.npy", evil)
        np.savez(tmp_path / "evil.npz", reps=evil)
        np.savez(tmp_path / "cut.npz", reps=np.ones((20, 30)))
        np.save(tmp_path / "cut.npy", np.ones((20, 30)))
        for name in ("cut.npz", "cut.npy"):
            (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:500])
        (tmp_path / "text.npy").write_text("0.1 0.2\n")
        (tmp_path / "empty.npz").touch()
        (tmp_path / "folder.npy").mkdir()
        with zipfile.ZipFile(tmp_path / "text.npz", "w") as archive:
            archive.writestr("reps", "0.1 0.2")
        for path in [*sorted(tmp_path.iterdir()), tmp_path / "missing.npy"]:
            with pytest.raises(DataError, match=path.name) as caught:
                load_reps(path)
            assert "\n" not in str(caught.value)
        assert not (tmp_path / "executed").exists()


def test_where_representations_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value, folder in (
        ("HOME", "/home/me", "/home/me/.cache/cocoa_pl"),
        ("XDG_CACHE_HOME", "relative", "/home/me/.cache/cocoa_pl"),
        ("XDG_CACHE_HOME", "/fast", "/fast/cocoa_pl"),
        ("COCOA_PL_CACHE", "", "/fast/cocoa_pl"),
        ("COCOA_PL_CACHE", "/mine", "/mine"),
    ):
        if name == "HOME":
            for other in ("XDG_CACHE_HOME", "COCOA_PL_CACHE"):
                monkeypatch.delenv(other, raising=False)
        monkeypatch.setenv(name, value)
        assert default_cache_folder() == Path(folder)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as for a user without a home
    monkeypatch.delenv("COCOA_PL_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_cache_folder() is None


def test_the_folder_is_found_without_torch() -> None:
    code = "import sys, cocoa_pl.asking.cache_folder; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
