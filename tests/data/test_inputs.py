"""Pictures named on a command line."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.data.image_folder import FolderSource, Listing, list_pictures
from cocoa_pl.data.inputs import content_digest, load_pictures
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import DataError

IMAGES = torch.randint(0, 256, (24, 3, 8, 8), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def memory() -> Splits:
    train, val = MemorySource(IMAGES[:10]), MemorySource(IMAGES[10:])
    return Splits(train=train, val=val, mean=(0, 0, 0), std=(1, 1, 1), image_size=8, in_memory=True, name="noise")


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four pictures in the folders photos/, photos/a/ and photos/b/, seen from the folder around them."""
    monkeypatch.chdir(tmp_path)
    for red, name in enumerate(("a/x.png", "a/y.jpg", "b/x.png", "z.PNG")):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (9, 7), (10 * red, 0, 0)).save(path, format="PNG")
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    (tmp_path / "photos" / ".hidden.png").write_text("no picture")
    return tmp_path / "photos"


def named(*items: str | Path, stdin: str | None = None) -> list[str]:
    source = load_pictures(items, size=8, splits=memory(), stdin=None if stdin is None else io.StringIO(stdin))
    return [source.file(i) for i in range(len(source))]


ALL = ["photos/a/x.png", "photos/a/y.jpg", "photos/b/x.png", "photos/z.PNG"]


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("items", "stdin", "files"),
    [
        (["photos"], None, ALL),
        (["photos/"], None, ALL),
        ([Path("photos")], None, ALL),
        (["photos/z.PNG", "photos/a/x.png"], None, [ALL[3], ALL[0]]),
        (["photos/b", "photos"], None, [ALL[2], ALL[0], ALL[1], ALL[3]]),
        (["photos/a/x.png", "./photos/a/../a/x.png"], None, [ALL[0]]),
        (["photos/*/*.png"], None, [ALL[0], ALL[2]]),
        (["photos/*"], None, [ALL[3]]),
        (["photos/**"], None, ALL),
        (["photos/**/[xz].png", "photos/a"], None, [ALL[0], ALL[2], ALL[1]]),
        (["val:0,5,7-9"], None, ["val:0", "val:5", "val:7", "val:8", "val:9"]),
        (["val:3", "train:3", "val:2-3"], None, ["val:3", "train:3", "val:2"]),
        (["train:all"], None, [f"train:{i}" for i in range(10)]),
        (["-"], "photos/b\r\n\n# a comment\n  photos/z.PNG \nval:1", [ALL[2], ALL[3], "val:1"]),
        (["photos/a/y.jpg", "-", "train:0"], "photos/a/*\n", [ALL[1], ALL[0], "train:0"]),
    ],
)
def test_every_form_of_a_name(items: list[str | Path], stdin: str | None, files: list[str]) -> None:
    assert named(*items, stdin=stdin) == files


@pytest.mark.usefixtures("photos")
@pytest.mark.parametrize(
    ("items", "message"),
    [
        ([], "--input: no picture is named"),
        (["nowhere.jpg"], "--input nowhere.jpg: no such file or folder"),
        ([""], "--input : no such file or folder"),
        (["photos/nowhere/"], "--input photos/nowhere/: no such file or folder"),
        (["photos/*.gif"], r"--input photos/\*.gif: matches no picture \(no file at all\)"),
        (["photos/*.txt"], r"--input photos/\*.txt: matches no picture \(1 other files, for example photos/notes.txt\)"),
        (["empty"], r"--input empty: holds no picture \(no file at all\); expected files ending in .jpg, .* there or in subfolders"),
        (["texts"], r"--input texts: holds no picture \(1 other files, for example texts/a.md\)"),
        (["pipe"], "--input pipe: is neither a file nor a folder"),
        (["val:14"], "--input val:14: there is no image 14; val has 14, numbered from 0"),
        (["val:0-99999999999"], "--input val:0-99999999999: there is no image 14; val has 14"),
        (["train:3,12"], "there is no image 12; train has 10"),
        (["val:"], "--input val:: '' is no image or range of images; it must be as in val:0,5,7-20 or val:all"),
        (["val:1,,2"], "'' is no image"),
        (["val:-1"], "'-1' is no image"),
        (["val:5-3"], "'5-3' is no image"),
        (["val:1.5"], "'1.5' is no image"),
        (["val:all,1"], "'all' is no image"),
        (["val:\u0661"], "'\u0661' is no image"),  # an Arabic digit
    ],
)
def test_what_names_no_picture_is_refused(items: list[str], message: str) -> None:
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/a.md").write_text("")
    os.mkfifo("pipe")
    with pytest.raises(DataError, match=message) as caught:
        load_pictures(items, size=8, splits=memory())
    assert "\n" not in str(caught.value)


def test_images_of_a_data_set_need_one() -> None:
    with pytest.raises(DataError, match=r"--corpus val:3: no data set is known; say which by data.name=\.\.\. and data.root=\.\.\."):
        load_pictures(["val:3"], size=8, what="--corpus")


@pytest.mark.parametrize(
    ("listed", "message"),
    [
        ("", "--input -: standard input is empty"),
        ("\n# nothing\n", "--input -: standard input is empty"),
        ("-\n", "--input -: the list holds a line '-'"),
        ("nowhere.jpg", "--input nowhere.jpg: no such file or folder"),
    ],
)
def test_a_list_that_names_no_picture_is_refused(listed: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        load_pictures(["-"], size=8, stdin=io.StringIO(listed))


def test_a_list_that_is_no_text_or_a_terminal_is_refused() -> None:
    with pytest.raises(DataError, match="standard input is no text in utf-8"):
        load_pictures(["-"], size=8, stdin=io.TextIOWrapper(io.BytesIO(b"\xff\xd8\n"), encoding="utf-8"))
    main, terminal = os.openpty()
    with os.fdopen(terminal) as stdin, pytest.raises(DataError, match="standard input, which is a terminal"):
        load_pictures(["-"], size=8, stdin=stdin)
    os.close(main)


@pytest.mark.usefixtures("photos")
def test_what_exists_wins_over_other_readings() -> None:
    for name in ("x[1].png", "val:3", "*.png"):
        Image.new("RGB", (4, 4)).save(name, format="PNG")
    Path("train:0").mkdir()
    Path("photos/z.PNG").rename("train:0/z.png")
    assert named("x[1].png", "val:3", "train:0", "*.png") == ["x[1].png", "val:3", "train:0/z.png", "*.png"]


def test_the_order_is_that_of_the_data_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("b.png", "a/1.png", "a.png", "a-b/1.png", "A/1.png", "a/b/1.png", "a.b/1.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    theirs = list_pictures(tmp_path, labelled=False).paths
    assert load_pictures([tmp_path], size=8).paths == theirs
    assert load_pictures([f"{tmp_path}/**/*.png"], size=8).paths == theirs
    monkeypatch.chdir(tmp_path)
    assert [str(path) for path in load_pictures(["."], size=8).paths] == [str(path.relative_to(tmp_path)) for path in theirs]


def test_links_are_followed_and_give_no_picture_twice(photos: Path) -> None:
    (photos / "c").symlink_to(photos / "a")
    (photos / "loop").symlink_to(photos)
    (photos / "self").symlink_to("self")
    (photos / "again.png").symlink_to(photos / "b" / "x.png")
    assert named("photos") == [*ALL[:2], "photos/again.png", "photos/z.PNG"]
    (photos / "gone.png").symlink_to(photos / "nowhere.png")
    source = load_pictures(["photos"], size=8)
    with pytest.raises(DataError, match=r"gone\.png"):
        source.load(range(len(source)))


def test_names_are_unique_and_as_short_as_that_allows(photos: Path) -> None:
    for name in ("c/a/x.png", "x.png"):
        (photos / name).parent.mkdir(parents=True, exist_ok=True)
        (photos / name).touch()
    source = load_pictures(["photos", "val:1", "train:1", "val:2"], size=8, splits=memory())
    assert [source.name(i) for i in range(len(source))] == [
        "photos/a/x.png", "y.jpg", "b/x.png", "c/a/x.png", "photos/x.png", "z.PNG", "val 1/image 1", "train 1/image 1", "image 2",
    ]  # fmt: skip


def test_names_where_links_make_two_files_look_like_one(photos: Path) -> None:
    (photos.parent / "far" / "a").mkdir(parents=True)
    (photos.parent / "far" / "x.png").touch()
    (photos / "x.png").touch()
    (photos / "link").symlink_to(photos.parent / "far" / "a")
    source = load_pictures(["photos/x.png", "photos/link/../x.png"], size=8)  # the second is far/x.png
    assert len({source.name(0), source.name(1)}) == 2


def test_pixels_and_digests(photos: Path) -> None:
    source = load_pictures(["photos/b/x.png", "val:3", "photos/a"], size=8, splits=memory())
    loaded = source.load([1, 0, 3])
    assert loaded.shape == (3, 3, 8, 8)
    assert loaded.dtype == torch.uint8
    assert torch.equal(loaded[0], IMAGES[13])
    assert loaded[1:, :, 4, 4].tolist() == [[20, 0, 0], [10, 0, 0]]
    assert source.load([]).shape == (0, 3, 8, 8)
    assert (source.labels, source.class_names, source.masks([0])) == (None, (), None)
    assert source.picture(0).size == (9, 7)
    assert (np.asarray(source.picture(1)) == IMAGES[13].permute(1, 2, 0).numpy()).all()
    assert source.digest(0) == hashlib.sha256((photos / "b" / "x.png").read_bytes()).hexdigest()
    assert source.digest(1) == hashlib.sha256(IMAGES[13].numpy().tobytes()).hexdigest() == content_digest(memory().val, 3)
    (photos / "b" / "x.png").unlink()
    for ask in (source.digest, source.picture, lambda i: source.load([i])):
        with pytest.raises(DataError, match=r"photos/b/x\.png cannot be read"):
            ask(0)


def test_a_picture_has_one_digest_wherever_it_comes_from(photos: Path) -> None:
    files = [photos / "a" / "x.png", photos / "b" / "x.png"]
    splits = memory()
    on_disk = FolderSource(Listing(files, None, ()), image_size=8)
    drawn = load_pictures(["train:1"], size=8, splits=Splits(on_disk, on_disk, splits.mean, splits.std, 8, False, "files"))
    assert drawn.digest(0) == content_digest(on_disk, 1) == load_pictures([files[1]], size=8).digest(0)


def test_images_of_a_data_set_of_another_size_are_resized() -> None:
    source = load_pictures(["train:4"], size=4, splits=memory())
    expected = IMAGES[4].float().unfold(1, 2, 2).unfold(2, 2, 2).mean((-2, -1))
    loaded = source.load([0])
    assert loaded.shape == (1, 3, 4, 4)
    assert (loaded[0] - expected).abs().mean() < 25  # a triangle of twice the width in the place of a box
    assert torch.equal(load_pictures(["train:4"], size=8, splits=memory()).load([0])[0], IMAGES[4])


def test_listing_opens_no_file(tmp_path: Path) -> None:
    """The files are empty: any of them that was decoded would be refused."""
    names = [f"{i:06d}.jpg" for i in range(2000)]
    for name in names:
        (tmp_path / name).touch()
    listed = "\n".join(str(tmp_path / name) for name in names)
    source = load_pictures([tmp_path, "-"], size=8, stdin=io.StringIO(listed))
    assert len(source) == 2000
    assert source.name(1999) == "001999.jpg"


def test_listing_needs_no_torch() -> None:
    code = "import sys, cocoa_pl.data.listing; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
