"""Lightning's decisions by a metric, taken at looks: which checkpoint is the best, and when to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint


def _is_due(trainer: pl.Trainer, monitor: str | None, every_n_epochs: int, *, known_before: bool) -> bool:
    """Whether the epoch that ends has the metric: explanations have theirs after every so many epochs, and a few not at every look."""
    epoch = trainer.current_epoch + 1
    if monitor is None or not monitor.startswith("explain/"):
        return True
    looked = epoch % every_n_epochs == 0 or epoch == trainer.max_epochs
    return looked and (monitor in trainer.callback_metrics or not known_before)


class StopEarly(EarlyStopping):
    """Early stopping, asked only at the ends of epochs that have its metric.

    Args:
        monitor: metric, any logged one.
        mode: whether better is its ``max`` or ``min``.
        patience: checks without improvement before training stops.
        every_n_epochs: epochs between two looks.
    """

    def __init__(self, monitor: str, *, mode: str, patience: int, every_n_epochs: int) -> None:
        super().__init__(monitor, mode=mode, patience=patience, check_on_train_epoch_end=True)
        self._every_n_epochs, self._known = every_n_epochs, False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _is_due(trainer, self.monitor, self._every_n_epochs, known_before=self._known):
            super().on_train_epoch_end(trainer, pl_module)
            self._known = True


class BestCheckpoint(ModelCheckpoint):
    """The best checkpoints by a metric, asked only at the ends of epochs that have it.

    Args:
        folder: where they lie.
        looks_every_n_epochs: epochs between two looks.
        options: of Lightning's ``ModelCheckpoint``.
    """

    def __init__(self, folder: Any, *, looks_every_n_epochs: int, **options: Any) -> None:
        super().__init__(folder, **options)
        self._looks_every_n_epochs, self._known = looks_every_n_epochs, False

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if _is_due(trainer, self.monitor, self._looks_every_n_epochs, known_before=self._known):
            super().on_train_epoch_end(trainer, pl_module)
            self._known = True


class KeepEvery(ModelCheckpoint):
    """Keeps a checkpoint of every so many epochs. A class of its own, for Lightning tells callbacks apart by class and options.

    Args:
        folder: of the run.
        every_n_epochs: how many.
    """

    def __init__(self, folder: Path, *, every_n_epochs: int) -> None:
        super().__init__(
            folder, filename="{epoch:03d}", every_n_epochs=every_n_epochs, save_top_k=-1, save_on_train_epoch_end=True,
            enable_version_counter=False,
        )  # fmt: skip
