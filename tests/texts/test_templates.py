"""Templates: filling them, reading them, and concepts in braces."""

from __future__ import annotations

from pathlib import Path

import pytest

from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.asked import ConceptBank
from cocoa_pl.texts.templates import DEFAULT, SETS, fill, parse_templates, slot


@pytest.mark.parametrize(
    ("template", "concept", "sentence"),
    [
        ("a photo of a {}", "dog", "a photo of a dog"),
        ("a photo of an {}", "dog", "a photo of a dog"),
        ("a photo of a {}", "owl", "a photo of an owl"),
        ("A {} in the snow", "owl", "An owl in the snow"),
        ("A {} in the snow", "dogs", "dogs in the snow"),
        ("a photo of  a  {}.", "owl", "a photo of  an  owl."),
        ("a photo of the {}", "owls", "a photo of the owls"),
        ("a photo of a small {}", "owl", "a photo of a small owl"),
        ("a sepia {}", "owl", "a sepia owl"),
        ("pizza {}", "owl", "pizza owl"),
        ("a photo of a {}", "a dog", "a photo of a dog"),
        ("a photo of a {}", "pickup_truck", "a photo of a pickup truck"),
        ("a photo of a {}", "tabby, tabby cat", "a photo of a tabby"),
        ("a photo of a {}", "100% wool", "a photo of a 100% wool"),
        ("{}", r"\1 back", r"\1 back"),
        ("ein Foto: {}", "Katze", "ein Foto: Katze"),
    ],
)
def test_fill(template: str, concept: str, sentence: str) -> None:
    assert fill(template, concept) == sentence


def test_the_set_of_photos_takes_any_name() -> None:
    for template in SETS["photos"]:
        before, after = template.split("a {}")
        for name, phrase in (("dog", "a dog"), ("owl", "an owl"), ("scissors", "scissors")):
            assert fill(template, name) == before + phrase + after
    assert len(set(SETS["photos"])) == 8
    assert SETS["photos"][0] == DEFAULT


def test_prompts_of_a_bank_have_the_right_article() -> None:
    assert ConceptBank(("owl", "dog"), (DEFAULT, "one {}"), "two names").prompts("owl") == ("a photo of an owl", "one owl")


@pytest.mark.parametrize(
    ("sentence", "found"),
    [
        ("a photo of a {cat}", ("a photo of a {}", "cat")),
        ("{ golden  retriever }s", ("{}s", "golden retriever")),
        ("{cat}", ("{}", "cat")),
        ("an {owl} at night", ("an {} at night", "owl")),
    ],
)
def test_slot(sentence: str, found: tuple[str, str]) -> None:
    assert slot(sentence) == found


@pytest.mark.parametrize(
    ("sentence", "message"),
    [
        ("a {cat} and a {dog}", "has two pairs of braces; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a {cat", "its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a }cat{", "its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a {{cat}}", "its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a cat", "its braces do not pair; it must mark one concept, as in 'a photo of a {cat}'"),
        ("a {}", "names nothing in its braces; it must mark a concept, as in 'a photo of a {cat}'"),
        ("a { - }", "names nothing in its braces; it must mark a concept, as in 'a photo of a {cat}'"),
    ],
)
def test_braces_that_mark_no_concept(sentence: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        slot(sentence, what="--foil-text")
    assert str(error.value) == f"--foil-text {sentence!r}: {message}"


def test_templates_of_words_sets_and_files(tmp_path: Path) -> None:
    file = tmp_path / "t.txt"
    file.write_text("# mine\nan  {}\nphotos\n")
    assert parse_templates(["a {}", f"@{file}", "a {}"]) == ("a {}", "an {}", *SETS["photos"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "--template: names nothing; it must be a sentence with {}, as in 'a photo of a {}'"),
        (["photo"], "--template photo: is no sentence with {} and no set of such; choose from: photos (did you mean 'photos'?)"),
        (["a photo of a"], "--template 'a photo of a': must have one {} where the concept goes, as in 'a photo of a {}'"),
        (["a {} and a {}"], "--template 'a {} and a {}': must have one {} where the concept goes, as in 'a photo of a {}'"),
        (["a photo of a {cat}"], "--template 'a photo of a {cat}': must have one {} where the concept goes, as in 'a photo of a {}'"),
        (["a }{"], "--template 'a }{': must have one {} where the concept goes, as in 'a photo of a {}'"),
        ([""], "--template '': is empty; it must be a name or a sentence"),
        (["@nowhere.txt"], "--template @nowhere.txt: no such file"),
    ],
)
def test_templates_that_are_none(words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_templates(words)
    assert str(error.value) == message
