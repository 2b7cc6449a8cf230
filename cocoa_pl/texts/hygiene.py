"""What a foil leaves out for one corpus: names that mean the corpus too would be contrasted with themselves."""

from __future__ import annotations

from collections.abc import Sequence

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.texts.asked import FoilTexts, TextCorpus, TextFoil
from cocoa_pl.texts.meanings import meaning
from cocoa_pl.texts.templates import fill
from cocoa_pl.texts.words import distinct, normalised

_SHOWN = 4  # names in a notice


def foil_of(corpus: TextCorpus, foil: TextFoil) -> FoilTexts:
    """The sentences of a foil for one corpus: its names in the corpus's templates, then its whole sentences.

    Left out are names that are the corpus's own, in other spelling or number, other words for it and kinds of it, as far as
    :mod:`cocoa_pl.texts.meanings` knows them; and sentences that are prompts of the corpus. A name that says more generally what the corpus
    is (``cat`` against ``tabby cat``) stays, and so does every other whole sentence.

    Raises:
        ConfigError: the foil has names and the corpus no template to put them in.
        DataError: nothing is left.

    Example:
        >>> cats = TextCorpus("cat", "cat", ("a photo of a {}",), ("a photo of a cat",))
        >>> foil_of(cats, TextFoil(("kitten", "apple"), ("an empty room",), "three texts"))
        FoilTexts(texts=('a photo of an apple', 'an empty room'), removed=(('kitten', 'a kind of cat'),))
    """
    if foil.concepts and not corpus.templates:
        raise ConfigError(
            f"--foil-text: {foil.words} cannot be put in the text {corpus.prompts[0]!r}; mark its concept by braces, as in "
            "'a photo of a {cat}', or give whole sentences as the foil"
        )
    removed: dict[str, str] = {}
    texts: dict[str, None] = {}
    own = meaning(corpus.concept) if corpus.concept is not None else None
    for concept in distinct(foil.concepts):
        why = own.why_left_out(concept) if own is not None else None
        if why is None:
            texts.update(dict.fromkeys(fill(template, concept) for template in corpus.templates))
        else:
            removed[concept] = why
    prompts = set(map(normalised, corpus.prompts))
    for sentence in foil.sentences:
        if normalised(sentence) in prompts:
            removed[sentence] = "a text of the corpus"
        else:
            texts[sentence] = None
    if not texts:
        raise DataError(
            f"--foil-text: the foil of {corpus.name!r} is emptied by leaving out {_listed(tuple(removed.items()))}; "
            "give names of something else, or a whole sentence, which is taken as it stands"
        )
    return FoilTexts(tuple(texts), tuple(removed.items()))


def notice(removed: Sequence[tuple[str, str]]) -> str:
    """What a foil has left out, for people; nothing for nothing.

    Example:
        >>> notice([("kitten", "a kind of cat"), ("cats", "another form of cat")])
        'left out of the foil: kitten (a kind of cat) and cats (another form of cat)'
    """
    return f"left out of the foil: {_listed(removed)}" if removed else ""


def _listed(removed: Sequence[tuple[str, str]]) -> str:
    shown = [f"{name} ({why})" for name, why in removed[:_SHOWN]]
    last = f"{len(removed) - _SHOWN} more" if len(removed) > _SHOWN else shown.pop()
    return f"{', '.join(shown)} and {last}" if shown else last
