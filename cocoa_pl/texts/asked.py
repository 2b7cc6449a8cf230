"""What a text corpus and a text foil are: plain records, before any encoder has read them.

A *template* is a sentence with one empty pair of braces, ``a photo of a {}``; a *concept* is what fills it. A sentence that has no place
for a concept is a prompt as it stands.
"""

from __future__ import annotations

from dataclasses import dataclass

from cocoa_pl.texts.templates import fill


@dataclass(frozen=True)
class TextCorpus:
    """A corpus of texts: one concept in one or more sentences, whose representations are averaged.

    Attributes:
        name: for reports.
        concept: what fills the templates; None for whole sentences.
        templates: sentences with ``{}``, in which names of a foil are put as well; empty for whole sentences.
        prompts: the sentences, at least one.
    """

    name: str
    concept: str | None
    templates: tuple[str, ...]
    prompts: tuple[str, ...]


@dataclass(frozen=True)
class TextFoil:
    """A foil of texts, as asked for.

    Attributes:
        concepts: names that are put in the templates of each corpus.
        sentences: whole sentences, the same for all corpora: an opposing word, a neutral sentence.
        words: what it is, for people, such as ``the names of CIFAR-100``.
    """

    concepts: tuple[str, ...]
    sentences: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class ConceptBank:
    """Many concepts, all compared with a picture in one pass; each is contrasted with all of them.

    Attributes:
        concepts: names.
        templates: sentences with ``{}``, averaged.
        words: what it is, for people.
    """

    concepts: tuple[str, ...]
    templates: tuple[str, ...]
    words: str

    def prompts(self, concept: str) -> tuple[str, ...]:
        """The sentences of one concept."""
        return tuple(fill(template, concept) for template in self.templates)


@dataclass(frozen=True)
class FoilTexts:
    """What a foil comes to for one corpus.

    Attributes:
        texts: every sentence, each once.
        removed: names left out because the corpus is what they mean too, each with the reason: ``("kitten", "a kind of cat")``.
    """

    texts: tuple[str, ...]
    removed: tuple[tuple[str, str], ...]
