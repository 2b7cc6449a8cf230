"""From the texts of a question to targets in the space that one pair of encoders shares."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.asking.picks import Pick
from cocoa_pl.asking.prompts import Prompted, can_tell
from cocoa_pl.asking.question import Asked
from cocoa_pl.asking.texts import ChosenText, ChosenTexts, Sentences, TextPick
from cocoa_pl.attributions.words import word_shapley
from cocoa_pl.errors import DataError, DivergedError, some
from cocoa_pl.targets import normalize
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.texts.templates import DEFAULT, NEUTRAL, NONSENSE, fill

Foils = tuple[Tensor, Tensor]
"""What explains and what measures, (F, D) each."""
RepsOf = Callable[[Pick | None], Tensor]
"""Pictures to unit representations (M, D); (0, D) of none."""

_FEWEST_PAIRS = 127  # of sets of words: all that there are of eight words
_ALL_CONCEPTS = "/concepts"  # no corpus can be called so
SHOWN = 8
"""Words or names in a sentence."""
_READING = (
    "Rank: the share of its foil's texts that a picture is less like than the text. Prompt agreement: the rank correlation of the map with "
    "that of nonsense in the same sentence; near 1, the map does not depend on what was asked."
)


class TextReps:
    """Unit representations of texts, each encoded once.

    Args:
        encoder: of texts.
        dim: D of the image encoder that it shares a space with.
        device: where the representations are wanted.
    """

    def __init__(self, encoder: FrozenTextEncoder, *, dim: int, device: torch.device) -> None:
        self.encoder, self._dim, self._device = encoder, dim, device
        self._known: dict[str, Tensor] = {}
        self._means: tuple[Sequence[Sentences], Tensor] = (), torch.empty(0, dim, device=device)

    def of(self, texts: Sequence[str], what: str) -> Tensor:
        """(n, D).

        Args:
            texts: n.
            what: the option that gave them, for messages.

        Raises:
            DataError: a text that cannot be encoded, or representations of another length than the image encoder's.
            DivergedError: representations that are not finite.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            try:
                made = self.encoder.encode(new).to(self._device)
            except DataError:
                self.check(new, what)
                raise
            if made.shape[1] != self._dim:
                raise DataError(
                    f"the text encoder gives representations of length {made.shape[1]}, the image encoder {self._dim}: they share no space"
                )
            if not bool(torch.isfinite(made).all()):
                raise DivergedError("the text encoder's representations hold NaN or infinite values: nothing can be explained by them")
            self._known |= dict(zip(new, normalize(made), strict=True))
        return torch.stack([self._known[text] for text in texts])

    def check(self, texts: Sequence[str], what: str) -> None:
        """See that texts of an option can be encoded.

        Raises:
            DataError: one that is too long.
        """
        try:
            self.encoder.check(texts)
        except DataError as error:
            raise DataError(f"{what}: {error}") from error

    def means(self, groups: Sequence[Sentences], what: str) -> Tensor:
        """The mean of each group's representations, (F, D); the same memory where the same groups are asked for twice in a row."""
        if groups != self._means[0]:
            reps = self.of([text for group in groups for text in group], what)
            self._means = groups, torch.stack([own.mean(0) for own in torch.split(reps, [len(group) for group in groups])])
        return self._means[1]

    def nonsense(self, templates: Sequence[str]) -> Tensor:
        """(D,), the mean of words of no language in the same sentences, or in a plain one where those have no room for them."""
        texts = [fill(template, word) for template in templates or (DEFAULT,) for word in NONSENSE]
        try:
            self.encoder.check(texts)
        except DataError:  # longer in tokens than what was asked
            texts = [fill(DEFAULT, word) for word in NONSENSE]
        return self.of(texts, "--template").mean(0)

    def words(self, text: str) -> tuple[tuple[str, ...], Tensor]:
        """A text's words, and each one's attribution (W, D) along every dimension of a representation."""
        axes = torch.eye(self._dim, device=self._device)
        found = word_shapley(self.encoder.encode, text, axes, num_pairs=max(_FEWEST_PAIRS, 2 * len(text.split())))
        return found.words, found.values.T.to(self._device)

    def prompted(self, key: str, templates: Sequence[str], texts: Tensor, *, first: str | None = None) -> Prompted:
        """What texts are compared with: foil texts (F, D), nonsense; where ``first`` is given, with its words."""
        words, directions = self.words(first) if first is not None else ((), torch.empty(0, self._dim, device=self._device))
        return Prompted(key, texts, self.nonsense(templates), words, directions)


def contrast(pictures: Pick | None, texts: TextPick | None, reps_of: RepsOf, text_reps: TextReps | None) -> tuple[Foils, str]:
    """A foil of pictures, of texts or of both, and how a sentence about its target goes on.

    Of both there are as many of one kind as of the other, so that neither drowns the other.
    """
    made = parted(reps_of(pictures), pictures)
    if texts is None:
        return made, ", without a foil" if pictures is None else f", beyond that to {count(len(made[0]))} ({pictures.words})"
    assert text_reps is not None  # a question in words to an encoder without a text side is refused
    own = parted(text_reps.means(texts.groups, "--foil-text"), texts)
    if pictures is None:
        more = f"; {texts.num_measuring} more measure insertion and deletion" if texts.num_measuring else ""
        return own, f", beyond that to {count(len(own[0]), 'text')} ({texts.words}{more})"
    explaining, measuring = ((a[: len(b)], b[: len(a)]) for a, b in zip(made, own, strict=True))
    return (torch.cat(explaining), torch.cat(measuring)), (
        f", beyond that to {count(len(explaining[0]))} ({pictures.words}) and {count(len(explaining[1]), 'text')} ({texts.words}): as many "
        "of both, so that neither kind drowns the other"
    )


def parted(reps: Tensor, pick: Pick | TextPick | None) -> Foils:
    """What explains and what measures; the same where there are too few."""
    if pick is None or not pick.num_measuring:
        return reps, reps
    return reps[: -pick.num_measuring], reps[-pick.num_measuring :]


def count(num: int, what: str = "picture") -> str:
    """A number of things.

    Example:
        >>> count(1), count(3, "text")
        ('one picture', '3 texts')
    """
    return f"one {what}" if num == 1 else f"{num} {what}s"


class EncodedTexts(NamedTuple):
    """What texts come to for one encoder."""

    asked: list[Asked]  # targets
    facts: list[str]  # whole sentences on what each compares with what
    notices: list[str]  # whole sentences on words that the encoder does not know


def encode_texts(chosen: ChosenTexts, reps_of: RepsOf, text_reps: TextReps) -> EncodedTexts:
    """Targets of text, and what is to be said of them.

    Raises:
        DataError: see :meth:`TextReps.of`; or a text of which the encoder knows no word, so that maps towards it would mean nothing.
        DivergedError: see :meth:`TextReps.of`.
    """
    notices, corpora = _unknown_words(chosen, text_reps), [target.corpus for target in chosen.targets]
    for templates in {corpus.templates for corpus in corpora if len(corpus.templates) > 1}:  # of several, none is a corpus's own sentence
        text_reps.check([fill(template, NEUTRAL) for template in templates], "--template")
    if corpora:
        text_reps.of([text for corpus in corpora for text in corpus.prompts], "--corpus-text")  # at once, and before they are a foil
    made = [_target(target, reps_of, text_reps, words=chosen.words) for target in chosen.targets]
    asked, facts = [each for each, _ in made], [said for _, said in made]
    if chosen.bank is not None:
        asked += _best_of(chosen, text_reps)
        bank, num = chosen.bank, len(chosen.bank.templates)
        facts.append(
            f"concept 1 to {chosen.top}: likeness to those of {len(bank.concepts)} concepts "
            f"({bank.words}{f', in {num} sentences each' if num > 1 else ''}) that each picture is most like, beyond that to all of them."
        )
    if untold := [target.name for target in asked if target.prompted is not None and not can_tell(_num_others(target))]:
        facts.append(f"The foil has too few texts to tell whether what is asked is in a picture at all: {some(untold, most=SHOWN)}.")
    return EncodedTexts(asked, [*facts, _READING], notices)


def _num_others(target: Asked) -> int:
    """Texts that a rank is among: a concept of a bank is one of them itself."""
    assert target.prompted is not None
    return len(target.prompted.texts) - (target.kind == "concept")


def _unknown_words(chosen: ChosenTexts, text_reps: TextReps) -> list[str]:
    """Sentences on words that are all one to the encoder, of what is asked and of foils.

    Raises:
        DataError: a concept, a whole sentence or a bank of which no word is known.
    """
    encoder = text_reps.encoder
    bank = () if chosen.bank is None else chosen.bank.concepts
    for target in chosen.targets:
        corpus = target.corpus
        _refuse_unknown(encoder, corpus.prompts[:1] if corpus.concept is None else (corpus.concept,), "--corpus-text")
    _refuse_unknown(encoder, bank, "--concepts")
    asked = encoder.unknown([*(text for target in chosen.targets for text in target.corpus.prompts), *bank])
    of_foil = encoder.unknown([
        text for target in chosen.targets if target.texts is not None for group in target.texts.groups for text in group
    ])  # fmt: skip
    said = []
    if asked:
        said.append(
            f"The text encoder does not know the words: {some(asked, most=SHOWN)}. To it they are all one, and maps do not depend on which."
        )
    if others := [word for word in of_foil if word not in asked]:
        said.append(f"The text encoder does not know these words of the foil: {some(others, most=SHOWN)}. To it they are all one.")
    return said


def _refuse_unknown(encoder: FrozenTextEncoder, texts: Iterable[str], what: str) -> None:
    words = [word for text in texts for word in text.split() if any(map(str.isalnum, word))]
    if words and all(encoder.unknown([word]) for word in words):
        raise DataError(
            f"{what}: the text encoder knows no word of {some(encoder.unknown(words), most=SHOWN)}, so maps would mean nothing; ask in "
            "words that it was trained with"
        )


def _target(target: ChosenText, reps_of: RepsOf, text_reps: TextReps, *, words: bool) -> tuple[Asked, str]:
    corpus = target.corpus
    (foil, measuring), beyond = contrast(target.pictures, target.texts, reps_of, text_reps)
    others = text_reps.means(target.texts.groups, "--foil-text") if target.texts is not None else foil[:0]
    own, first = text_reps.of(corpus.prompts, "--corpus-text"), corpus.prompts[0]
    prompted = text_reps.prompted(corpus.name, corpus.templates, others, first=first if words else None)
    asked = Asked(corpus.name, "shared", own, own, foil, measuring, prompted=prompted)
    like = f"the text {first!r}" if len(own) == 1 else f"{len(own)} texts such as {first!r}"
    return asked, f"{corpus.name}: likeness to {like}{beyond}."


def _best_of(chosen: ChosenTexts, text_reps: TextReps) -> list[Asked]:
    """The best concepts of each picture, a target a place."""
    bank = chosen.bank
    assert bank is not None
    text_reps.check([fill(template, NEUTRAL) for template in bank.templates], "--template")
    reps = text_reps.of([fill(template, concept) for concept in bank.concepts for template in bank.templates], "--concepts")
    prompts = reps.view(len(bank.concepts), len(bank.templates), -1)
    means = prompts.mean(1)
    prompted = text_reps.prompted(_ALL_CONCEPTS, bank.templates, means)
    return [
        Asked(f"concept {place}", "concept", prompts, prompts, means, means, num=place, prompted=prompted)
        for place in range(1, chosen.top + 1)
    ]
