"""Recall at k against a loop over pictures."""

from __future__ import annotations

import pytest
import torch

from cocoa_pl.errors import DataError
from cocoa_pl.metrics.retrieval import Retrieval, recall_at
from cocoa_pl.rng import generator


@pytest.mark.parametrize("k", [1, 3, 50])
def test_recall_equals_a_loop(k: int) -> None:
    rng = generator(0, "retrieval")
    images, texts = torch.randn(40, 6, generator=rng), torch.randn(40, 6, generator=rng)
    texts = texts + images
    same = torch.randint(30, (40,), generator=rng)
    found = []
    for i in range(40):
        scores = [float(torch.cosine_similarity(images[i], text, dim=0)) for text in texts]
        best = sorted(range(40), key=lambda j: -scores[j])[:k]
        found.append(float(any(same[j] == same[i] for j in best)))
    assert recall_at(images, texts, same, k=k).tolist() == found


def test_captions_that_say_the_same_all_count() -> None:
    metric = Retrieval()
    images = torch.eye(4)
    metric.update(images, images[[1, 0, 2, 3]], torch.tensor([[5], [5], [6], [7]]))
    assert metric.compute()["val/recall_at_1"] == 1
    apart = Retrieval()
    apart.update(images, images[[1, 0, 2, 3]], torch.tensor([[5], [4], [6], [7]]))
    assert apart.compute()["val/recall_at_1"] == 0.5


def test_a_diverged_encoder_gives_nan_and_wrong_shapes_an_error() -> None:
    metric = Retrieval()
    metric.update(torch.full((3, 2), torch.nan), torch.eye(3, 2), torch.arange(3)[:, None])
    assert all(value != value for value in metric.compute().values())
    with pytest.raises(DataError, match="must be"):
        recall_at(torch.eye(3), torch.eye(2), torch.arange(3), k=1)
