"""Which words of a text a score rests on: Shapley values of its words, for many pictures from one set of texts.

The score of a text t is s(t) = <t^, d> with t^ = t / |t| and a direction d in the space that images and texts share, such as the unit
representation of a picture: what the foil takes from it is the same for all texts. Words that are absent are left out, the others keep
their order; where none is left, a placeholder is. Every text is encoded once, for any number of directions
(:mod:`cocoa_pl.attributions.shapley`).

Shape legend
    K  directions, or targets      D  length of a representation      W  words      n  texts
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.attributions.shapley import all_pairs, drawn_pairs, shapley_values
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.streaming import precise_dtype

TextScoreFn = Callable[[Sequence[str]], Tensor]
"""n texts to the scores of K targets, (n, K)."""

NO_WORDS = "."
"""Stands for a text without words, which text encoders do not take."""


@dataclass(frozen=True)
class WordAttribution:
    """How a text's score is shared out over its words.

    Attributes:
        words: W, in order.
        values: (K, W), signed; they sum to ``score`` - ``empty_score``.
        standard_error: (K, W), of drawing sets of words; 0 where all sets were taken.
        score: (K,), of the text.
        empty_score: (K,), of the placeholder.
    """

    words: tuple[str, ...]
    values: Tensor
    standard_error: Tensor
    score: Tensor
    empty_score: Tensor


def word_shapley(
    encode: Callable[[Sequence[str]], Tensor], text: str, directions: Tensor, *, seed: int = 0, num_pairs: int = 127, empty: str = NO_WORDS
) -> WordAttribution:
    """Shapley values of a text's words for the cosine similarity to K directions.

    Args:
        encode: n texts to representations (n, D), as :meth:`~cocoa_pl.text_encoding.FrozenTextEncoder.encode` does.
        text: words parted by spaces.
        directions: (K, D); for values in units of cosine similarity unit representations of pictures.
        seed: see :func:`share_out`.
        num_pairs: see :func:`share_out`.
        empty: see :func:`share_out`.

    Raises:
        ConfigError: fewer pairs than words.
        DataError: a text without words; directions of another length than representations; what ``encode`` raises.

    Example:
        >>> axes = {"red": 0, "seven": 1}
        >>> encode = lambda texts: torch.stack([sum((torch.eye(3)[axes.get(w, 2)] for w in t.split()), torch.zeros(3)) for t in texts])
        >>> found = word_shapley(encode, "red seven", torch.eye(3)[:2])
        >>> found.words, [[round(value, 3) for value in row] for row in found.values.tolist()]
        (('red', 'seven'), [[0.854, -0.146], [-0.146, 0.854]])
    """

    def score_fn(texts: Sequence[str]) -> Tensor:
        reps = encode(texts)
        if directions.ndim != 2 or reps.ndim != 2 or directions.shape[1] != reps.shape[1]:
            raise DataError(f"directions {tuple(directions.shape)} and texts {tuple(reps.shape)}: must be (K, D) and (n, D)")
        precise = precise_dtype(reps.device)
        return F.normalize(reps.to(precise), dim=1) @ directions.to(reps.device, precise).T

    return share_out(score_fn, text, seed=seed, num_pairs=num_pairs, empty=empty)


@torch.no_grad()
def share_out(score_fn: TextScoreFn, text: str, *, seed: int = 0, num_pairs: int = 127, empty: str = NO_WORDS) -> WordAttribution:
    """Shapley values of a text's words for any score of texts, exact where ``num_pairs`` is enough for all sets of words.

    Args:
        score_fn: n texts to scores (n, K); it is called once, and with no text twice.
        text: words parted by spaces.
        seed: of the sets drawn.
        num_pairs: sets of words that are scored, each with its complement. There are 2^(W - 1) - 1 of them, so the default is exact up to 8
            words, by 256 texts.
        empty: the text that is scored for no word. Values depend on it by a part that the words share evenly.

    Raises:
        ConfigError: fewer pairs than words.
        DataError: a text without words; what ``score_fn`` raises.

    Example:
        >>> found = share_out(lambda texts: torch.tensor([[float("not" in t), float(len(t))] for t in texts]), "not a cat")
        >>> [[round(value, 2) for value in row] for row in found.values.tolist()]
        [[1.0, 0.0, 0.0], [3.33, 1.33, 3.33]]
    """
    words = tuple(text.split())
    if not words:
        raise DataError("an empty text has no words to share its score out over")
    keep, weight = _pairs(len(words), num_pairs, seed)
    nothing = keep.new_zeros(1, len(words))
    sets = torch.cat([keep, ~keep, ~nothing, nothing]).tolist()
    texts = [" ".join(word for word, there in zip(words, each, strict=True) if there) or empty for each in sets]
    places = {unlike: place for place, unlike in enumerate(dict.fromkeys(texts))}
    scores = score_fn(list(places)).cpu().double()[[places[each] for each in texts]].T
    kept, rest, whole, none = scores.split_with_sizes([len(keep), len(keep), 1, 1], dim=1)
    values, errors = shapley_values(keep, weight, kept - rest, (whole - none)[:, 0])
    return WordAttribution(words, values.float(), errors.float(), whole[:, 0].float(), none[:, 0].float())


def _pairs(num_words: int, num_pairs: int, seed: int) -> tuple[Tensor, Tensor | None]:
    """All pairs of sets with their weights if they are affordable, else pairs drawn by their weights."""
    if 2 ** (num_words - 1) - 1 <= num_pairs:
        return all_pairs(num_words)
    if num_pairs < num_words:
        raise ConfigError(f"num_pairs={num_pairs}: must be at least {num_words} for a text of {num_words} words, better twice as many")
    return drawn_pairs(num_words, num_pairs, seed=seed), None
