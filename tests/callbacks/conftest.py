"""A Lightning module that knows nothing of cocoa_pl, images for it, and a trainer of a second."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cocoa_pl import Rise
from cocoa_pl.callbacks.explanation import ExplanationCallback
from cocoa_pl.callbacks.watching import watch


class OwnModule(pl.LightningModule):
    """Dropout and batch norm, so that a random number or a forward pass too many would show; a frozen part in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval().requires_grad_(False)
        self.backbone = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(0.2), nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU(),
            nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        )  # fmt: skip
        self.backbone[4].requires_grad_(False)
        self.head = nn.Linear(8, 2)
        self.losses: list[float] = []

    def forward(self, images: Tensor) -> Tensor:
        reps: Tensor = self.backbone(images)
        return reps

    def encode(self, images: Tensor) -> Tensor:
        return self(images)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        getattr(self.backbone, "_orig_mod", self.backbone)[5].eval()  # a part that the user holds still
        images, labels = batch
        loss = nn.functional.cross_entropy(self.head(self.backbone(images)), labels)
        self.losses.append(float(loss.detach()))
        return loss

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", nn.functional.cross_entropy(self.head(self.backbone(batch[0])), batch[1]))

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.validation_step(batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        return self(batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=0.01)


def make_loader(num: int = 48, *, shuffle: bool = False, seed: int = 0, **options: Any) -> DataLoader[Any]:
    images = torch.rand(num, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return DataLoader(TensorDataset(images, torch.arange(num) % 2), batch_size=16, shuffle=shuffle, **options)


def make_watch(images: Any = None, **options: Any) -> ExplanationCallback:
    quick: dict[str, Any] = {
        "attributions": {"rise": Rise(num_masks=16, grid_size=4)}, "views": ("original", "flip"), "num_explicands": 2, "corpus_size": 2,
        "foil_size": 12, "num_gallery": 0, "removal": "black", "budget_share": None,
    }  # fmt: skip
    return watch(images, **(quick | options))


def make_trainer(*callbacks: pl.Callback, **options: Any) -> pl.Trainer:
    quick: dict[str, Any] = {
        "max_epochs": 2, "accelerator": "cpu", "devices": 1, "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
        "enable_model_summary": False, "num_sanity_val_steps": 0, "log_every_n_steps": 1,
    }  # fmt: skip
    return pl.Trainer(callbacks=list(callbacks), **(quick | options))


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Networks this small are slower on several threads, ten times so where others want the cores, too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def own_module() -> Callable[[], OwnModule]:
    """Makes the module, the same one every time."""

    def make() -> OwnModule:
        torch.manual_seed(0)
        return OwnModule()

    return make


@pytest.fixture
def loader() -> Callable[..., DataLoader[Any]]:
    """Makes a loader of (image, label)."""
    return make_loader


@pytest.fixture
def quick_watch() -> Callable[..., ExplanationCallback]:
    """``watch`` with little to do."""
    return make_watch


@pytest.fixture
def quick_trainer() -> Callable[..., pl.Trainer]:
    """A trainer of two epochs that writes nothing; callbacks come first."""
    return make_trainer
