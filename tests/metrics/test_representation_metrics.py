"""Representation metrics against scikit-learn and naive formulas; the torchmetrics class against itself in pieces."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from torch import Tensor

from cocoa_pl.metrics.health import alignment, collapse_level, effective_rank, uniformity
from cocoa_pl.metrics.quality import RepresentationQuality, raw_pixel_knn
from cocoa_pl.metrics.representation import fit_linear_head, knn_accuracy, linear_probe_accuracy

DRAW = torch.Generator().manual_seed(0)


def clusters(num: int, *, spread: float = 1.2) -> tuple[Tensor, Tensor]:
    labels = torch.arange(num) % 3
    centres = torch.randn(3, 5, generator=torch.Generator().manual_seed(7))
    return centres[labels] + spread * torch.randn(num, 5, generator=DRAW), labels


BANK, VAL = clusters(90), clusters(60)


def unit(reps: Tensor) -> np.ndarray:
    values = reps.double().numpy()
    return values / np.linalg.norm(values, axis=1, keepdims=True)


@pytest.mark.parametrize("num_neighbours", [1, 7, 500])
def test_knn_equals_scikit_learn(num_neighbours: int) -> None:
    knn = KNeighborsClassifier(min(num_neighbours, 90), metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.1))
    expected = knn.fit(BANK[0].numpy(), BANK[1].numpy()).score(VAL[0].numpy(), VAL[1].numpy())
    assert 0.4 < expected < 1
    assert knn_accuracy(*BANK, *VAL, num_neighbours=num_neighbours) == pytest.approx(expected)


def test_linear_head_equals_scikit_learn() -> None:
    reps = BANK[0] * torch.tensor([1.0, 10.0, 0.1, 1.0, 5.0]) + 3
    mean, scale = reps.mean(0).numpy(), reps.std(0, correction=0).numpy()
    theirs = LogisticRegression(C=1 / (90 * 0.01), tol=1e-8, max_iter=1000).fit((reps.numpy() - mean) / scale, BANK[1].numpy())
    weight, bias = fit_linear_head(reps, BANK[1], weight_decay=0.01)
    expected = theirs.predict_proba((reps.numpy() - mean) / scale)
    np.testing.assert_allclose((reps @ weight.T + bias).softmax(1).numpy(), expected, atol=2e-3)


def test_linear_probe_is_the_accuracy_of_that_head_from_every_mode() -> None:
    theirs = LogisticRegression(C=1 / (90 * 1e-3), max_iter=1000)
    mean, scale = (stat.numpy() for stat in (BANK[0].mean(0), BANK[0].std(0, correction=0)))
    expected = theirs.fit((BANK[0].numpy() - mean) / scale, BANK[1]).score((VAL[0].numpy() - mean) / scale, VAL[1])
    assert linear_probe_accuracy(*BANK, *VAL) == pytest.approx(expected, abs=0.02)
    with torch.inference_mode():
        inside = linear_probe_accuracy(BANK[0].clone(), BANK[1].clone(), *VAL)
    assert inside == pytest.approx(expected, abs=0.02)


def test_alignment_and_uniformity_equal_loops() -> None:
    first, second = BANK[0][:12], BANK[0][:12] + 0.3 * torch.randn(12, 5, generator=DRAW)
    u, v = unit(first), unit(second)
    assert alignment(first, second) == pytest.approx(np.mean([np.sum((a - b) ** 2) for a, b in zip(u, v, strict=True)]), rel=1e-5)
    pairs = [math.exp(-2 * np.sum((u[i] - u[j]) ** 2)) for i in range(12) for j in range(i)]
    assert uniformity(first) == pytest.approx(math.log(sum(pairs) / len(pairs)), rel=1e-5)


def test_collapse_level_is_zero_on_the_sphere_and_one_at_a_point() -> None:
    assert collapse_level(torch.randn(4000, 16, generator=DRAW)) < 0.02
    assert collapse_level(torch.rand(1, 16, generator=DRAW).expand(50, 16)) == pytest.approx(1, abs=1e-4)
    half = torch.randn(4000, 16, generator=DRAW) * torch.tensor([1.0] * 4 + [0.0] * 12)
    assert collapse_level(half) == pytest.approx(1 - math.sqrt(4 / 16), abs=0.03)  # 4 of 16 elements vary: sqrt(16) * (4/16) / sqrt(4)


def test_effective_rank_equals_numpy_and_counts_equal_directions() -> None:
    reps = BANK[0].double().numpy()
    singular = np.linalg.svd(reps - reps.mean(0), compute_uv=False)
    share = singular / singular.sum()
    assert effective_rank(BANK[0]) == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-5)
    axes = torch.cat([torch.eye(8)[:3], -torch.eye(8)[:3]])
    assert effective_rank(axes) == pytest.approx(3, rel=1e-5)
    assert effective_rank(torch.full((77, 8), 1 / 3)) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("sizes", [[60], [1, 59], [20, 20, 20]])
def test_updates_in_pieces_equal_one_update(sizes: list[int]) -> None:
    metric = RepresentationQuality(num_neighbours=5, reference={"raw_pixel_knn": 0.25})
    for reps, labels in zip(BANK[0].split(30), BANK[1].split(30), strict=True):
        metric.update(reps, labels, [], is_bank=True)
    views = VAL[0] + 0.1, VAL[0] - 0.1
    for piece in torch.arange(60).split(sizes):
        metric.update(VAL[0][piece], VAL[1][piece], [view[piece] for view in views], is_bank=False)
    values = metric.compute()
    assert values == {
        "val/collapse_level": collapse_level(VAL[0]),
        "val/effective_rank": effective_rank(VAL[0]),
        "val/uniformity": uniformity(VAL[0]),
        "val/alignment": alignment(*views),
        "val/knn": knn_accuracy(*BANK, *VAL, num_neighbours=5),
        "val/linear_probe": linear_probe_accuracy(*BANK, *VAL),
        "val/raw_pixel_knn": 0.25,
    }


def test_unlabelled_images_count_for_health_alone() -> None:
    metric = RepresentationQuality(num_neighbours=5)
    some = torch.where(torch.arange(60) % 4 == 0, -1, VAL[1])
    metric.update(*BANK, [], is_bank=True)
    metric.update(VAL[0], some, [], is_bank=False)
    known = some >= 0
    values = metric.compute()
    assert values["val/knn"] == knn_accuracy(*BANK, VAL[0][known], VAL[1][known], num_neighbours=5)
    assert values["val/uniformity"] == uniformity(VAL[0])
    metric.reset()
    metric.update(BANK[0], torch.full((90,), -1), [], is_bank=True)
    metric.update(VAL[0], VAL[1], [], is_bank=False)
    assert "val/knn" not in metric.compute()


def test_raw_pixels_are_compared_as_flat_vectors() -> None:
    bank, val = (torch.randint(0, 256, (n, 3, 4, 4), generator=DRAW, dtype=torch.uint8) for n in (30, 12))
    bank_labels, labels = torch.arange(30) % 3, torch.arange(12) % 3
    expected = knn_accuracy(bank.flatten(1).float(), bank_labels, val.flatten(1).float(), labels)
    assert raw_pixel_knn(bank, bank_labels, val, labels) == expected
