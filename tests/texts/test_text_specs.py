"""The words of ``--corpus-text``, ``--foil-text`` and ``--concepts``."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.asked import ConceptBank, TextCorpus, TextFoil
from cocoa_pl.texts.specs import parse_concepts, parse_text_corpora, parse_text_foil
from cocoa_pl.texts.templates import DEFAULT, SETS

TEMPLATES = ("a drawing of a {}", "the {}")
LONG = "w" * 41


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("asked.txt").write_text("# two\ndog\npet=a photo of a {cat}\n")
    Path("names.txt").write_text("cat\nDog\ntabby, tabby cat\ndog\n")
    Path("texts.txt").write_text("cat\nan empty room at night\n")
    Path("broken.txt").write_text("a {cat\n")


def concept(name: str, concept: str, *prompts: str, templates: tuple[str, ...] = (DEFAULT,)) -> TextCorpus:
    return TextCorpus(name, concept, templates, prompts)


@pytest.mark.parametrize(
    ("word", "templates", "expected"),
    [
        ("a photo of a {cat}", None, concept("cat", "cat", "a photo of a cat")),
        ("a sketch: {owl}", TEMPLATES, concept("owl", "owl", "a sketch: owl", templates=("a sketch: {}",))),
        ("an {cat}", None, concept("cat", "cat", "a cat", templates=("an {}",))),
        ("cat", None, concept("cat", "cat", "a photo of a cat")),
        ("{cat}", None, concept("cat", "cat", "a photo of a cat")),
        ("{a very large grey cat}", None, concept("a very large grey cat", "a very large grey cat", "a photo of a very large grey cat")),
        ("cat", TEMPLATES, concept("cat", "cat", "a drawing of a cat", "the cat", templates=TEMPLATES)),
        ("{cat}", TEMPLATES, concept("cat", "cat", "a drawing of a cat", "the cat", templates=TEMPLATES)),
        ("cat", ("a {}", "an {}"), concept("cat", "cat", "a cat", templates=("a {}", "an {}"))),
        ("  large   grey owl ", None, concept("large grey owl", "large grey owl", "a photo of a large grey owl")),
        ("a large grey owl", None, TextCorpus("a large grey owl", None, (), ("a large grey owl",))),
        ("a large grey owl", ("see {}",), concept("a large grey owl", "a large grey owl", "see a large grey owl", templates=("see {}",))),
        (LONG, None, TextCorpus("w" * 39 + "…", None, (), (LONG,))),
        ("cafe\u0301", None, concept("café", "café", "a photo of a café")),
        ("tabby, tabby cat", None, concept("tabby", "tabby, tabby cat", "a photo of a tabby")),
        ("a square, a circle", None, TextCorpus("a square a circle", None, (), ("a square, a circle",))),
        ("pet=cat", None, concept("pet", "cat", "a photo of a cat")),
        ("my pet = a photo of a {cat}", None, concept("my pet", "cat", "a photo of a cat")),
        ("e=mc=2", None, concept("e", "mc=2", "a photo of a mc=2")),
        ("a sign that says 2=2", None, TextCorpus("a sign that says 2=2", None, (), ("a sign that says 2=2",))),
        ("{a=b}", None, concept("a=b", "a=b", "a photo of an a=b")),
        ("cats", None, concept("cats", "cats", "a photo of cats")),
        ("{cifar100}", None, concept("cifar100", "cifar100", "a photo of a cifar100")),
        ("猫", None, concept("猫", "猫", "a photo of a 猫")),
    ],
)
def test_a_word_of_corpus_text(word: str, templates: tuple[str, ...] | None, expected: TextCorpus) -> None:
    assert parse_text_corpora([word], templates) == (expected,)


def test_each_line_of_a_file_is_a_corpus() -> None:
    assert parse_text_corpora(["@asked.txt", "owl"], None) == (
        concept("dog", "dog", "a photo of a dog"),
        concept("pet", "cat", "a photo of a cat"),
        concept("owl", "owl", "a photo of an owl"),
    )


def test_one_concept_in_two_sentences_has_the_names_of_the_sentences() -> None:
    found = parse_text_corpora(["a photo of a {cat}", "a drawing of a {cat}", "dog"], None)
    assert [corpus.name for corpus in found] == ["a photo of a cat", "a drawing of a cat", "dog"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "--corpus-text: names nothing; it must be a text, as in 'a photo of a {cat}'"),
        (" ", "--corpus-text ' ': is empty; it must be a name or a sentence"),
        ("pet=", "--corpus-text '': is empty; it must be a name or a sentence"),
        ("cat\x07", "--corpus-text 'cat\\x07': holds a control character; it must be plain text"),
        ("a/b=cat", "--corpus-text 'a/b=cat': 'a/b' is no name; NAME= takes 1 to 40 characters but not / or ,"),
        ("=cat", "--corpus-text '=cat': '' is no name; NAME= takes 1 to 40 characters but not / or ,"),
        (f"{LONG}=cat", f"--corpus-text '{LONG}=cat': '{LONG}' is no name; NAME= takes 1 to 40 characters but not / or ,"),
        ("a {}", "--corpus-text 'a {}': names nothing in its braces; it must mark a concept, as in 'a photo of a {cat}'"),
        ("a {cat", "--corpus-text 'a {cat': its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("{cat} or {dog}", "--corpus-text '{cat} or {dog}': has two pairs of braces; it must mark one concept, as in 'a photo of a {cat}'"),
        ("{a, b} c", "--corpus-text '{a, b} c': has a comma in its braces; it must mark one concept, as in 'a photo of a {cat}'"),
        ("cifar100", "--corpus-text cifar100: is a list of names; --concepts cifar100 compares pictures with all of them"),
        (
            "cifar10",
            "--corpus-text cifar10: unknown list of names; choose from: cifar100, imagenet (did you mean 'cifar100'?); "
            "a concept of this name would be '{cifar10}'",
        ),
        ("a=cat|a=dog", "--corpus-text 'a=cat' 'a=dog': both are called 'a'; give one another name by NAME=, or leave it out"),
        ("cat|{cat}", "--corpus-text 'cat' '{cat}': both are called 'a photo of a cat'; give one another name by NAME=, or leave it out"),
        ("@nowhere", "--corpus-text @nowhere: no such file"),
        ("@broken.txt", "--corpus-text 'a {cat': its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a=@asked.txt",
         "--corpus-text a=@asked.txt: each line of a file is a corpus of its own; name them in the file, by NAME= before a text"),
    ],
)  # fmt: skip
def test_corpus_texts_that_are_none(words: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_text_corpora(words.split("|") if words else [], None)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dog", TextFoil(("dog",), (), "dog")),
        ("{a very large grey dog}", TextFoil(("a very large grey dog",), (), "a very large grey dog")),
        ("neutral", TextFoil(("thing",), (), "a neutral word")),
        ("a {owl}", TextFoil((), ("an owl",), "'an owl'")),
        ("an empty room, at night", TextFoil((), ("an empty room, at night",), "'an empty room at night'")),
        (LONG, TextFoil((), (LONG,), f"'{'w' * 39}…'")),
        ("dog|Dog|a room with no cat|A room with no cat", TextFoil(("dog",), ("a room with no cat",), "4 texts")),
        ("@texts.txt", TextFoil(("cat",), ("an empty room at night",), "the 2 names in texts.txt")),
        ("@texts.txt|dog|wolf", TextFoil(("cat", "dog", "wolf"), ("an empty room at night",), "the 2 names in texts.txt, dog and wolf")),
        ("@names.txt", TextFoil(("cat", "Dog", "tabby, tabby cat"), (), "the 4 names in names.txt")),
    ],
)
def test_foil_text(words: str, expected: TextFoil) -> None:
    assert parse_text_foil(words.split("|")) == expected


def test_foil_text_of_lists() -> None:
    foil = parse_text_foil(["CIFAR-100", "imagenet", "neutral"])
    assert foil.words == "the 100 names of CIFAR-100, the 1000 names of ImageNet and a neutral word"
    assert len({name.casefold() for name in foil.concepts}) == len(foil.concepts)
    assert {"sweet pepper", "black and gold garden spider", "thing"} <= set(foil.concepts)
    assert foil.sentences == ()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--foil-text: names nothing; it must be a list, a word or a sentence"),
        ([""], "--foil-text '': is empty; it must be a name or a sentence"),
        (["cat\x07"], "--foil-text 'cat\\x07': holds a control character; it must be plain text"),
        (["a {cat"], "--foil-text 'a {cat': its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        (["@nowhere"], "--foil-text @nowhere: no such file"),
        (
            ["imagenets"],
            "--foil-text imagenets: unknown list of names; choose from: cifar100, imagenet (did you mean 'imagenet'?); "
            "a concept of this name would be '{imagenets}'",
        ),
    ],
)
def test_foil_texts_that_are_none(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_text_foil(words)
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("cat|dog", ConceptBank(("cat", "dog"), (DEFAULT,), "cat and dog")),
        ("cat|{dog}|a very large grey dog|owl", ConceptBank(("cat", "dog", "a very large grey dog", "owl"), (DEFAULT,), "4 names")),
        ("cat|@names.txt", ConceptBank(("cat", "Dog", "tabby, tabby cat"), (DEFAULT,), "the 4 names in names.txt and cat")),
    ],
)
def test_concepts(words: str, expected: ConceptBank) -> None:
    found = parse_concepts(words.split("|"), None)
    assert (set(found.concepts), found.templates, found.words) == (set(expected.concepts), expected.templates, expected.words)


def test_concepts_of_a_list_in_templates() -> None:
    bank = parse_concepts(["cifar100", "unicorn"], SETS["photos"])
    assert bank.words == "the 100 names of CIFAR-100 and unicorn"
    assert (len(bank.concepts), bank.concepts[-1], bank.templates) == (101, "unicorn", SETS["photos"])
    assert len({prompt for name in bank.concepts for prompt in bank.prompts(name)}) == 808


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--concepts: has 0 concepts; it must have 2 to 20000, as each is contrasted with all of them"),
        (["cat", "CAT"], "--concepts: has 1 concept; it must have 2 to 20000, as each is contrasted with all of them"),
        (["@many.txt"], "--concepts: has 20001 concepts; it must have 2 to 20000, as each is contrasted with all of them"),
        (["cat", ""], "--concepts '': is empty; it must be a name or a sentence"),
        (["a {cat}", "dog"], "--concepts 'a {cat}': is a sentence; concepts are names, which --template 'a {}' puts in a sentence"),
        (
            ["cifar"],
            "--concepts cifar: unknown list of names; choose from: cifar100, imagenet (did you mean 'cifar100'?); "
            "a concept of this name would be '{cifar}'",
        ),
    ],
)
def test_concepts_that_are_none(words: list[str], message: str) -> None:
    Path("many.txt").write_text("\n".join(f"name {number}" for number in range(20_001)))
    with pytest.raises(ConfigError) as error:
        parse_concepts(words, None)
    assert str(error.value) == message


def test_no_torch_is_needed() -> None:
    code = (
        "import sys; from cocoa_pl.texts import hygiene, specs;"
        "foil = specs.parse_text_foil(['cifar100', 'neutral']);"
        "hygiene.foil_of(specs.parse_text_corpora(['cat'], None)[0], foil);"
        "sys.exit('torch' in sys.modules or 'torchvision' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0


def test_a_file_of_very_many_texts_is_sent_to_concepts(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    for num in (200, 201):
        path.write_text("\n".join(f"thing {number}" for number in range(num)))
        if num == 200:
            assert len(parse_text_corpora([f"@{path}"], None)) == num
        else:
            with pytest.raises(
                ConfigError, match=r"--corpus-text: has 201 texts; it must have at most 200, .* --concepts compares pictures"
            ):
                parse_text_corpora([f"@{path}"], None)
