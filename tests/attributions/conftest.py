"""What the tests of attributions share: a small CNN and targets of every kind."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free

collect_ignore = ["conftest.py"]  # as a module of doctests: two modules of one name cannot be collected


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 5, 3, stride=2), nn.Tanh()))


@pytest.fixture
def explicands() -> Tensor:
    return torch.rand(3, 3, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def targets(encoder: FrozenEncoder, explicands: Tensor) -> DirectionTarget:
    draw = torch.Generator().manual_seed(1)
    reps, corpus, foil = encoder.encode(explicands), *(encoder.encode(torch.rand(n, 3, 9, 11, generator=draw)) for n in (4, 6))
    return label_free(reps) + contrastive_label_free(reps, foil) + corpus_similarity(corpus) + cocoa(corpus, foil)


class TinyViT(nn.Module):
    """A vision transformer of one block and one head on 8 x 8 images in patches of 2: a class token, a register, 16 patches."""

    def __init__(self, *, read_class: bool) -> None:
        super().__init__()
        self.read_class = read_class
        self.patches = nn.Conv2d(3, 6, 2, stride=2)
        self.extra = nn.Parameter(torch.randn(1, 2, 6))
        self.place = nn.Parameter(torch.randn(1, 18, 6))
        self.norm1, self.qkv, self.attend, self.norm = nn.LayerNorm(6), nn.Linear(6, 18), nn.Softmax(dim=-1), nn.LayerNorm(6)

    def stem(self, images: Tensor) -> Tensor:
        tokens = self.patches(images).flatten(2).mT
        return torch.cat([self.extra.expand(len(images), -1, -1), tokens], dim=1) + self.place

    def rest(self, stem: Tensor, normed: Tensor) -> Tensor:
        """From the first norm's output to representations; the stem's output goes round it."""
        q, k, v = self.qkv(normed)[:, None].chunk(3, dim=-1)
        weights = self.attend(q @ k.mT)  # (B, 1 head, 18, 18): as square as a map
        tokens = self.norm(stem + (weights @ v)[:, 0])
        return torch.tanh(tokens[:, 0] if self.read_class else tokens[:, 2:].mean(dim=1))

    def forward(self, images: Tensor) -> Tensor:
        stem = self.stem(images)
        return self.rest(stem, self.norm1(stem))


@pytest.fixture(params=["class", "mean"])
def vit(request: pytest.FixtureRequest) -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return FrozenEncoder(TinyViT(read_class=request.param == "class"))
