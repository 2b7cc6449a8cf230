"""Names in other writing, in the plural, and their articles."""

from __future__ import annotations

import pytest

from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.words import article, cleaned, distinct, forms, is_plural, normalised

SAME = [
    ("cat", "cats"), ("bus", "buses"), ("mouse", "mice"), ("leaf", "leaves"), ("knife", "knives"), ("wolf", "wolves"), ("fox", "foxes"),
    ("church", "churches"), ("dish", "dishes"), ("berry", "berries"), ("cookie", "cookies"), ("tie", "ties"), ("potato", "potatoes"),
    ("shoe", "shoes"), ("horse", "horses"), ("axe", "axes"), ("lens", "lenses"), ("quiz", "quizzes"),
    ("policeman", "policemen"), ("woman", "women"),
    ("specimen", "specimens"), ("person", "people"), ("emu", "emus"), ("octopus", "octopuses"),
    ("house", "houses"), ("monkey", "monkeys"), ("lawn mower", "lawnmowers"), ("school_bus", "School Buses"), ("oak-tree", "oak trees"),
    ("sea horse", "seahorse"), ("a cat", "the cats"), ("jack-o'-lantern", "jack o lanterns"), ("\uff34\uff36", "tv"), ("résumé", "resumes"),
    ("café", "cafe\u0301s"),
]  # fmt: skip
DIFFERENT = [
    ("plane", "plan"), ("planes", "plan"), ("princess", "princes"), ("bus", "bush"), ("bra", "brass"), ("glasses", "glass"),
    ("man", "woman"),
    ("car", "cart"), ("cat", "caterpillar"), ("pin", "pine"), ("ramen", "raman"), ("bear", "beard"), ("ray", "rays of light"), ("か", "が"),
    ("shorts", "short"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_name_in_two_forms(one: str, other: str) -> None:
    assert forms(one) & forms(other)


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_two_names(one: str, other: str) -> None:
    assert not forms(one) & forms(other)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("  Pick-Up__TRUCK ", "pick up truck"),
        ("St. Bernard", "st bernard"),
        ("Ñandú", "nandu"),
        ("a", "a"),
        ("🐱", "🐱"),
        ("--", ""),
        ("Straße", "strasse"),
    ],
)
def test_normalised(name: str, expected: str) -> None:
    assert normalised(name) == expected
    assert normalised(expected) == expected


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        ("an", "apple|orange|umbrella|urchin|hour|heirloom|X-ray|MRI scan|SUV|8 ball|Éclair|unidentified object|onion|usher|iPod|Old"),
        ("a", "pear|unicorn|university|European owl|ukulele|one-way sign|once-over|utensil|urinal|user|ewe|TV|UFO|hamster|house|yacht|7"),
    ],
)  # fmt: skip
def test_article_is_how_a_name_is_spoken(expected: str, names: str) -> None:
    assert {name: article(name) for name in names.split("|")} == dict.fromkeys(names.split("|"), expected)


@pytest.mark.parametrize(
    ("expected", "names"),
    [
        (True, "cats|scissors|trousers|parallel bars|sunglasses|people|cattle|mice|firemen|kangaroos"),
        (False, "cat|bus|glass|iris|gas|lens|specimen|triceratops|hen-of-the-woods|Bouvier des Flandres|s|men's room|"),
    ],
)  # fmt: skip
def test_is_plural(expected: bool, names: str) -> None:
    assert {name: is_plural(name) for name in names.split("|")} == dict.fromkeys(names.split("|"), expected)


def test_distinct_keeps_the_first_writing_and_the_order() -> None:
    assert distinct(["Oak_Tree", "ash", "oak tree", "the ash", "oaks"]) == ("Oak_Tree", "ash", "oaks")


def test_cleaned_is_nfc_with_single_spaces() -> None:
    assert cleaned(" a\tcafe\u0301 \n", what="--x") == "a café"


@pytest.mark.parametrize("text", ["", "  \t", "...", "_", "\x00"])
def test_nothing_in_a_text(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--x '.*': is empty; it must be a name or a sentence$"):
        cleaned(text, what="--x")


@pytest.mark.parametrize("text", ["cat\x07", "\ud800cat", "a\x1b[31mcat"])
def test_control_characters(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^--x '.*': holds a control character; it must be plain text$"):
        cleaned(text, what="--x")
