"""Names as people write them: when two are the same one, what the singular may be, and what goes before a name in a sentence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from cocoa_pl.errors import ConfigError

_ARTICLES = ("a", "an", "the")
_ACCENTS = ("\u0300", "\u036f")  # first and last of the marks of Latin, Greek and Cyrillic letters; other scripts' marks are letters
_APOSTROPHES = {ord("'"): None, 0x2019: None}
_IRREGULAR = {
    "calves": "calf", "cattle": "cow", "children": "child", "dice": "die", "elves": "elf", "feet": "foot", "geese": "goose",
    "halves": "half", "hooves": "hoof", "knives": "knife", "leaves": "leaf", "lice": "louse", "lives": "life", "loaves": "loaf",
    "men": "man", "mice": "mouse", "oxen": "ox", "people": "person", "scarves": "scarf", "sheaves": "sheaf", "shelves": "shelf",
    "teeth": "tooth", "thieves": "thief", "wives": "wife", "wolves": "wolf", "women": "woman", "cacti": "cactus", "fungi": "fungus",
    "octopi": "octopus", "antennae": "antenna", "larvae": "larva",
}  # fmt: skip
_NOT_PLURALS_IN_MEN = ("specimen", "abdomen", "ramen", "stamen", "omen", "acumen", "regimen", "hymen", "semen", "lumen", "cyclamen")
_OTHER_THAN_THE_SINGULAR = ("arms", "glasses", "shorts", "news")
_NOT_PLURAL = (
    "atlas", "canvas", "chaos", "christmas", "cosmos", "des", "flandres", "gas", "lens", "pampas", "pancreas", "patas", "pyrenees",
    "rhinoceros", "series", "species", "texas", "thermos", "triceratops",
)  # fmt: skip
_SPOKEN_AS_CONSONANT = re.compile(r"eu|ewe|one\b|once|u(?:bi|fo|ga|k|ni(?![dmn])|r[aio]|s[aeu]|t[eio])")
_SILENT_H = ("hour", "honest", "honor", "honour", "heir")
_LETTERS_SPOKEN_WITH_VOWEL = "AEFHILMNORSX8"


def cleaned(text: str, *, what: str) -> str:
    """A text of the user's with single spaces, as NFC.

    Args:
        text: any text.
        what: the option that gave it, for the message.

    Raises:
        ConfigError: no letter, digit or sign in it, or a control character.
    """
    clean = " ".join(unicodedata.normalize("NFC", text).split())
    if not normalised(clean):
        raise ConfigError(f"{what} {text!r}: is empty; it must be a name or a sentence")
    if any(unicodedata.category(char) in ("Cc", "Cs") for char in clean):
        raise ConfigError(f"{what} {clean!r}: holds a control character; it must be plain text")
    return clean


@cache
def normalised(name: str) -> str:
    """A name or a sentence as it is compared: without case, accents, punctuation, underscores and a first article.

    Example:
        >>> normalised("The Pickup_Truck"), normalised("pick-up  trück!"), normalised("café")
        ('pickup truck', 'pick up truck', 'cafe')
    """
    plain = "".join(char for char in unicodedata.normalize("NFKD", name.casefold()) if not _ACCENTS[0] <= char <= _ACCENTS[1])
    plain = unicodedata.normalize("NFC", plain.translate(_APOSTROPHES))
    words = "".join(" " if unicodedata.category(char)[0] in "PZC" else char for char in plain).split()
    return " ".join(words[1:] if len(words) > 1 and words[0] in _ARTICLES else words)


def synonyms(name: str) -> tuple[str, ...]:
    """What a name lists between commas; the first is the one for sentences.

    Example:
        >>> synonyms("tabby, tabby cat")
        ('tabby', 'tabby cat')
    """
    return tuple(part for part in map(str.strip, name.split(",")) if normalised(part))


@cache
def forms(name: str) -> frozenset[str]:
    """A name, without its spaces, and whatever its singular may be; two names are one if they have a form in common.

    Guesses that are no words do no harm: ``buse`` is nobody's name.

    Example:
        >>> sorted(forms("School Buses")), sorted(forms("school-bus"))
        (['schoolbus', 'schoolbuse', 'schoolbuses'], ['schoolbu', 'schoolbus'])
    """
    *first, last = normalised(name).split() or [""]
    return frozenset("".join(first) + form for form in {last, *_singulars(last)})


def distinct(names: Iterable[str]) -> tuple[str, ...]:
    """Names without those that were there before in other writing.

    Example:
        >>> distinct(["oak_tree", "Oak tree", "oak"])
        ('oak_tree', 'oak')
    """
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(normalised(name), name)
    return tuple(first.values())


def tails(name: str) -> tuple[str, ...]:
    """The last words of a name, all but the first, all but the first two, and so on.

    Example:
        >>> tails("soft-coated wheaten terrier")
        ('coated wheaten terrier', 'wheaten terrier', 'terrier')
    """
    words = normalised(name).split()
    return tuple(" ".join(words[start:]) for start in range(1, len(words)))


def is_plural(name: str) -> bool:
    """Whether a name says several things or has no singular, as far as its ending tells.

    Example:
        >>> [is_plural(name) for name in ("cats", "swimming trunks", "policemen", "bus", "glass", "hen-of-the-woods", "Great Pyrenees")]
        [True, True, True, False, False, False, False]
    """
    last = (name.split() or [""])[-1].casefold()
    if last in _NOT_PLURAL or "-" in last:
        return False
    return last in _IRREGULAR or _plural_in_men(last) or (len(last) > 2 and last.endswith("s") and not last.endswith(("ss", "us", "is")))


def article(name: str) -> str:
    """The indefinite article of a name, by how its first letters are spoken.

    Example:
        >>> [article(name) for name in ("apple", "pear", "unicycle", "umbrella", "hourglass", "SUV", "European coot", "Éclair")]
        ['an', 'a', 'a', 'an', 'an', 'an', 'a', 'an']
    """
    first = (re.split(r"[\s-]", name.strip(), maxsplit=1) or [""])[0]
    if first.isupper() and len(first) < 4:  # letters spoken one by one
        return "an" if first[0] in _LETTERS_SPOKEN_WITH_VOWEL else "a"
    plain = normalised(first)
    if plain.startswith(_SILENT_H):
        return "an"
    return "an" if plain[:1] in tuple("aeiou8") and _SPOKEN_AS_CONSONANT.match(plain) is None else "a"


def begins_with_article(name: str) -> bool:
    """Whether a name brings an article of its own."""
    words = name.casefold().split()
    return len(words) > 1 and words[0] in _ARTICLES


def _singulars(word: str) -> set[str]:
    """What the singular of a word may be, if it is a plural."""
    if word in _OTHER_THAN_THE_SINGULAR:
        return set()
    if word in _IRREGULAR:
        return {_IRREGULAR[word]}
    if _plural_in_men(word):
        return {word[:-2] + "an"}
    found = set()
    if len(word) > 2 and word.endswith("s") and not word.endswith("ss"):
        found.add(word[:-1])
    if word.endswith(("ses", "xes", "zes", "ches", "shes", "oes")):
        found.add(word[:-2])
    if len(word) > 4 and word.endswith("zzes"):
        found.add(word[:-3])  # quizzes
    if len(word) > 4 and word.endswith("ies"):
        found.add(word[:-3] + "y")
    return found


def _plural_in_men(word: str) -> bool:
    return word.endswith("men") and len(word) > 4 and word not in _NOT_PLURALS_IN_MEN
