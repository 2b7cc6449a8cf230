"""Words to tokens."""

from __future__ import annotations

import pytest

from cocoa_pl.data.words import UNKNOWN, WordTokenizer, words_of


def test_words_are_numbered_in_order_after_filling_unknown_and_end() -> None:
    tokenizer = WordTokenizer(["red", "seven"], context_length=4)
    assert tokenizer.size == 5
    assert tokenizer(["red seven", "Seven!", "blue", f"{UNKNOWN} red"]).tolist() == [[3, 4, 2, 0], [4, 2, 0, 0], [1, 2, 0, 0], [1, 3, 2, 0]]


def test_a_long_text_is_cut_but_its_length_is_told() -> None:
    tokenizer = WordTokenizer(["red"], context_length=3)
    assert tokenizer(["red red red red"]).tolist() == [[3, 3, 2]]
    assert tokenizer.num_tokens("red red red red") == 5


@pytest.mark.parametrize(("texts", "words"), [(["A cat's tail."], ("a", "cat's", "tail")), ([f"{UNKNOWN} Größe", "größe"], ("größe",))])
def test_words_of_texts(texts: list[str], words: tuple[str, ...]) -> None:
    assert words_of(texts) == words
