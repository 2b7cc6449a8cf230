"""Lists of names: those of well-known data sets, and files with one a line."""

from __future__ import annotations

import difflib
import importlib
import os
import re
from collections.abc import Callable

from cocoa_pl.errors import ConfigError, choices_hint

LISTS = {"cifar100": "CIFAR-100", "imagenet": "ImageNet"}
"""The built-in lists, and what people call them."""

_LARGEST = 2**20  # bytes of a file
_NEAR = 0.85  # of two names, one of them mistyped
_CIFAR100 = """
    apple, aquarium fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, bridge, bus, butterfly, camel, can, castle,
    caterpillar, cattle, chair, chimpanzee, clock, cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish,
    forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn mower, leopard, lion, lizard, lobster, man, maple tree, motorcycle,
    mountain, mouse, mushroom, oak tree, orange, orchid, otter, palm tree, pear, pickup truck, pine tree, plain, plate, poppy, porcupine,
    possum, rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk, skyscraper, snail, snake, spider, squirrel, streetcar,
    sunflower, sweet pepper, table, tank, telephone, television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale, willow tree,
    wolf, woman, worm
"""


def concept_list(name: str) -> tuple[str, ...]:
    """The names of a built-in list, in the order of the data set's labels.

    Raises:
        ConfigError: unknown name; the message lists the choices.

    Example:
        >>> concept_list("cifar100")[:3]
        ('apple', 'aquarium fish', 'baby')
    """
    if name not in _READERS:
        raise ConfigError(f"unknown list of names {name!r}; {choices_hint(name, LISTS)}")
    return _READERS[name]()


def find_list(text: str, *, what: str) -> str | None:
    """The built-in list that a text means, however it writes it; None for a text that means no list, as one with braces.

    Args:
        text: a word of the user's.
        what: the option that gave it, for the message.

    Raises:
        ConfigError: nearly the name of a list, which is more likely a slip than a concept.

    Example:
        >>> [find_list(text, what="--foil-text") for text in ("CIFAR-100", "cat")]
        ['cifar100', None]
    """
    if "{" in text or "}" in text:
        return None
    plain = re.sub(r"[-_\s]", "", text.casefold())
    if plain in LISTS:
        return plain
    but_for_numbers = _letters(plain) in map(_letters, LISTS)
    if but_for_numbers or difflib.get_close_matches(plain, LISTS, n=1, cutoff=_NEAR):
        raise ConfigError(
            f"{what} {text}: unknown list of names; {choices_hint(plain, LISTS)}; a concept of this name would be '{{{text}}}'"
        )
    return None


def list_words(name: str) -> str:
    """A built-in list, for people: ``the 100 names of CIFAR-100``."""
    return f"the {len(concept_list(name))} names of {LISTS[name]}"


def file_words(path: str, num: int) -> str:
    """A file of names, for people.

    Example:
        >>> file_words("lists/animals.txt", 12)
        'the 12 names in animals.txt'
    """
    return f"the {num} names in {os.path.basename(path)}" if num != 1 else f"the name in {os.path.basename(path)}"


def read_list(path: str, *, what: str) -> tuple[str, ...]:
    """The lines of a UTF-8 file, each once; empty lines and those that begin with ``#`` are left out.

    Args:
        path: ``~`` is the home folder.
        what: the option that gave it, for messages.

    Raises:
        ConfigError: not there, not readable, no text, too large, or no line in it.
    """
    try:
        with open(os.path.expanduser(path), "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise ConfigError(f"{what} @{path}: no such file") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{what} @{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if len(content) > _LARGEST:
        raise ConfigError(f"{what} @{path}: is larger than 1 MB; it must be a list with one text a line")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{what} @{path}: is no text in UTF-8 (byte {error.start} is {content[error.start]:#04x})") from error
    if "\0" in text:
        raise ConfigError(f"{what} @{path}: is no text but binary; it must be a list with one text a line")
    lines = [line.strip() for line in text.splitlines()]
    kept = tuple(dict.fromkeys(line for line in lines if line and not line.startswith("#")))
    if not kept:
        raise ConfigError(f"{what} @{path}: holds no line; it must have one text a line")
    return kept


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name)


def _cifar100() -> tuple[str, ...]:
    return tuple(name.strip() for name in _CIFAR100.split(","))


def _imagenet() -> tuple[str, ...]:
    models = importlib.import_module("torchvision.models")  # seconds, and torch: only where it is asked for
    return tuple(map(str, models.ResNet50_Weights.DEFAULT.meta["categories"]))


_READERS: dict[str, Callable[[], tuple[str, ...]]] = {"cifar100": _cifar100, "imagenet": _imagenet}
