"""The classifier: its loss against a slow transcription, images without a label, and data without any."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed
from lightly.utils import dist
from torch import Tensor, nn

from cocoa_pl.build import build_module
from cocoa_pl.config import load_config
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import make_splits
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.optim import OptimSpec, adamw, constant
from cocoa_pl.models.supervised import Supervised
from cocoa_pl.rng import generator
from cocoa_pl.types import Batch

LABELS = torch.tensor([2, -1, 0, 2, -1, 1])


def classifier() -> Supervised:
    torch.manual_seed(0)
    spec = OptimSpec(adamw, constant, 1e-3, 0.0, 0.0)
    backbone = nn.Sequential(nn.Flatten(), nn.Linear(12, 7))
    return Supervised(backbone, rep_dim=7, num_classes=4, optim=spec, mean=(0.4, 0.5, 0.6), std=(0.2, 0.3, 0.1)).double()


def batch(labels: Tensor = LABELS, rows: slice = slice(None)) -> Batch:
    """Some rows of a batch of six; a gradient of its views is kept."""
    views = [view[rows].clone().requires_grad_() for view in torch.rand(2, 6, 3, 2, 2, generator=generator(0, "supervised")).double()]
    ids = torch.arange(6)[rows]
    return Batch(ids, labels[rows], torch.zeros(len(ids), 3, 2, 2, dtype=torch.uint8), tuple(views), 0)


def test_the_loss_is_the_mean_cross_entropy_of_labelled_views() -> None:
    module, given = classifier(), batch()
    terms = []
    for view in given.views:
        logits = module.classifier(module(view)).detach().numpy()
        terms += [np.log(np.exp(row).sum()) - row[k] for row, k in zip(logits, LABELS.tolist(), strict=True) if k >= 0]
    assert len(terms) == 8
    assert module.loss(given).item() == pytest.approx(float(np.mean(terms)), abs=1e-9)


def test_images_of_no_label_take_no_part() -> None:
    module, given = classifier(), batch()
    module.loss(given).backward()
    for view in given.views:
        assert view.grad is not None
        assert [bool(row.any()) for row in view.grad] == (LABELS >= 0).tolist()


def test_a_batch_of_no_label_costs_nothing_and_moves_nothing() -> None:
    module = classifier()
    loss = module.loss(batch(torch.full((6,), -1)))
    loss.backward()
    assert loss.item() == 0
    assert all(part.grad is not None and not part.grad.any() for part in module.parameters())


def test_the_mean_of_two_processes_is_that_of_their_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """One has two images with a label, the other two of four: simulated here, with real ones in law 7."""
    module = classifier()
    labels = torch.tensor([2, 1, 0, -1, -1, 1])
    whole = module.loss(batch(labels)).item()
    monkeypatch.setattr(dist, "world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda count: count.fill_(8))  # two views of four images
    parts = [module.loss(batch(labels, rows)).item() for rows in (slice(0, 3), slice(3, 6))]
    assert sum(parts) / 2 == pytest.approx(whole, abs=1e-9)


@pytest.mark.parametrize(
    ("labels", "words"),
    [(None, "has none here"), (torch.full((8,), -1), "has none here"), (torch.zeros(8).long(), "has one class only here")],
)
def test_data_that_cannot_teach_it_are_refused(labels: Tensor | None, words: str) -> None:
    images = torch.randint(0, 256, (8, 3, 32, 32), generator=generator(0, "pixels"), dtype=torch.uint8)
    source = MemorySource(images, labels=labels)
    splits = make_splits(source, source, image_size=32, name="test")
    config = load_config(overrides=["model.method=supervised", "data.name=image_folder", "data.root=pictures", "model.width=8"])
    with pytest.raises(ConfigError, match=rf"model\.method=supervised: learns from labels, and data\.name=image_folder {words}"):
        build_module(config, splits)


def test_a_class_that_has_a_name_alone_is_one_too() -> None:
    """So that every subset of a data set has the same logits."""
    images = torch.zeros(2, 3, 4, 4, dtype=torch.uint8)
    assert MemorySource(images, labels=torch.tensor([0, 1]), class_names=("cat", "dog", "emu")).num_classes == 3
    assert MemorySource(images, labels=torch.tensor([0, 4])).num_classes == 5
    assert MemorySource(images[:0], labels=torch.zeros(0).long(), class_names=("cat", "dog")).num_classes == 0
