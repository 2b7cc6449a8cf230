"""The image-text model: its loss against a slow transcription, its text side, and that it learns."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.models.image_text import ImageText, LogitScale, info_nce
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.rng import generator


def tower() -> TextTower:
    torch.manual_seed(0)
    return TextTower(num_tokens=9, context_length=8, width=16, num_layers=2, num_heads=2, out_dim=5)


def test_the_loss_is_the_formula() -> None:
    rng = generator(0, "info_nce")
    images, texts = torch.randn(6, 4, generator=rng).double(), torch.randn(6, 4, generator=rng).double()
    total = 0.0
    for first, second in ((images, texts), (texts, images)):
        for i in range(6):
            logits = [7 * float(torch.cosine_similarity(first[i], second[j], dim=0)) for j in range(6)]
            total -= logits[i] - math.log(sum(map(math.exp, logits)))
    assert float(info_nce(images, texts, scale=torch.tensor(7.0))) == pytest.approx(total / 12, abs=1e-9)


def test_the_scale_is_learned_and_bounded() -> None:
    scale = LogitScale(0.07)
    assert scale().item() == pytest.approx(1 / 0.07)
    with torch.no_grad():
        scale.log_scale.fill_(9.0)
    assert scale().item() == pytest.approx(100)


@pytest.mark.parametrize("training", [True, False])
def test_what_a_text_becomes_depends_on_no_other_text(training: bool) -> None:
    model = tower().train(training)
    tokenizer = WordTokenizer(["a", "red", "blue", "seven", "two", "and"], context_length=8)
    texts = ["a red seven", "a blue two and a red seven", "seven"]
    with torch.no_grad():
        together = model(tokenizer(texts))
        alone = torch.cat([model(tokenizer([text])) for text in texts])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert not torch.allclose(together[0], together[2], atol=1e-3)


def test_the_order_of_words_counts() -> None:
    tokenizer = WordTokenizer(["a", "red", "blue", "seven", "two", "and"], context_length=8)
    with torch.no_grad():
        first, second = tower().eval()(tokenizer(["red seven and blue two", "blue seven and red two"]))
    assert float((first - second).norm()) > 1e-3


def test_all_of_it_is_trained_and_all_of_it_is_in_a_checkpoint() -> None:
    from cocoa_pl.models.optim import OptimSpec, adamw, constant

    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 7))
    spec = OptimSpec(adamw, constant, 1e-3, 0.0, 0.0)
    module = ImageText(
        backbone, rep_dim=7, text_tower=tower(), tokenizer=WordTokenizer(["a"], context_length=8), projection_dim=5, optim=spec,
        mean=(0.5,) * 3, std=(0.2,) * 3,
    )  # fmt: skip
    trained = {f"{prefix}{name}" for prefix, part in module.trained.items() for name, _ in part.named_parameters()}
    assert trained == {name for name, _ in module.named_parameters()}
