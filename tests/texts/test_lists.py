"""Built-in lists of names, and lists in files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.lists import LISTS, concept_list, find_list, list_words, read_list


def test_cifar100_is_in_the_order_of_its_labels() -> None:
    names = concept_list("cifar100")
    assert len(set(names)) == 100
    assert list(names) == sorted(names)
    assert {number: names[number] for number in (0, 13, 31, 41, 52, 58, 71, 83, 99)} == {
        0: "apple", 13: "bus", 31: "elephant", 41: "lawn mower", 52: "oak tree", 58: "pickup truck", 71: "sea", 83: "sweet pepper",
        99: "worm",
    }  # fmt: skip


def test_imagenet_is_in_the_order_of_its_labels() -> None:
    names = concept_list("imagenet")
    assert len(set(names)) == 1000
    assert {number: names[number] for number in (0, 207, 281, 817, 999)} == {
        0: "tench", 207: "golden retriever", 281: "tabby", 817: "sports car", 999: "toilet tissue",
    }  # fmt: skip


def test_lists_for_people() -> None:
    assert [list_words(name) for name in LISTS] == ["the 100 names of CIFAR-100", "the 1000 names of ImageNet"]


def test_an_unknown_list() -> None:
    with pytest.raises(ConfigError) as error:
        concept_list("cifar10")
    assert str(error.value) == "unknown list of names 'cifar10'; choose from: cifar100, imagenet (did you mean 'cifar100'?)"


@pytest.mark.parametrize(
    ("text", "found"),
    [("cifar100", "cifar100"), ("CIFAR_100", "cifar100"), ("Image-Net", "imagenet"), ("image", None), ("{cifar10}", None), ("net", None)],
)
def test_a_list_in_any_writing(text: str, found: str | None) -> None:
    assert find_list(text, what="--foil-text") == found


@pytest.mark.parametrize("text", ["cifar10", "cifar", "imagenett", "ImageNet-1", "imagnet", "cifar1000"])
def test_nearly_a_list_is_no_concept(text: str) -> None:
    with pytest.raises(
        ConfigError, match=rf"^--foil-text {text}: unknown list of names; .*; a concept of this name would be '\{{{text}\}}'$"
    ):
        find_list(text, what="--foil-text")


@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"cat\ndog", ("cat", "dog")),
        (b"\xef\xbb\xbfcat\r\n\r\n  # no\r\n#dog\r\n cat \r\ndog # a pet\r\n", ("cat", "dog # a pet")),
        ("Kätzchen\n猫\n".encode(), ("Kätzchen", "猫")),
        (b"x" * 2**20, ("x" * 2**20,)),
    ],
)
def test_read_list(content: bytes, lines: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "names").write_bytes(content)
    assert read_list(str(tmp_path / "names"), what="--x") == lines


def test_a_list_in_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "names").write_text("cat")
    assert read_list("~/names", what="--x") == ("cat",)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no line; it must have one text a line"),
        (b"# only\n \n", "holds no line; it must have one text a line"),
        (b"caf\xe9", "is no text in UTF-8 (byte 3 is 0xe9)"),
        ("cat\n".encode("utf-16"), "is no text in UTF-8 (byte 0 is 0xff)"),
        (b"cat\0dog", "is no text but binary; it must be a list with one text a line"),
        (b"x" * (2**20 + 1), "is larger than 1 MB; it must be a list with one text a line"),
    ],
)
def test_a_file_that_is_no_list(content: bytes, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("names").write_bytes(content)
    with pytest.raises(ConfigError) as error:
        read_list("names", what="--x")
    assert str(error.value) == f"--x @names: {message}"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere", "no such file"),
        (".", "cannot be read (Is a directory)"),
        ("", "no such file"),
        ("a\0b", "cannot be read (embedded null byte)"),
    ],
)
def test_a_path_that_cannot_be_read(path: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        read_list(path, what="--x")
    assert str(error.value) == f"--x @{path}: {message}"
