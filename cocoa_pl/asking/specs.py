"""The grammar of ``--corpus`` and ``--foil``: what each word on the command line asks for.

No torch here: a wrong option fails in a fraction of a second. Pictures are not opened, classes not looked up.
"""

from __future__ import annotations

import glob
import os
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from cocoa_pl.asking.names import glob_folder, path_names
from cocoa_pl.data.listing import id_ranges, of_data_set
from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.formats import EXTENSIONS
from cocoa_pl.texts.names import LONGEST, is_name, tidy, unique_names

_PREFIXES = ("class", "clusters", "neighbours", "train", "val")
_OF_EXPLICANDS = ("self", "neighbours", "clusters")  # no foil can be made of these
_COUNTED = re.compile(r"(neighbours|clusters):([^:]*)(?::(.*))?", re.DOTALL)
_ARRAYS = (".npy", ".npz")
_COUNT = re.compile(r"[0-9]{1,9}")
_AS = {"class": "a class", "reps": "a file of representations", "none": "no foil"}
_IN_ARCHIVE = re.compile(r"(.+\.np[yz])#(.*)", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Spec:
    """A corpus or a foil, as asked for.

    Attributes:
        name: what it is called in reports: as given by ``NAME=``, else after its folder, class or kind.
        kind: ``pictures``, ``class``, ``self``, ``neighbours``, ``clusters``, ``reps`` or ``none``.
        items: of pictures, and of the pool of neighbours and clusters: items for ``load_pictures``; of a class its name or number; of
            representations their file.
        num: neighbours or clusters.
        key: name of the array in an ``.npz``.
    """

    name: str
    kind: str
    items: tuple[str, ...] = ()
    num: int = 0
    key: str | None = None


@dataclass(frozen=True)
class _Word:
    """What one word says."""

    text: str
    name: str | None  # as given
    kind: str
    items: tuple[str, ...] = ()
    num: int = 0
    key: str | None = None
    joins: bool = False  # picture files, of which several words make one corpus
    names: tuple[str, ...] = field(default=())  # what it may be called where no name is given, the shortest first

    def spec(self, name: str) -> Spec:
        return Spec(name, self.kind, self.items, self.num, self.key)


def parse_corpora(texts: Sequence[str]) -> tuple[Spec, ...]:
    """The corpora that ``--corpus`` asks for, a target each.

    A word is ``[NAME=]VALUE`` with VALUE one of ``self``; ``neighbours:K[:POOL]``; ``clusters:K[:POOL]``; ``class:NAME``, or the bare name
    or number of a class; a file, a folder, a glob, ``train:IDS`` or ``val:IDS``; a file of representations, ``x.npy`` or ``x.npz#KEY``.
    What exists under a word's name is what is meant. Picture files in a row make one corpus, and ``NAME=`` before the first names it.

    Raises:
        ConfigError: what is no such word, does not exist or contradicts another word.

    Example:
        >>> [(spec.name, spec.kind, spec.items, spec.num) for spec in parse_corpora(["self", "dog", "near=neighbours:5"])]
        [('self', 'self', (), 0), ('dog', 'class', ('dog',), 0), ('near', 'neighbours', (), 5)]
    """
    words = _joined([_word(text, "--corpus") for text in texts], "--corpus")
    for word in words:
        if word.kind == "none":
            raise ConfigError(f"--corpus {word.text}: is for --foil; without a corpus of your own it is --corpus self")
    return tuple(word.spec(name) for word, name in zip(words, _names(words), strict=True))


def parse_foil(texts: Sequence[str]) -> Spec:
    """The foil that ``--foil`` asks for: the words of ``--corpus`` that name pictures, which together make one foil, a class, or ``none``.

    Raises:
        ConfigError: as :func:`parse_corpora`.

    Example:
        >>> parse_foil(["val:0-99", "train:all"])
        Spec(name='val 0-99 + train', kind='pictures', items=('val:0-99', 'train:all'), num=0, key=None)
    """
    words = _joined([_word(text, "--foil") for text in texts], "--foil")
    for word in words:
        if word.kind in _OF_EXPLICANDS:
            raise ConfigError(f"--foil {word.text}: is for --corpus; a foil is pictures, a class, representations or none")
    given = dict.fromkeys(word.name for word in words if word.name is not None)
    if len(given) > 1:
        raise ConfigError(f"--foil: has the names {' and '.join(map(repr, given))}; all its words make one foil, which has one name")
    other = next((word for word in words if word.kind != "pictures"), None)
    if other is not None and len(words) > 1:
        raise ConfigError(
            f"--foil {' '.join(word.text for word in words)}: only pictures can be joined, and {other.text} is {_AS[other.kind]}"
        )
    name = next(iter(given)) if given else tidy(" + ".join(dict.fromkeys(word.names[0] for word in words)))
    return replace(words[0].spec(name), items=tuple(item for word in words for item in word.items))


def _word(text: str, what: str) -> _Word:
    name, value = _split(text)
    if name is not None:
        name = unicodedata.normalize("NFC", name.strip())
        if not is_name(name):
            missing = ", and no file or folder is called so" if "/" in text else ""
            raise ConfigError(f"{what} {text!r}: {name!r} is no name{missing}; NAME= takes 1 to {LONGEST} characters but not / or ,")
        if not value:
            return _Word(text, name, "pictures", joins=True)
    return replace(_meant(value, text, what), text=text, name=name)


def _split(text: str) -> tuple[str | None, str]:
    """Name and value; what exists has no name, whatever its path holds."""
    name, equals, value = text.partition("=")
    if not equals or _exists(text) or _has_prefix(name):
        return None, text
    inside = _IN_ARCHIVE.fullmatch(text)
    return (None, text) if inside is not None and _exists(inside[1]) else (name, value)


def _exists(path: str) -> bool:
    """A file or folder, or files that match."""
    return os.path.exists(path) or (glob.has_magic(path) and next(glob.iglob(path, recursive=True), None) is not None)


def _meant(value: str, text: str, what: str) -> _Word:
    """What a value says: what exists under this name, else what it says by its form, else a class."""
    if value in ("self", "none"):
        return _Word(text, None, value, names=(value,))
    if (reps := _reps(value, text, what)) is not None:
        return reps
    if value == "-":
        return _Word(text, None, "pictures", ("-",), names=("standard input",))
    if (pictures := _pictures(value, text, what)) is not None:
        return pictures
    if (counted := _COUNTED.fullmatch(value)) is not None:
        return _counted(counted[1], counted[2], counted[3], text, what)
    prefix, colon, label = value.partition(":")
    if value in ("neighbours", "clusters"):
        raise ConfigError(f"{what} {text}: how many? as in {value}:10")
    if colon and prefix != "class":
        raise ConfigError(f"{what} {text}: unknown {prefix!r} before the colon; {choices_hint(prefix, _PREFIXES)}")
    label = label if colon else value
    if not label.strip():
        raise ConfigError(f"{what} {text!r}: is empty; it must name a class, a file, a folder, or what else --help lists")
    return _Word(text, None, "class", (label,), names=(label,))


def _reps(value: str, text: str, what: str) -> _Word | None:
    inside = None if os.path.exists(value) else _IN_ARCHIVE.fullmatch(value)
    path, key = (inside[1], inside[2]) if inside is not None else (value, None)
    is_file = os.path.isfile(path)
    if not path.lower().endswith(_ARRAYS) or os.path.isdir(path) or (_has_prefix(value) and not is_file):
        return None
    if not is_file:
        raise ConfigError(f"{what} {text}: no such file")
    if key is not None and path.lower().endswith(".npy"):
        raise ConfigError(f"{what} {text}: a .npy holds one array, which has no name; leave out #{key}")
    if key == "":
        raise ConfigError(f"{what} {text}: no array is named after the #")
    names = path_names(os.path.splitext(path)[0])
    return _Word(text, None, "reps", (path,), key=key, names=names if key is None else (key, *(f"{name} {key}" for name in names)))


def _pictures(value: str, text: str, what: str) -> _Word | None:
    if os.path.exists(value):
        is_file = not os.path.isdir(value)
        return _Word(text, None, "pictures", (value,), joins=is_file, names=path_names(os.path.splitext(value)[0] if is_file else value))
    if (drawn := of_data_set(value)) is not None:
        try:
            id_ranges(value, what)
        except DataError as error:
            raise ConfigError(str(error)) from error
        return _Word(text, None, "pictures", (value,), names=(drawn[0] if drawn[1] == "all" else f"{drawn[0]} {drawn[1]}",))
    if _has_prefix(value):
        return None  # a pool or a class, whatever its path or name holds
    if glob.has_magic(value):
        if not _exists(value):
            raise ConfigError(f"{what} {text}: matches no file (a class of this name would be class:{value})")
        return _Word(text, None, "pictures", (value,), names=path_names(glob_folder(value)))
    if os.sep in value or "/" in value or value.lower().endswith(EXTENSIONS):
        raise ConfigError(f"{what} {text}: no such file or folder")
    return None


def _counted(kind: str, count: str, pool: str | None, text: str, what: str) -> _Word:
    if _COUNT.fullmatch(count) is None or int(count) < 1:
        raise ConfigError(f"{what} {text}: {count!r} is no number of {kind}; it must be a whole number from 1, as in {kind}:10")
    names: tuple[str, ...] = (kind, f"{kind} {int(count)}")
    if pool is not None:
        meant = _pictures(pool, text, what) if pool and not pool.lower().endswith(_ARRAYS) else None
        if meant is None:
            raise ConfigError(f"{what} {text}: {pool!r} is no folder to look in; it must exist, as in {kind}:{int(count)}:photos/")
        names += tuple(f"{kind} {int(count)} {name}" for name in meant.names)
    return _Word(text, None, kind, () if pool is None else (pool,), num=int(count), names=names)


def _joined(words: Sequence[_Word], what: str) -> list[_Word]:
    """Picture files in a row as one word."""
    if not words:
        raise ConfigError(f"{what}: names nothing")
    runs: list[list[_Word]] = []
    for word in words:
        if runs and runs[-1][0].joins and word.joins and word.name is None:
            runs[-1].append(word)
        else:
            runs.append([word])
    return [_of_run(run, what) for run in runs]


def _of_run(run: list[_Word], what: str) -> _Word:
    first, items = run[0], tuple(item for word in run for item in word.items)
    if first.kind == "pictures" and not items:
        raise ConfigError(f"{what} {first.text}: no picture follows the name; it must be NAME=VALUE, or NAME= before picture files")
    if len(run) == 1:
        return first
    return replace(first, items=items, names=path_names(os.path.commonpath({os.path.dirname(os.path.abspath(item)) for item in items})))


def _names(words: Sequence[_Word]) -> list[str]:
    """A name for each.

    Raises:
        ConfigError: two that cannot be told apart.
    """
    names = unique_names(
        [word.names if word.name is None else (word.name,) for word in words], fixed=[word.name is not None for word in words]
    )
    texts: dict[str, str] = {}
    for name, word in zip(names, words, strict=True):
        if name in texts:
            shown = name if word.name is not None else tidy(word.names[0])
            raise ConfigError(f"--corpus {texts[name]} {word.text}: both are called {shown!r}; give one of them another name by NAME=")
        texts[name] = word.text
    return names


def _has_prefix(text: str) -> bool:
    return text.startswith(tuple(f"{prefix}:" for prefix in _PREFIXES))
