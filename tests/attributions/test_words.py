"""Values of words against their definition over all orders, closed forms, and the encoder itself."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cocoa_pl.attributions.words import NO_WORDS, TextScoreFn, WordAttribution, share_out, word_shapley
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.text_encoding import FrozenTextEncoder

WORDS = ("a", "photo", "of", "red", "seven", "at", "the", "top", "left", "and", "blue", "two")
LONG = " ".join(WORDS)
DIRECTIONS = F.normalize(torch.randn(3, 16, generator=torch.Generator().manual_seed(1)), dim=1)


@pytest.fixture(scope="module")
def encoder() -> FrozenTextEncoder:
    """A small transformer over words, untrained, with embeddings large enough for words to matter to each other."""
    tokenizer = WordTokenizer(WORDS, context_length=14)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tower = TextTower(num_tokens=tokenizer.size, context_length=14, width=16, num_layers=1, num_heads=2, out_dim=16)
        nn.init.normal_(tower.embedding.weight)
    return FrozenTextEncoder(tower, tokenizer)


def additive(weight: dict[str, Tensor]) -> TextScoreFn:
    """Scores (n, K) that are sums over words."""
    return lambda texts: torch.stack([sum((weight[word] for word in text.split() if word != NO_WORDS), torch.zeros(2)) for text in texts])


def over_all_orders(score_fn: TextScoreFn, text: str) -> Tensor:
    """What each word adds when words come one by one, the mean over all orders in which they can; (K, W)."""
    words = text.split()
    total = 0
    for order in itertools.permutations(range(len(words))):
        there: list[int] = []
        before = score_fn([NO_WORDS])[0].double()
        for place in order:
            there = sorted([*there, place])
            after = score_fn([" ".join(words[i] for i in there)])[0].double()
            total = total + torch.outer(after - before, torch.eye(len(words), dtype=torch.float64)[place])
            before = after
    return total / math.factorial(len(words))


def similarity(encoder: FrozenTextEncoder) -> TextScoreFn:
    return lambda texts: F.normalize(encoder.encode(texts).double(), dim=1) @ DIRECTIONS.double().T


@pytest.mark.parametrize("text", ["seven", "red seven", "a red seven", "red seven at left", "a a red a"])
def test_values_equal_the_mean_over_all_orders(encoder: FrozenTextEncoder, text: str) -> None:
    found = word_shapley(encoder.encode, text, DIRECTIONS)
    np.testing.assert_allclose(found.values.numpy(), over_all_orders(similarity(encoder), text).numpy(), atol=1e-6)
    assert found.words == tuple(text.split())
    assert not found.standard_error.any()
    assert found.values.abs().min() > 1e-4


@pytest.mark.parametrize("text", ["seven", "a red seven at the top", LONG])
def test_values_sum_to_what_the_words_bring_together(encoder: FrozenTextEncoder, text: str) -> None:
    found = word_shapley(encoder.encode, text, DIRECTIONS)
    torch.testing.assert_close(found.values.sum(1), found.score - found.empty_score, atol=1e-6, rtol=0)
    score_fn = similarity(encoder)
    torch.testing.assert_close(found.score, score_fn([text])[0].float())
    torch.testing.assert_close(found.empty_score, score_fn([NO_WORDS])[0].float())


@pytest.mark.parametrize("num_words", [4, 12])
def test_words_of_an_additive_score_have_their_own_weight(num_words: int) -> None:
    weight = dict(zip(WORDS, torch.randn(12, 2, generator=torch.Generator().manual_seed(2)), strict=True))
    weight["of"] = torch.zeros(2)  # a word that says nothing
    found = share_out(additive(weight), " ".join(WORDS[:num_words]), num_pairs=30)
    np.testing.assert_allclose(found.values.numpy(), torch.stack([weight[word] for word in WORDS[:num_words]], 1).numpy(), atol=1e-6)
    assert found.values[:, 2].abs().max() < 1e-6
    assert found.standard_error.max() < 1e-6


def test_words_of_one_part_get_one_value_and_a_word_without_a_part_none() -> None:
    def score_fn(texts: Sequence[str]) -> Tensor:
        return torch.tensor([[float({"red", "seven"} <= set(text.split())), float("and" in text.split())] for text in texts])

    found = share_out(score_fn, "a red seven and")
    np.testing.assert_allclose(found.values.numpy(), [[0, 0.5, 0.5, 0], [0, 0, 0, 1]], atol=1e-12)


def test_all_directions_at_once_are_one_by_one(encoder: FrozenTextEncoder) -> None:
    both = word_shapley(encoder.encode, "a red seven at the left", DIRECTIONS)
    for k in range(3):
        alone = word_shapley(encoder.encode, "a red seven at the left", DIRECTIONS[k : k + 1])
        torch.testing.assert_close(alone.values[0], both.values[k], atol=1e-6, rtol=0)


def test_every_text_is_encoded_once(encoder: FrozenTextEncoder) -> None:
    seen: list[str] = []

    def encode(texts: Sequence[str]) -> Tensor:
        seen.extend(texts)
        return encoder.encode(texts)

    word_shapley(encode, "a red seven at the top left two", DIRECTIONS)
    assert len(seen) == len(set(seen)) == 2**8
    seen.clear()
    word_shapley(encode, "a a a red", DIRECTIONS)  # sets of words that make one text are one
    assert sorted(seen) == [".", "a", "a a", "a a a", "a a a red", "a a red", "a red", "red"]
    seen.clear()
    word_shapley(encode, LONG, DIRECTIONS, num_pairs=40)
    assert len(seen) == len(set(seen)) <= 2 * 40 + 2
    assert {LONG, NO_WORDS} <= set(seen)


def test_drawn_sets_come_near_to_all_of_them_and_know_how_near(encoder: FrozenTextEncoder) -> None:
    exact = word_shapley(encoder.encode, " ".join(WORDS[:10]), DIRECTIONS, num_pairs=2**9).values
    drawn = [word_shapley(encoder.encode, " ".join(WORDS[:10]), DIRECTIONS, seed=seed, num_pairs=64) for seed in range(12)]
    away = torch.stack([each.values - exact for each in drawn])
    claimed = torch.stack([each.standard_error for each in drawn]).square().mean().sqrt()
    assert 0.7 < float(away.square().mean().sqrt() / claimed) < 1.4
    assert float(claimed) < 0.3 * float(exact.std())
    again = word_shapley(encoder.encode, " ".join(WORDS[:10]), DIRECTIONS, seed=3, num_pairs=64)
    assert torch.equal(again.values, drawn[3].values)
    assert not torch.equal(drawn[2].values, drawn[3].values)


def test_the_placeholder_moves_all_words_by_the_same(encoder: FrozenTextEncoder) -> None:
    first, second = (word_shapley(encoder.encode, "a red seven", DIRECTIONS, empty=empty) for empty in (NO_WORDS, "photo"))
    moved = (first.empty_score - second.empty_score) / 3
    torch.testing.assert_close(second.values - first.values, moved[:, None].expand(3, 3), atol=1e-6, rtol=0)
    assert moved.abs().min() > 1e-3


def test_a_text_of_zero_length_representation_scores_zero() -> None:
    found = word_shapley(lambda texts: torch.zeros(len(texts), 16), "a red seven", DIRECTIONS)
    assert isinstance(found, WordAttribution)
    assert not found.values.any()
    assert not found.score.any()


def test_what_cannot_be_shared_out_is_refused(encoder: FrozenTextEncoder) -> None:
    with pytest.raises(DataError, match="an empty text has no words"):
        word_shapley(encoder.encode, "  ", DIRECTIONS)
    with pytest.raises(ConfigError, match=r"num_pairs=11: must be at least 12 for a text of 12 words"):
        word_shapley(encoder.encode, LONG, DIRECTIONS, num_pairs=11)
    with pytest.raises(DataError, match=r"directions \(3, 15\) and texts \(8, 16\): must be"):
        word_shapley(encoder.encode, "a red seven", DIRECTIONS[:, :15])
    with pytest.raises(DataError, match="an empty text cannot be encoded"):
        word_shapley(encoder.encode, "a red seven", DIRECTIONS, empty=" ")
