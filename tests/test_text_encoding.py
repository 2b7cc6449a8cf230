"""The frozen copy of a text encoder: right numbers, no trace on the original, and neither images nor bad texts taken."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.text_encoding import FrozenTextEncoder

WORDS = ("a", "red", "blue", "seven", "two", "and")
TEXTS = ("a red seven", "blue", "two and a blue two", "red and blue and red", "something else")


def tower() -> TextTower:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TextTower(num_tokens=9, context_length=8, width=16, num_layers=2, num_heads=2, out_dim=5)


def tokenizer() -> WordTokenizer:
    return WordTokenizer(WORDS, context_length=8)


class ByName(nn.Module):
    """Takes tokens by name, as Hugging Face's networks do."""

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, tokens: dict[str, Tensor]) -> Tensor:
        reps: Tensor = self.tower(tokens["input_ids"])
        return reps


class NamedTokens:
    context_length = None

    def __call__(self, texts: Sequence[str], /) -> dict[str, Tensor]:
        return {"input_ids": tokenizer()(texts)}

    def num_tokens(self, text: str, /) -> int:
        raise AssertionError("nobody counts where there is no limit")


def test_texts_are_tokenised_and_encoded_in_order() -> None:
    net = tower().eval()
    with torch.no_grad():
        expected = torch.cat([net(tokenizer()([text])) for text in TEXTS])
    encoder = FrozenTextEncoder(net, tokenizer())
    torch.testing.assert_close(encoder.encode(TEXTS), expected)
    torch.testing.assert_close(FrozenTextEncoder(ByName(net), NamedTokens()).encode(TEXTS), expected)
    torch.testing.assert_close(FrozenTextEncoder(lambda texts: net(tokenizer()(texts))).encode(TEXTS), expected)
    torch.testing.assert_close(FrozenTextEncoder(net, tokenizer(), precision="64").encode(TEXTS), expected)
    assert encoder.num_forwards == len(TEXTS)


def test_many_texts_go_in_passes() -> None:
    seen: list[int] = []

    def read(texts: list[str]) -> Tensor:
        seen.append(len(texts))
        return torch.tensor([[float(text)] for text in texts])

    reps = FrozenTextEncoder(read).encode([str(number) for number in range(600)])
    assert torch.equal(reps[:, 0], torch.arange(600.0))
    assert sum(seen) == 600
    assert max(seen) <= 256


def test_bf16_comes_close_and_ranks_alike() -> None:
    exact, rough = (FrozenTextEncoder(tower(), tokenizer(), precision=precision).encode(TEXTS) for precision in ("32", "bf16"))
    assert rough.dtype == torch.float32
    assert not torch.equal(rough, exact)
    torch.testing.assert_close(rough, exact, rtol=0.05, atol=0.02)
    exact, rough = (nn.functional.normalize(reps, dim=1) for reps in (exact, rough))
    assert torch.equal((rough @ rough[0]).argsort(), (exact @ exact[0]).argsort())


def test_encoding_leaves_no_trace_on_the_original() -> None:
    net = tower().train()
    net.head.weight.grad = torch.full_like(net.head.weight, 7.0)
    state = copy.deepcopy(net.state_dict())
    encoder = FrozenTextEncoder(net, tokenizer())
    reps = encoder.encode(TEXTS)
    assert net.training
    assert all(parameter.requires_grad for parameter in net.parameters())
    assert net.head.weight.grad is not None
    assert all(torch.equal(value, state[name]) for name, value in net.state_dict().items())
    with torch.no_grad():
        net.head.weight.zero_()
    assert torch.equal(encoder.encode(TEXTS), reps)
    assert not reps.requires_grad


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([], "no text to encode"),
        (["a", ""], "an empty text cannot be encoded"),
        (["a", " \t\n"], "an empty text cannot be encoded"),
        ("a red seven", "one text 'a red seven' met a text encoder, which takes a list of texts"),
        ([f"a{' red' * 7}"], "the text 'a red red red red red red red' has 9 tokens, the text encoder takes 8: shorten it"),
        ([f"a{' red' * 99}"], r"the text 'a red .{54}…' has 101 tokens"),
        (torch.zeros(2, 3, 8, 8), "Tensor met a text encoder, which takes texts; images are for the image encoder"),
        (np.zeros((2, 3), dtype=np.uint8), "ndarray met a text encoder"),
        ([Image.new("RGB", (8, 8))], "list met a text encoder, which takes texts; images are for the image encoder"),
        (["a", 3], "list met a text encoder"),
    ],
)
def test_what_is_no_text_is_refused(texts: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        FrozenTextEncoder(tower(), tokenizer()).encode(texts)


@pytest.mark.parametrize("output", [torch.zeros(2, 3, 4), torch.zeros(3, 4), torch.zeros(2), [1, 2]])
def test_what_is_no_representation_is_refused(output: Any) -> None:
    with pytest.raises(DataError, match=r"the text encoder returned .* for 2 texts; it must return representations \(n, D\)"):
        FrozenTextEncoder(lambda texts: output).encode(["a", "b"])


@pytest.mark.parametrize("texts", ["a cat", ["a cat"], ("a cat", "a dog"), [torch.zeros(3, 8, 8), "a cat"]])
def test_an_image_encoder_takes_no_texts(texts: Any) -> None:
    encoder = FrozenEncoder(nn.Flatten())
    for call in (encoder, encoder.encode):
        with pytest.raises(DataError, match="texts met an image encoder, which takes images; texts are for the text encoder"):
            call(texts)


def test_words_that_a_tokenizer_of_words_does_not_know_are_told() -> None:
    tokenizer = WordTokenizer(["a", "red"], context_length=6)
    encoder = FrozenTextEncoder(nn.Sequential(nn.Embedding(tokenizer.size, 4), nn.Flatten(), nn.Linear(24, 3)), tokenizer)
    assert encoder.unknown(["a red zebra", "a zebra and a cat"]) == ("zebra", "and", "cat")
    assert FrozenTextEncoder(lambda texts: torch.ones(len(texts), 3)).unknown(["a zebra"]) == ()
