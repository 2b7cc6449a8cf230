"""The grammar of ``--corpus-text``, ``--foil-text`` and ``--concepts``: what each word on the command line asks for.

No torch here, unless ImageNet's names are asked for. A text without braces is a *concept* if it is short, at most 3 words and 40
characters, and else a sentence. Commas in a concept separate synonyms, each of them short and without an article; the first is put in
sentences.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.asked import ConceptBank, TextCorpus, TextFoil
from cocoa_pl.texts.lists import concept_list, file_words, find_list, list_words, read_list
from cocoa_pl.texts.names import LONGEST, is_name, tidy, unique_names
from cocoa_pl.texts.templates import DEFAULT, NEUTRAL, fill, slot
from cocoa_pl.texts.words import begins_with_article, cleaned, distinct, synonyms

_CORPUS, _FOIL, _CONCEPTS = "--corpus-text", "--foil-text", "--concepts"
_WORDS_OF_CONCEPT = 3
_FEWEST, _MOST = 2, 20_000  # concepts of a bank
_MOST_CORPORA = 200  # each has a foil and maps of its own
_SHOWN = 3  # words of a foil that are shown


@dataclass(frozen=True)
class _Corpus:
    text: str  # as given
    name: str | None  # as given
    concept: str | None
    templates: tuple[str, ...]
    prompts: tuple[str, ...]

    def names(self) -> tuple[str, ...]:
        """What it may be called, the shortest first."""
        if self.name is not None:
            return (self.name,)
        return self.prompts[:1] if self.concept is None else (synonyms(self.concept)[0], self.prompts[0])


def parse_text_corpora(words: Sequence[str], templates: tuple[str, ...] | None) -> tuple[TextCorpus, ...]:
    """The corpora that ``--corpus-text`` asks for, a target each.

    A word is ``[NAME=]TEXT``, or ``@FILE`` with one such a line. Which TEXT is what:

    - a sentence with one pair of braces, ``a photo of a {cat}``: the concept in the braces; the sentence is its template, whatever
      ``templates`` are;
    - braces around all of it, ``{cat}``: a concept, put in ``templates``, or in ``a photo of a {}``;
    - no braces, and templates are given or it has at most 3 words and 40 characters: a concept as well;
    - no braces, no templates, and longer: a prompt as it stands, into which no name of a foil can be put.

    What comes before the first ``=`` is a name if it has at most 3 words and no braces.

    Args:
        words: of the command line.
        templates: sentences with ``{}``; None where none were asked for.

    Raises:
        ConfigError: an empty text, bad braces, a list's name, more than 200 texts, or two corpora that cannot be told apart.

    Example:
        >>> cat, dog = parse_text_corpora(["a photo of a {cat}", "pet=dog"], None)
        >>> cat.concept, dog.name, dog.prompts
        ('cat', 'pet', ('a photo of a dog',))
    """
    texts = [line for word in words for line in _lines(word)]
    if not texts:
        raise ConfigError(f"{_CORPUS}: names nothing; it must be a text, as in 'a photo of a {{cat}}'")
    if len(texts) > _MOST_CORPORA:
        raise ConfigError(
            f"{_CORPUS}: has {len(texts)} texts; it must have at most {_MOST_CORPORA}, as each gets maps of its own; {_CONCEPTS} compares "
            "pictures with many"
        )
    found = [_corpus(text, templates) for text in texts]
    names = unique_names([each.names() for each in found], fixed=[each.name is not None for each in found])
    taken: dict[str, str] = {}
    for name, each in zip(names, found, strict=True):
        if name in taken:
            raise ConfigError(
                f"{_CORPUS} {taken[name]!r} {each.text!r}: both are called {name!r}; give one another name by NAME=, or leave it out"
            )
        taken[name] = each.text
    return tuple(TextCorpus(name, each.concept, each.templates, each.prompts) for name, each in zip(names, found, strict=True))


def parse_text_foil(words: Sequence[str]) -> TextFoil:
    """The foil that ``--foil-text`` asks for, made of all its words together.

    A word is a list, ``cifar100`` or ``imagenet``; ``@FILE`` with one text a line; ``neutral``, a word that says nothing; a concept,
    ``{dog}`` or any short text; a sentence with a concept in braces, whose article is set right; or any longer sentence.

    Raises:
        ConfigError: an empty text, bad braces, or nearly the name of a list.

    Example:
        >>> parse_text_foil(["dog", "a street with no cars in it"])
        TextFoil(concepts=('dog',), sentences=('a street with no cars in it',), words="dog and 'a street with no cars in it'")
    """
    concepts: list[str] = []
    sentences: list[str] = []
    said: list[str] = []
    single: list[str] = []
    for word in words:
        if word == "neutral":
            concepts.append(NEUTRAL)
            said.append("a neutral word")
        elif (many := _list_or_file(word, _FOIL)) is not None:
            texts, about, is_file = many
            said.append(about)
            if is_file:
                _sort(texts, concepts, sentences)
            else:
                concepts += texts  # names, however long
        else:
            single.append(_sort((word,), concepts, sentences))
    if not concepts and not sentences:
        raise ConfigError(f"{_FOIL}: names nothing; it must be a list, a word or a sentence")
    return TextFoil(distinct(concepts), distinct(sentences), _joined(said, single, "texts"))


def parse_concepts(words: Sequence[str], templates: tuple[str, ...] | None) -> ConceptBank:
    """The bank that ``--concepts`` asks for: names, lists, ``cifar100`` or ``imagenet``, and ``@FILE`` with one name a line.

    Args:
        words: of the command line.
        templates: sentences with ``{}``; None for ``a photo of a {}``.

    Raises:
        ConfigError: an empty name, braces, nearly the name of a list, fewer than 2 or more than 20 000 concepts.

    Example:
        >>> parse_concepts(["cat", "dog", "{cifar10}"], None)
        ConceptBank(concepts=('cat', 'dog', 'cifar10'), templates=('a photo of a {}',), words='cat, dog and cifar10')
    """
    concepts: list[str] = []
    said: list[str] = []
    single: list[str] = []
    for word in words:
        if (many := _list_or_file(word, _CONCEPTS)) is None:
            single.append(_concept(word))
            concepts.append(single[-1])
        else:
            texts, about, is_file = many
            said.append(about)
            concepts += map(_concept, texts) if is_file else texts
    bank = ConceptBank(distinct(concepts), templates or (DEFAULT,), _joined(said, single, "names"))
    num = len(bank.concepts)
    if not _FEWEST <= num <= _MOST:
        raise ConfigError(
            f"{_CONCEPTS}: has {num} concept{'' if num == 1 else 's'}; it must have {_FEWEST} to {_MOST}, as each is contrasted with all "
            "of them"
        )
    return bank


def _lines(word: str) -> tuple[str, ...]:
    if word.startswith("@"):
        return read_list(word[1:], what=_CORPUS)
    name, _, value = word.partition("=")
    if value.startswith("@") and _may_be_named(name):
        raise ConfigError(f"{_CORPUS} {word}: each line of a file is a corpus of its own; name them in the file, by NAME= before a text")
    return (word,)


def _corpus(text: str, templates: tuple[str, ...] | None) -> _Corpus:
    name, value = _split(text)
    sentence = cleaned(value, what=_CORPUS)
    if _has_braces(sentence):
        template, concept = slot(sentence, what=_CORPUS)
        if "," in concept and template != "{}":
            raise ConfigError(f"{_CORPUS} {sentence!r}: has a comma in its braces; it must mark one concept, as in 'a photo of a {{cat}}'")
        used = (template,) if template != "{}" else templates or (DEFAULT,)
    elif templates is not None or _is_concept(sentence):
        if (known := find_list(sentence, what=_CORPUS)) is not None:
            raise ConfigError(f"{_CORPUS} {sentence}: is a list of names; --concepts {known} compares pictures with all of them")
        concept, used = sentence, templates or (DEFAULT,)
    else:
        return _Corpus(text, name, None, (), (sentence,))
    return _Corpus(text, name, concept, used, tuple(dict.fromkeys(fill(template, concept) for template in used)))


def _split(text: str) -> tuple[str | None, str]:
    """Name and text; an ``=`` within a sentence has no name before it."""
    name, equals, value = text.partition("=")
    if not equals or not _may_be_named(name):
        return None, text
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not is_name(name):
        raise ConfigError(f"{_CORPUS} {text!r}: {name!r} is no name; NAME= takes 1 to {LONGEST} characters but not / or ,")
    return name, value


def _may_be_named(name: str) -> bool:
    return len(name.split()) <= _WORDS_OF_CONCEPT and not _has_braces(name)


def _is_concept(text: str) -> bool:
    parts = synonyms(text)
    short = all(len(part.split()) <= _WORDS_OF_CONCEPT and len(part) <= LONGEST for part in parts)
    return short and (len(parts) == 1 or not any(map(begins_with_article, parts)))


def _list_or_file(word: str, what: str) -> tuple[tuple[str, ...], str, bool] | None:
    """The texts of a list or a file, what it is, and whether it is a file; None for a word that stands for itself."""
    if word.startswith("@"):
        texts = read_list(word[1:], what=what)
        return texts, file_words(word[1:], len(texts)), True
    name = find_list(word, what=what)
    return None if name is None else (concept_list(name), list_words(name), False)


def _sort(texts: Sequence[str], concepts: list[str], sentences: list[str]) -> str:
    """Put each text of a foil with the concepts or with the sentences; of the last one, what it is for people."""
    said = ""
    for given in texts:
        text = cleaned(given, what=_FOIL)
        template, concept = slot(text, what=_FOIL) if _has_braces(text) else ("{}" if _is_concept(text) else "", text)
        if template == "{}":
            concepts.append(concept)
            said = concept
        else:
            sentences.append(fill(template, concept) if template else text)
            said = repr(tidy(sentences[-1]))
    return said


def _concept(given: str) -> str:
    text = cleaned(given, what=_CONCEPTS)
    template, concept = slot(text, what=_CONCEPTS) if _has_braces(text) else ("{}", text)
    if template != "{}":
        raise ConfigError(f"{_CONCEPTS} {given!r}: is a sentence; concepts are names, which --template {template!r} puts in a sentence")
    return concept


def _has_braces(text: str) -> bool:
    return "{" in text or "}" in text


def _joined(said: Sequence[str], single: Sequence[str], of: str) -> str:
    """What several words stand for, for people; many single ones as their number."""
    parts = [*said, *(single if len(single) <= _SHOWN else (f"{len(single)} {of}",))]
    return " and ".join(part for part in (", ".join(parts[:-1]), *parts[-1:]) if part)
