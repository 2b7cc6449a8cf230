"""Which sentences the texts of a question are compared with, chosen once, for whatever encoder is asked.

Draws are functions of the seed. Where there are texts enough, some are kept apart to measure with, as of pictures.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from cocoa_pl.asking.picks import ENOUGH, Pick
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import generator
from cocoa_pl.texts.asked import ConceptBank, TextCorpus, TextFoil
from cocoa_pl.texts.hygiene import foil_of, notice
from cocoa_pl.texts.templates import DEFAULT, fill

_APART = 4  # every so-manieth text of a foil measures, as of pictures

Sentences = tuple[str, ...]
"""What stands for one thing: a concept in every template, or a whole sentence. Its representation is the mean of theirs."""


@dataclass(frozen=True)
class TextQuestion:
    """What is asked in words.

    Attributes:
        corpora: targets, one each.
        foil: what corpora of texts and of pictures are contrasted with; None where nobody said it.
        templates: what concepts of the foil are put in for corpora of pictures.
        bank: concepts of which the best of every picture are targets too.
        top: how many of them.
        words: whether words of prompts get attributions as well.
    """

    corpora: tuple[TextCorpus, ...] = ()
    foil: TextFoil | None = None
    templates: tuple[str, ...] = (DEFAULT,)
    bank: ConceptBank | None = None
    top: int = 0
    words: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether no text is to be encoded."""
        return not self.corpora and self.foil is None and self.bank is None


NO_TEXTS = TextQuestion()
"""Nothing is asked in words."""


@dataclass(frozen=True)
class TextPick:
    """Texts of a foil.

    Attributes:
        groups: in the order drawn: the last ones measure.
        words: what they are, for people.
    """

    groups: tuple[Sentences, ...]
    words: str

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def num_measuring(self) -> int:
        """Texts kept apart to measure with; 0 where there are too few."""
        return len(self) // _APART if len(self) >= ENOUGH else 0


@dataclass(frozen=True)
class ChosenText:
    """One target of text.

    Attributes:
        corpus: its prompts.
        texts: its foil; None for none.
        pictures: pictures that are its foil as well.
    """

    corpus: TextCorpus
    texts: TextPick | None
    pictures: Pick | None


@dataclass(frozen=True)
class ChosenTexts:
    """The texts of a question.

    Attributes:
        targets: corpora of texts.
        bank: see :class:`TextQuestion`; None without one.
        top: concepts of a picture.
        words: whether words of prompts get attributions.
        notices: whole sentences on what was left out of foils.
    """

    targets: tuple[ChosenText, ...] = ()
    bank: ConceptBank | None = None
    top: int = 0
    words: bool = False
    notices: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether no target is one of text."""
        return not self.targets and self.bank is None


def choose_texts(question: TextQuestion, *, pictures: Pick | None, none: bool, seed: int) -> ChosenTexts:
    """Find what every corpus of texts is contrasted with.

    That is what was asked for; else, where no pictures were asked for either, the prompts of the other corpora.

    Args:
        question: in words.
        pictures: of the foil that the user named; None where there is none.
        none: whether the user wants no foil.
        seed: of draws.

    Raises:
        ConfigError: there is nothing to contrast a text with.
        DataError: a foil of which nothing is left.
    """
    targets, notices = [], list[str]()
    for corpus in question.corpora:
        texts = None
        if question.foil is not None:
            texts, said = pick_texts(corpus, question.foil, seed=seed)
            notices += said
        elif not none and pictures is None:
            texts = _others(corpus, question.corpora)
        targets.append(ChosenText(corpus, texts, pictures))
    bank = question.bank
    top = 0 if bank is None else min(question.top, len(bank.concepts))
    return ChosenTexts(tuple(targets), bank, top, question.words, tuple(dict.fromkeys(notices)))


def pick_texts(corpus: TextCorpus, foil: TextFoil, *, seed: int) -> tuple[TextPick, list[str]]:
    """A foil for one corpus, in random order, and a sentence on what was left out of it.

    Raises:
        DataError: nothing is left.
        ConfigError: concepts, and a corpus of whole sentences, into which no concept can be put.
    """
    cleaned = foil_of(corpus, foil)
    left, groups = dict.fromkeys(cleaned.texts), list[Sentences]()
    for concept in foil.concepts:
        own = tuple(text for text in dict.fromkeys(fill(template, concept) for template in corpus.templates) if text in left)
        for text in own:
            del left[text]
        groups += [own] if own else []
    groups += [(text,) for text in left]
    order = torch.randperm(len(groups), generator=generator(seed, "foil texts", corpus.name)).tolist()
    said = [f"{corpus.name}: {notice(cleaned.removed)}."] if cleaned.removed else []
    return TextPick(tuple(groups[place] for place in order), foil.words), said


def named_corpus(name: str, templates: Sequence[str]) -> TextCorpus:
    """Pictures of a name as a corpus of texts, for cleaning their foil of what they are called."""
    return TextCorpus(name, name, tuple(templates), ())


def _others(corpus: TextCorpus, corpora: Sequence[TextCorpus]) -> TextPick:
    others = [other for other in corpora if other.name != corpus.name]
    if not others:
        raise ConfigError(
            "--foil-text: one text alone is contrasted with nothing; name other texts, such as cifar100 or neutral, or say --foil none"
        )
    groups = tuple(other.prompts for other in others if set(other.prompts) != set(corpus.prompts))
    if not groups:
        raise DataError(f"--corpus-text: {corpus.name} and {others[0].name} are the same texts; corpus and foil must differ")
    return TextPick(groups, "the other texts")
