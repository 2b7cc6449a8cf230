"""Checkpoints that survive: written whole or not at all, with what is needed to rebuild the run, and saved when one presses Ctrl-C."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.io import TorchCheckpointIO

from cocoa_pl.files import write_checkpoint

FORMAT_VERSION = 1


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place and moves it there once it is complete on disk: a full disk or a kill costs nothing old."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(Path(path), checkpoint)


class RunRecord(Callback):
    """Puts the config and the images' statistics into every checkpoint, so that the encoder can be rebuilt from the file alone.

    Args:
        config: nested dicts of plain values.
        mean: channel means of the training images.
        std: channel standard deviations.
        image_size: side of the images that the encoder sees.
    """

    def __init__(self, config: dict[str, Any], *, mean: Sequence[float], std: Sequence[float], image_size: int) -> None:
        self._record = {"format": FORMAT_VERSION, "config": config, "mean": list(mean), "std": list(std), "image_size": image_size}

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["cocoa_pl"] = self._record


class Stopped(Exception):
    """Training was asked to stop, and has saved itself."""


class StopGracefully(Callback):
    """Ctrl-C once: finish the step, save ``last.ckpt``, leave; the run can be resumed at that very step. Twice: leave at once.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.asked = False
        self._before: Any = None

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if threading.current_thread() is threading.main_thread():
            self._before = signal.signal(signal.SIGINT, self._ask)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        between_steps = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if not between_steps or trainer.is_last_batch:  # gradients are half added up; or the end of the epoch is about to save
            return
        self._stop_if_asked(trainer)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0:  # asked during validation or while explaining: last.ckpt has just been written
            self._stop_if_asked(trainer, save=False)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self._restore()

    def _stop_if_asked(self, trainer: pl.Trainer, *, save: bool = True) -> None:
        # processes must stop at the same step, or the one left over waits for the others for ever
        if trainer.strategy.reduce_boolean_decision(self.asked, all=False):
            if save:
                trainer.save_checkpoint(self.folder / "last.ckpt")
            raise Stopped

    def _ask(self, signum: int, frame: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        print("\nstopping after this step; press Ctrl-C again to stop at once", flush=True)

    def _restore(self) -> None:
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
