"""Folders of pictures: layouts, splits, labels that are never invented, and clear errors."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.data.image_folder import FolderSource, image_folder, split_ids
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import DataError


def put(path: Path, value: int = 128) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((20, 30, 3), value, dtype=np.uint8)).save(path)


def make_classes(root: Path, *, num: int = 10) -> None:
    for k, name in enumerate(("cat", "dog")):
        for i in range(num):
            put(root / name / f"{i:02d}.png", 100 * k + i)


def names(splits: Splits, split: str) -> list[str]:
    source = getattr(splits, split)
    assert isinstance(source, FolderSource)
    return [path.parent.name + "/" + path.name for path in source.paths]


def test_class_subfolders(tmp_path: Path) -> None:
    make_classes(tmp_path)
    splits = image_folder(tmp_path, image_size=16, val_fraction=0.2, seed=0)
    assert (len(splits.train), len(splits.val)) == (16, 4)
    assert splits.train.class_names == ("cat", "dog")
    assert splits.train.labels is not None
    assert splits.val.labels is not None
    assert splits.val.labels.bincount().tolist() == [2, 2]
    assert all((name.startswith("dog")) == bool(label) for name, label in zip(names(splits, "val"), splits.val.labels, strict=True))
    assert not set(names(splits, "train")) & set(names(splits, "val"))
    assert splits.in_memory is False
    batch = splits.train.load([3, 0])
    assert batch.shape == (2, 3, 16, 16)
    assert batch.dtype == torch.uint8
    assert splits.train.load([]).shape == (0, 3, 16, 16)
    assert splits.train.picture(0).size == (30, 20)
    assert splits.mean[0] == pytest.approx(float(splits.train.load(range(16)).float().mean() / 255), abs=1e-6)


def test_the_split_is_a_function_of_the_seed(tmp_path: Path) -> None:
    make_classes(tmp_path)
    first, again, other = (image_folder(tmp_path, image_size=8, val_fraction=0.3, seed=seed) for seed in (0, 0, 1))
    assert names(first, "val") == names(again, "val") != names(other, "val")


@pytest.mark.parametrize("nested", ["", "only", "a/b"])
def test_flat_folders_have_no_labels(tmp_path: Path, nested: str) -> None:
    for i in range(6):
        put(tmp_path / nested / f"{i}.jpg", 20 * i)
    splits = image_folder(tmp_path, image_size=8, val_fraction=0.3)
    assert splits.train.labels is None
    assert splits.train.class_names == ()
    assert len(splits.train) + len(splits.val) == 6


def test_pictures_beside_subfolders_make_no_classes(tmp_path: Path) -> None:
    make_classes(tmp_path, num=2)
    put(tmp_path / "stray.png")
    assert image_folder(tmp_path, image_size=8).train.labels is None
    with pytest.raises(DataError, match=r"stray\.png"):
        image_folder(tmp_path, image_size=8, labelled=True)


def test_subfolders_need_not_be_classes(tmp_path: Path) -> None:
    make_classes(tmp_path, num=2)
    assert image_folder(tmp_path, image_size=8, labelled=False).train.labels is None


def test_train_and_val_subfolders_are_the_splits(tmp_path: Path) -> None:
    make_classes(tmp_path / "train", num=3)
    for i in range(2):
        put(tmp_path / "val" / "dog" / f"{i}.png")
        put(tmp_path / "val" / "cat" / f"{i}.png")
    splits = image_folder(tmp_path, image_size=8)
    assert (len(splits.train), len(splits.val)) == (6, 4)
    assert splits.val.labels is not None
    assert splits.val.labels.tolist() == [0, 0, 1, 1]


def test_a_class_that_training_lacks_is_an_error(tmp_path: Path) -> None:
    make_classes(tmp_path / "train", num=2)
    make_classes(tmp_path / "val", num=2)
    put(tmp_path / "val" / "fox" / "0.png")
    with pytest.raises(DataError, match="'fox'"):
        image_folder(tmp_path, image_size=8)


def test_a_flat_val_beside_a_labelled_train_is_said(tmp_path: Path) -> None:
    make_classes(tmp_path / "train", num=2)
    put(tmp_path / "val" / "0.png")
    with pytest.warns(UserWarning, match="without labels"):
        splits = image_folder(tmp_path, image_size=8)
    assert splits.val.labels is None
    assert splits.train.labels is not None


def test_hidden_and_other_files_are_no_pictures(tmp_path: Path) -> None:
    make_classes(tmp_path, num=2)
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "labels.csv").write_text("x")
    put(tmp_path / "cat" / "._00.png")
    splits = image_folder(tmp_path, image_size=8)
    assert len(splits.train) + len(splits.val) == 4
    assert splits.train.labels is not None


def test_links_are_followed_once(tmp_path: Path) -> None:
    make_classes(tmp_path, num=2)
    (tmp_path / "cat" / "loop").symlink_to(tmp_path)
    assert len(image_folder(tmp_path, image_size=8).train) == 3


def test_a_bad_picture_stops_or_is_left_out_as_told(tmp_path: Path) -> None:
    make_classes(tmp_path, num=4)
    good = image_folder(tmp_path, image_size=8, val_fraction=0.3)
    put(tmp_path / "cat" / "cut.jpg")
    data = (tmp_path / "cat" / "cut.jpg").read_bytes()
    (tmp_path / "cat" / "cut.jpg").write_bytes(data[: len(data) - 40])
    (tmp_path / "dog" / "text.jpg").write_text("no picture")
    with pytest.raises(DataError, match=r"(cut|text)\.jpg"):  # one of the two at least is a training image
        image_folder(tmp_path, image_size=8, val_fraction=0.01)
    with pytest.warns(UserWarning, match=r"2 of 10 pictures are left out: .*cut\.jpg.*text\.jpg"):
        splits = image_folder(tmp_path, image_size=8, val_fraction=0.3, on_bad_image="skip")
    assert names(splits, "train") == names(good, "train")
    assert names(splits, "val") == names(good, "val")
    assert len(splits.train.load(range(len(splits.train)))) == len(good.train)


def test_skipping_says_nothing_where_all_is_well(tmp_path: Path) -> None:
    make_classes(tmp_path, num=2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image_folder(tmp_path, image_size=8, on_bad_image="skip")


def test_a_folder_of_bad_pictures_only(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("x")
    (tmp_path / "b.jpg").write_text("x")
    with pytest.raises(DataError, match="none can be read"):
        image_folder(tmp_path, image_size=8, on_bad_image="skip")


def test_missing_empty_and_single(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"nowhere is not a folder.*data\.root"):
        image_folder(tmp_path / "nowhere", image_size=8)
    with pytest.raises(DataError, match="holds no picture"):
        image_folder(tmp_path, image_size=8)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(DataError, match="1 other files"):
        image_folder(tmp_path, image_size=8)
    put(tmp_path / "single.png")
    with pytest.raises(DataError, match=r"one usable picture, single\.png"):
        image_folder(tmp_path, image_size=8)


@pytest.mark.parametrize(("option", "value"), [("val_fraction", 0.0), ("val_fraction", 1.0), ("on_bad_image", "skp")])
def test_wrong_options_are_named(tmp_path: Path, option: str, value: float | str) -> None:
    with pytest.raises(DataError, match=option):
        image_folder(tmp_path, **{option: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [2, 3, 10, 101])
@pytest.mark.parametrize("fraction", [0.01, 0.5, 0.99])
def test_both_splits_always_have_a_picture(size: int, fraction: float) -> None:
    train, val = split_ids(size, None, val_fraction=fraction, seed=0)
    assert len(train) >= 1
    assert len(val) >= 1
    assert sorted(torch.cat([train, val]).tolist()) == list(range(size))
