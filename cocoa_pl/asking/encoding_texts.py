"""From the texts of a question to targets in the space that one pair of encoders shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cocoa_pl.asking.picks import Pick
from cocoa_pl.asking.prompts import GIBBERISH, Prompted
from cocoa_pl.asking.question import Asked
from cocoa_pl.asking.texts import ChosenText, ChosenTexts, Sentences, TextPick
from cocoa_pl.attributions.words import word_shapley
from cocoa_pl.errors import DataError, DivergedError
from cocoa_pl.targets import normalize
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.texts.templates import DEFAULT, fill

Foils = tuple[Tensor, Tensor]
"""What explains and what measures, (F, D) each."""
RepsOf = Callable[[Pick | None], Tensor]
"""Pictures to unit representations (M, D); (0, D) of none."""

_FEWEST_PAIRS = 127  # of sets of words: all that there are of eight words
_ALL_CONCEPTS = "/concepts"  # no corpus can be called so
_SHOWN = 8  # unknown words
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

    def of(self, texts: Sequence[str]) -> Tensor:
        """(n, D).

        Raises:
            DataError: a text that cannot be encoded, or representations of another length than the image encoder's.
            DivergedError: representations that are not finite.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            made = self.encoder.encode(new).to(self._device)
            if made.shape[1] != self._dim:
                raise DataError(
                    f"the text encoder gives representations of length {made.shape[1]}, the image encoder {self._dim}: they share no space"
                )
            if not bool(torch.isfinite(made).all()):
                raise DivergedError("the text encoder's representations hold NaN or infinite values: nothing can be explained by them")
            self._known |= dict(zip(new, normalize(made), strict=True))
        return torch.stack([self._known[text] for text in texts])

    def means(self, groups: Sequence[Sentences]) -> Tensor:
        """The mean of each group's representations, (F, D)."""
        reps = self.of([text for group in groups for text in group])
        return torch.stack([own.mean(0) for own in torch.split(reps, [len(group) for group in groups])])

    def nonsense(self, templates: Sequence[str]) -> Tensor:
        """(D,), the mean of words of no language in the same sentences, or in a plain one where those have no room for them."""
        texts = [fill(template, word) for template in templates or (DEFAULT,) for word in GIBBERISH]
        try:
            self.encoder.check(texts)
        except DataError:  # longer in tokens than what was asked
            texts = [fill(DEFAULT, word) for word in GIBBERISH]
        return self.of(texts).mean(0)

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
    own = parted(text_reps.means(texts.groups), texts)
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


def encode_texts(chosen: ChosenTexts, reps_of: RepsOf, text_reps: TextReps) -> tuple[list[Asked], list[str]]:
    """Targets of text, and whole sentences on what each compares with what.

    Raises:
        DataError: see :meth:`TextReps.of`.
        DivergedError: see :meth:`TextReps.of`.
    """
    made = [_target(target, reps_of, text_reps, words=chosen.words) for target in chosen.targets]
    asked, facts = [each for each, _ in made], [said for _, said in made]
    if chosen.bank is not None:
        asked += _best_of(chosen, text_reps)
        bank, num = chosen.bank, len(chosen.bank.templates)
        facts.append(
            f"concept 1 to {chosen.top}: likeness to those of {len(bank.concepts)} concepts "
            f"({bank.words}{f', in {num} sentences each' if num > 1 else ''}) that each picture is most like, beyond that to all of them."
        )
    named = [*(text for target in chosen.targets for text in target.corpus.prompts), *(chosen.bank.concepts if chosen.bank else ())]
    if unknown := text_reps.encoder.unknown(named):
        shown = ", ".join(unknown[:_SHOWN]) + (f" and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else "")
        facts.append(f"The text encoder does not know the words: {shown}. To it they are all one, and maps towards them mean nothing.")
    return asked, [*facts, _READING]


def _target(target: ChosenText, reps_of: RepsOf, text_reps: TextReps, *, words: bool) -> tuple[Asked, str]:
    corpus = target.corpus
    (foil, measuring), beyond = contrast(target.pictures, target.texts, reps_of, text_reps)
    own, first = text_reps.of(corpus.prompts), corpus.prompts[0]
    others = text_reps.means(target.texts.groups) if target.texts is not None else own[:0]
    prompted = text_reps.prompted(corpus.name, corpus.templates, others, first=first if words else None)
    asked = Asked(corpus.name, "shared", own, own, foil, measuring, prompted=prompted)
    like = f"the text {first!r}" if len(own) == 1 else f"{len(own)} texts such as {first!r}"
    return asked, f"{corpus.name}: likeness to {like}{beyond}."


def _best_of(chosen: ChosenTexts, text_reps: TextReps) -> list[Asked]:
    """The best concepts of each picture, a target a place."""
    bank = chosen.bank
    assert bank is not None
    reps = text_reps.of([fill(template, concept) for concept in bank.concepts for template in bank.templates])
    prompts = reps.view(len(bank.concepts), len(bank.templates), -1)
    means = prompts.mean(1)
    prompted = text_reps.prompted(_ALL_CONCEPTS, bank.templates, means)
    return [
        Asked(f"concept {place}", "concept", prompts, prompts, means, means, num=place, prompted=prompted)
        for place in range(1, chosen.top + 1)
    ]
