"""The words of ``--corpus`` and ``--foil``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cocoa_pl.asking.specs import Spec, parse_corpora, parse_foil
from cocoa_pl.errors import ConfigError

FILES = (
    "cats/1.jpg",
    "cats/2.jpg",
    "more/cats/1.jpg",
    "dogs/1.jpg",
    "dogs/2.png",
    "lr=3/x.jpg",
    "lr=3/r.npz",
    "r.npy",
    "many.npz",
    "val:7",
    "a,b/1.jpg",
)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in FILES:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def pictures(name: str, *items: str) -> Spec:
    return Spec(name, "pictures", items)


@pytest.mark.parametrize(
    ("words", "specs"),
    [
        ("self", [Spec("self", "self")]),
        ("me=self", [Spec("me", "self")]),
        ("neighbours:5", [Spec("neighbours", "neighbours", num=5)]),
        ("neighbours:007:cats", [Spec("neighbours", "neighbours", ("cats",), 7)]),
        ("near=neighbours:5:cats/*.jpg", [Spec("near", "neighbours", ("cats/*.jpg",), 5)]),
        ("neighbours:5:train:0-9", [Spec("neighbours", "neighbours", ("train:0-9",), 5)]),
        ("neighbours:5:lr=3", [Spec("neighbours", "neighbours", ("lr=3",), 5)]),
        ("neighbours:5 neighbours:9", [Spec("neighbours 5", "neighbours", num=5), Spec("neighbours 9", "neighbours", num=9)]),
        (
            "clusters:5:cats clusters:5:dogs",
            [Spec("clusters 5 cats", "clusters", ("cats",), 5), Spec("clusters 5 dogs", "clusters", ("dogs",), 5)],
        ),
        ("class:dog", [Spec("dog", "class", ("dog",))]),
        ("class:cats", [Spec("cats", "class", ("cats",))]),  # and not the folder
        ("class:n/a", [Spec("n a", "class", ("n/a",))]),
        ("class:a=b", [Spec("a=b", "class", ("a=b",))]),
        ("class:self", [Spec("self", "class", ("self",))]),
        ("dog 3", [Spec("dog", "class", ("dog",)), Spec("3", "class", ("3",))]),
        ("hunde=class:dog", [Spec("hunde", "class", ("dog",))]),
        ("r.npy", [Spec("r", "reps", ("r.npy",))]),
        ("many.npz#cat", [Spec("cat", "reps", ("many.npz",), key="cat")]),
        ("many.npz#cat r=many.npz#dog", [Spec("cat", "reps", ("many.npz",), key="cat"), Spec("r", "reps", ("many.npz",), key="dog")]),
        ("many.npz#a/b", [Spec("a b", "reps", ("many.npz",), key="a/b")]),
        ("lr=3/r.npz#x", [Spec("x", "reps", ("lr=3/r.npz",), key="x")]),
        ("cats", [pictures("cats", "cats")]),
        ("cats/ dogs", [pictures("cats", "cats/"), pictures("dogs", "dogs")]),
        ("cats more/cats", [pictures("here cats", "cats"), pictures("more cats", "more/cats")]),
        ("cats=dogs cats", [pictures("cats", "dogs"), pictures("here cats", "cats")]),
        ("cats class:cats", [pictures("here cats", "cats"), Spec("cats", "class", ("cats",))]),
        (".", [pictures("here", ".")]),
        ("a,b", [pictures("a b", "a,b")]),
        ("lr=3", [pictures("lr=3", "lr=3")]),
        ("lr=3/*.jpg", [pictures("lr=3", "lr=3/*.jpg")]),
        ("x=lr=3", [pictures("x", "lr=3")]),
        ("cats/*.jpg", [pictures("cats", "cats/*.jpg")]),
        ("**/*.jpg", [pictures("here", "**/*.jpg")]),
        ("cats/1.jpg", [pictures("1", "cats/1.jpg")]),
        ("cats/1.jpg cats/2.jpg", [pictures("cats", "cats/1.jpg", "cats/2.jpg")]),
        ("cats/1.jpg more/cats/1.jpg", [pictures("here", "cats/1.jpg", "more/cats/1.jpg")]),
        ("m=cats/1.jpg cats/2.jpg dogs", [pictures("m", "cats/1.jpg", "cats/2.jpg"), pictures("dogs", "dogs")]),
        ("m= cats/1.jpg cats/2.jpg", [pictures("m", "cats/1.jpg", "cats/2.jpg")]),
        (
            "m=cats/1.jpg cats/2.jpg n=dogs/1.jpg dogs/2.png",
            [pictures("m", "cats/1.jpg", "cats/2.jpg"), pictures("n", "dogs/1.jpg", "dogs/2.png")],
        ),
        ("m=cats dogs/1.jpg", [pictures("m", "cats"), pictures("1", "dogs/1.jpg")]),
        ("cats/1.jpg self dogs/2.png", [pictures("1", "cats/1.jpg"), Spec("self", "self"), pictures("2", "dogs/2.png")]),
        ("train:all val:0,5,7-20", [pictures("train", "train:all"), pictures("val 0 5 7-20", "val:0,5,7-20")]),
        ("val:7", [pictures("val:7", "val:7")]),  # a file
        ("-", [pictures("standard input", "-")]),
    ],
)
def test_words_of_corpus(words: str, specs: list[Spec]) -> None:
    assert list(parse_corpora(words.split())) == specs


@pytest.mark.parametrize(
    ("words", "spec"),
    [
        ("none", Spec("none", "none")),
        ("class:dog", Spec("dog", "class", ("dog",))),
        ("dog", Spec("dog", "class", ("dog",))),
        ("r.npy", Spec("r", "reps", ("r.npy",))),
        ("cats", pictures("cats", "cats")),
        ("cats dogs/1.jpg dogs/2.png train:all", pictures("cats + dogs + train", "cats", "dogs/1.jpg", "dogs/2.png", "train:all")),
        ("cats more/cats", pictures("cats", "cats", "more/cats")),
        ("ordinary=cats dogs", pictures("ordinary", "cats", "dogs")),
        ("cats ordinary=dogs", pictures("ordinary", "cats", "dogs")),
        ("o=cats o=dogs", pictures("o", "cats", "dogs")),
        ("o= cats/1.jpg", pictures("o", "cats/1.jpg")),
    ],
)
def test_words_of_foil(words: str, spec: Spec) -> None:
    assert parse_foil(words.split()) == spec


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--corpus: names nothing"),
        ([""], "--corpus '': is empty"),
        (["class:"], "--corpus 'class:': is empty"),
        (["nowhere.jpg"], "--corpus nowhere.jpg: no such file or folder"),
        (["a=nowhere/"], "--corpus a=nowhere/: no such file or folder"),
        (["cats/1.jpg,cats/2.jpg"], "no such file or folder"),
        (["nowhere.npy"], "--corpus nowhere.npy: no such file$"),
        (["nowhere.npz#a"], "--corpus nowhere.npz#a: no such file$"),
        (["r.npy#a"], "--corpus r.npy#a: a .npy holds one array, which has no name; leave out #a"),
        (["many.npz#"], "--corpus many.npz#: no array is named after the #"),
        (["dogs/*.gif"], r"--corpus dogs/\*.gif: matches no file"),
        (["neighbours"], "--corpus neighbours: how many\\? as in neighbours:10"),
        (["neighbours:"], "'' is no number of neighbours; it must be a whole number from 1, as in neighbours:10"),
        (["neighbours:0"], "'0' is no number of neighbours"),
        (["neighbours:-3"], "'-3' is no number"),
        (["neighbours:2.5"], "'2.5' is no number"),
        (["clusters:many"], "'many' is no number of clusters"),
        (["clusters:3:"], "'' is no folder to look in; it must exist, as in clusters:3:photos/"),
        (["clusters:3:nowhere"], "'nowhere' is no folder to look in"),
        (["clusters:3:nowhere/"], "clusters:3:nowhere/: no such file or folder"),
        (["clusters:3:many.npz"], "'many.npz' is no folder to look in"),
        (["neighbors:5"], r"unknown 'neighbors' before the colon; choose from: class, .* \(did you mean 'neighbours'\?\)"),
        (["val:5-3"], "--corpus val:5-3: '5-3' is no image or range of images"),
        (["train:"], "'' is no image or range of images"),
        (["none"], "--corpus none: is for --foil; without a corpus of your own it is --corpus self"),
        (["=cats"], "'' is no name; NAME= takes 1 to 40 characters"),
        ([" =cats"], "'' is no name"),
        (["a,b=cats"], "'a,b' is no name; NAME= takes 1 to 40 characters but not / or ,"),
        (["a\nb=cats"], r"'a\\nb' is no name"),
        (["a" * 41 + "=cats"], "'a{41}' is no name"),
        (["lr=4/x.jpg"], "--corpus lr=4/x.jpg: no such file or folder"),
        (["runs/lr=4"], "'runs/lr' is no name, and no file or folder is called so"),
        (["a="], "--corpus a=: no picture follows the name; it must be NAME=VALUE, or NAME= before picture files"),
        (["a=", "dogs"], "--corpus a=: no picture follows the name"),
        (["a=cats", "a=dogs"], "--corpus a=cats a=dogs: both are called 'a'; give one of them another name by NAME="),
        (["dog", "class:dog"], "--corpus dog class:dog: both are called 'dog'"),
        (["self", "self"], "--corpus self self: both are called 'self'"),
        (["cats", "./cats"], r"--corpus cats ./cats: both are called 'cats'"),
    ],
)
def test_what_is_no_corpus_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        parse_corpora(words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("self", "--foil self: is for --corpus; a foil is pictures, a class, representations or none"),
        ("neighbours:5", "--foil neighbours:5: is for --corpus"),
        ("clusters:5", "--foil clusters:5: is for --corpus"),
        ("none cats", "--foil none cats: only pictures can be joined, and none is no foil"),
        ("cats dog", "--foil cats dog: only pictures can be joined, and dog is a class"),
        ("dog cat", "--foil dog cat: only pictures can be joined, and dog is a class"),
        ("cats r.npy", "and r.npy is a file of representations"),
        ("a=cats b=dogs", "--foil: has the names 'a' and 'b'; all its words make one foil, which has one name"),
        ("nowhere.png", "--foil nowhere.png: no such file or folder"),
    ],
)
def test_what_is_no_foil_is_refused(words: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_foil(words.split())


def test_names_of_any_script_are_names_in_one_spelling() -> None:
    assert [spec.name for spec in parse_corpora(["große Hunde=dogs", " 猫 =cats", "e\u0301=class:3"])] == ["große Hunde", "猫", "\u00e9"]
    Path("e\u0301").mkdir()
    assert parse_corpora(["e\u0301"])[0] == pictures("\u00e9", "e\u0301")


def test_names_of_long_paths_are_cut() -> None:
    Path("x" * 60).mkdir()
    assert parse_corpora(["x" * 60])[0].name == "x" * 39 + "…"


def test_thousands_of_files_as_a_shell_makes_them_of_a_glob() -> None:
    Path("heap").mkdir()
    names = [f"heap/{i}.jpg" for i in range(2000)]
    for name in names:
        Path(name).touch()
    assert parse_corpora(names) == (pictures("heap", *names),)


def test_no_torch_is_needed() -> None:
    code = "import sys, cocoa_pl.asking.specs; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[2]).returncode == 0
