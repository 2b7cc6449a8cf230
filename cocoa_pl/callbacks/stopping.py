"""Early stopping that waits for looks."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import EarlyStopping


class StopEarly(EarlyStopping):
    """Lightning's early stopping, asked only at the ends of epochs that are explained, where its metric is one of explanations.

    Args:
        monitor: metric, any logged one.
        mode: whether better is its ``max`` or ``min``.
        patience: checks without improvement before training stops.
        every_n_epochs: epochs between two looks.
    """

    def __init__(self, monitor: str, *, mode: str, patience: int, every_n_epochs: int) -> None:
        super().__init__(monitor, mode=mode, patience=patience, check_on_train_epoch_end=True)
        self._every_n_epochs = every_n_epochs if monitor.startswith("explain/") else 1

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self._every_n_epochs == 0 or epoch == trainer.max_epochs:
            super().on_train_epoch_end(trainer, pl_module)
