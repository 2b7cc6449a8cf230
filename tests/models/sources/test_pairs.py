"""Pairs of encoders that functions return: which are taken, and which are refused before anything is built upon them."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cocoa_pl.build.encoders import EncoderOptions, open_encoder
from cocoa_pl.config import load_config
from cocoa_pl.errors import CocoaError, ConfigError
from cocoa_pl.models.sources import open_foreign
from tests.models.sources.conftest import Saves, noted

CODE = """
import torch
from torch import nn
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.text_encoding import FrozenTextEncoder

class Means(nn.Module):
    def __init__(self, scale=1.0):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(scale))
    def forward(self, images):
        return self.scale * images.mean((2, 3))

class Colours(nn.Module):
    names = ("red", "green", "blue")
    def __init__(self, long=3):
        super().__init__()
        self.rows = nn.Parameter(torch.eye(3, long))
    def forward(self, texts):
        return torch.stack([sum(self.rows[n] * (name in text) for n, name in enumerate(self.names)) + 0.1 for text in texts])

class OfTokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.EmbeddingBag(8, 3, mode="sum")
    def forward(self, tokens):
        return self.embedding(tokens)

class Forgets(Colours):
    passes = 0
    def forward(self, texts):
        self.passes += 1
        return super().forward(texts) + 0.3 * self.passes

class Centred(Colours):
    def forward(self, texts):
        reps = super().forward(texts) + torch.arange(float(len(texts)))[:, None]
        return reps - reps.mean(0)

def raises(texts): raise RuntimeError("first line\\nsecond line")

def modules(): return Means(), Colours()
def functions(): return (lambda images: images.mean((2, 3))), (lambda texts: Colours()(texts).double())
def listed(): return [Means(), Colours()]
def frozen(): return Means(), FrozenTextEncoder(OfTokens(), WordTokenizer(["red", "a"], context_length=4))
def loads(path): return Means(float(torch.load(path)["scale"])), Colours()
def maybe_double(): return Means().double(), Colours().double().train()
def swapped(): return Colours(), Means()
def swapped_functions(): return functions()[::-1]
def two_images(): return Means(), Means()
def two_texts(): return Colours(), Colours()
def longer(): return Means(), Colours(5)
def forgets(): return Means(), Forgets()
def centred(): return Means(), Centred()
def broken(): return Means(), raises
def one_vector(): return Means(), lambda texts: Colours()(texts).sum(0)
def a_number(): return Means(), 3
def a_class(): return Means(), Colours
def three(): return Means(), Colours(), Colours()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current directory, of a name of its own."""
    name = f"pairs_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    yield name
    sys.modules.pop(name, None)


def asked(module: str, function: str, **settings: Any) -> Any:
    overrides = [f"{name.replace('__', '.')}={value}" for name, value in settings.items()]
    return open_encoder(None, load_config(overrides=overrides), EncoderOptions(f"{module}:{function}", mean=[0.0], std=[1.0]))


@pytest.mark.parametrize("function", ["modules", "functions", "listed", "maybe_double"])
@pytest.mark.parametrize("precision", ["32", "bf16"])
def test_both_sides_are_there(module: str, function: str, precision: str) -> None:
    one = asked(module, function, explain__precision=precision)
    assert one.text == one.about["text"] == f"the text encoder of {module}:{function}"
    encoder = one.on(torch.device("cpu"))
    images = torch.rand(2, 3, 8, 8)
    torch.testing.assert_close(encoder(images), images.mean((2, 3)), rtol=0, atol=1e-2 if precision == "bf16" else 1e-6)
    expected = torch.tensor([[0.1, 0.1, 1.1], [1.1, 1.1, 0.1]])
    found = encoder.text.encode(["a blue one", "red and green"])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-2 if precision == "bf16" else 1e-6)


def test_a_frozen_text_encoder_brings_its_tokenizer(module: str) -> None:
    text = asked(module, "frozen").on(torch.device("cpu")).text
    assert text.tokenizer.num_tokens("a red one") == 4
    assert text.encode(["a red"]).shape == (1, 3)


def test_the_function_loads_the_file_itself(module: str, saved: Saves) -> None:
    opened = open_foreign(saved({"scale": 2.0}), encoder=f"{module}:loads")
    torch.testing.assert_close(opened.module(torch.ones(1, 3, 8, 8)), torch.full((1, 3), 2.0))
    assert opened.text is not None
    with pytest.raises(ConfigError, match=r"returns a pair, into which --ckpt is not loaded; the function must take the path"):
        open_foreign(saved({"scale": 2.0}), encoder=f"{module}:modules")


def test_the_fingerprint_is_of_both(module: str, saved: Saves) -> None:
    marks = [open_foreign(None, encoder=f"{module}:modules").fingerprint for _ in range(2)]
    marks += [open_foreign(saved({"scale": scale}), encoder=f"{module}:loads").fingerprint for scale in (1.0, 2.0)]
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3
    opened = open_foreign(None, encoder=f"{module}:functions")
    assert opened.fingerprint == ""
    assert noted(opened, "nothing about it is cached")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("swapped", "ConfigError: .*: the first of the pair takes texts and the second images; a pair is .image encoder, text encoder."),
        ("swapped_functions", "ConfigError: .*: the first of the pair takes texts and the second images"),
        ("two_images", "CheckpointError: .*: the text encoder does not take texts .AttributeError: 'list'"),
        ("two_texts", r"CheckpointError: .*: does not take images \(2, 3, 224, 224\)"),
        ("longer", "DataError: .*: images have representations of length 3, texts of 5; a pair shares one space"),
        ("forgets", "CheckpointError: .*: one text gets other representations from pass to pass or beside other texts"),
        ("centred", "CheckpointError: .*: one text gets other representations from pass to pass or beside other texts"),
        ("broken", r"CheckpointError: .*: the text encoder does not take texts \(RuntimeError: first line\)"),
        ("one_vector", r"CheckpointError: .*: the text encoder returned \(3,\) for 2 texts"),
        ("a_number", "ConfigError: .*: the second of the pair is a int; a pair is .*, the second a function of a list of texts"),
        ("a_class", "ConfigError: .*: the second of the pair is a type"),
        ("three", "ConfigError: .*: the function returned tuple; it must return an nn.Module or a function of images, or a pair"),
    ],
)
def test_refusals(module: str, function: str, words: str) -> None:
    with pytest.raises(CocoaError) as caught:
        open_foreign(None, encoder=f"{module}:{function}")
    said = f"{caught.type.__name__}: {caught.value}"
    assert "\n" not in said
    assert re.search(words, said), said
