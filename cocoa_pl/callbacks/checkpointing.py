"""Checkpoints that survive: written whole or not at all, with what is needed to rebuild the run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.plugins.io import TorchCheckpointIO

from cocoa_pl.files import write_checkpoint

FORMAT_VERSION = 1


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside its place, reads it back and moves it there: a full or faulty disk or a kill costs nothing old."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        write_checkpoint(Path(path), checkpoint)


class RunRecord(Callback):
    """Puts the config and the images' statistics into every checkpoint, so that the encoder can be rebuilt from the file alone.

    Args:
        config: nested dicts of plain values.
        mean: channel means of the training images.
        std: channel standard deviations.
        image_size: side of the images that the encoder sees.
        words: of the captions that it learns from; none without captions.
        num_classes: of the labels; 0 without any.
    """

    def __init__(
        self, config: dict[str, Any], *, mean: Sequence[float], std: Sequence[float], image_size: int, words: Sequence[str] = (),
        num_classes: int = 0,
    ) -> None:  # fmt: skip
        self._record = {"format": FORMAT_VERSION, "config": config, "mean": list(mean), "std": list(std), "image_size": image_size}
        if words:
            self._record["words"] = list(words)
        if num_classes:
            self._record["num_classes"] = num_classes

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        checkpoint["cocoa_pl"] = self._record


class Stopped(Exception):
    """Training was asked to stop, and has saved itself.

    Args:
        signum: the signal that asked.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
