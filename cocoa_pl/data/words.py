"""Words to numbers: the tokenizer of text encoders that are trained here."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

UNKNOWN = "<unknown>"
"""Stands for any word that the tokenizer does not know; in a caption, for a word that is withheld."""
_PAD, _UNKNOWN, _END = 0, 1, 2
_FIRST = 3
_WORD = re.compile(r"<unknown>|\w+(?:'\w+)?", re.UNICODE)


class WordTokenizer:
    """One token a word, in lower case and without punctuation; a token marks the end, zeros fill up.

    Args:
        words: those that it knows, of which token 3 is the first.
        context_length: most tokens of a text, the end among them.

    Example:
        >>> tokenizer = WordTokenizer(["a", "seven"], context_length=5)
        >>> tokenizer(["A seven.", "a photo of a seven"]).tolist(), tokenizer.num_tokens("a photo of a seven")
        ([[3, 4, 2, 0, 0], [3, 1, 1, 3, 2]], 6)
    """

    def __init__(self, words: Sequence[str], *, context_length: int) -> None:
        self.words, self.context_length = tuple(words), context_length
        self._numbers = {word: number for number, word in enumerate(self.words, start=_FIRST)}

    @property
    def size(self) -> int:
        """How many different tokens there are."""
        return _FIRST + len(self.words)

    def __call__(self, texts: Sequence[str], /) -> Tensor:
        """Tokens (n, context_length) of texts; of a longer text the first ones and the end."""
        rows = torch.full((len(texts), self.context_length), _PAD)
        for row, text in zip(rows, texts, strict=True):
            numbers = [self._numbers.get(word, _UNKNOWN) for word in split_words(text)][: self.context_length - 1]
            row[: len(numbers) + 1] = torch.tensor([*numbers, _END])
        return rows

    def num_tokens(self, text: str, /) -> int:
        """Tokens of a text, however many."""
        return len(split_words(text)) + 1

    def unknown(self, text: str) -> tuple[str, ...]:
        """The words of a text that it does not know."""
        return tuple(word for word in split_words(text) if word not in self._numbers)


def split_words(text: str) -> list[str]:
    """The words of a text.

    Example:
        >>> split_words("A red seven, and the cat's!")
        ['a', 'red', 'seven', 'and', 'the', "cat's"]
    """
    return _WORD.findall(text.lower())


def words_of(texts: Iterable[str]) -> tuple[str, ...]:
    """All words of texts, sorted."""
    return tuple(sorted({word for text in texts for word in split_words(text)} - {UNKNOWN}))
