"""The explanation callback: at epoch ends, look at the encoder and log what it looks at."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch
import torch.distributed
from PIL import Image
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.loggers import TensorBoardLogger
from pytorch_lightning.trainer.states import TrainerFn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, DivergedError
from cocoa_pl.files import write_png
from cocoa_pl.monitor import Look, Monitor, Rows
from cocoa_pl.report.figures import scales, sheet, strip, trace_title
from cocoa_pl.report.folder import write_look

_STRIP_COLUMNS = 6


class ExplanationCallback(Callback):
    """Looks at the encoder before training (epoch 0) and after every few epochs, and leaves no trace in training.

    The encoder is copied, frozen and put into evaluation mode for the look, every global random state is kept, and gradients are taken with
    respect to images only. Scalars go through Lightning's logging, so that checkpoints and early stopping can monitor them.

    Args:
        monitor: the explain set and how it is explained.
        encoder: the Lightning module to the ``FrozenEncoder`` of its current weights.
        folder: where PNGs and raw maps go; None writes none.
        every_n_epochs: look after every so many epochs; the untrained encoder and the last epoch are always looked at.
        num_strips: explicands that get a film strip.
    """

    def __init__(
        self, monitor: Monitor, *, encoder: Callable[[pl.LightningModule], FrozenEncoder], folder: Path | None, every_n_epochs: int = 1,
        num_strips: int = 4,
    ) -> None:  # fmt: skip
        self.monitor, self.encoder, self.folder = monitor, encoder, folder
        self.every_n_epochs, self.num_strips = every_n_epochs, num_strips
        self.start: Look | None = None
        self.previous: Look | None = None
        self.current: Look | None = None
        self.scales: dict[str, float] = {}
        self.epochs: list[int] = []
        self._epoch_began = time.perf_counter()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not self.epochs:
            values = self._look(trainer, pl_module, epoch=0)
            for logger in trainer.loggers:
                logger.log_metrics(values, step=0)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._epoch_began = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs and epoch != trainer.max_epochs:
            return
        spent_on_training = time.perf_counter() - self._epoch_began
        began = time.perf_counter()
        try:
            values = self._look(trainer, pl_module, epoch=epoch)
        except DivergedError as error:
            warnings.warn(f"epoch {epoch} is not explained: {error}", stacklevel=1)
            return
        spent = time.perf_counter() - began
        # the time is this machine's own; what follows from weights and seeds is the same on every rank and needs no further gather
        values["explain/seconds"], values["explain/share_of_epoch"] = spent, spent / (spent + spent_on_training)
        pl_module.log_dict(values, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics(values, step=epoch)

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:  # trainer.validate(); inside fit the epoch's end does it
            pl_module.log_dict(self.monitor.scalars(self._explain(trainer, pl_module)), rank_zero_only=False)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and tensors: the ids, the seed, the reference maps, the colour scale."""
        looks = {"start": self.start, "previous": self.previous, "current": self.current}
        return {
            "ids": self.monitor.explain_set.ids.tolist(),
            "seed": self.monitor.seed,
            "epochs": list(self.epochs),
            "scales": dict(self.scales),
            "looks": {name: _pack(look) for name, look in looks.items() if look is not None},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict["ids"] != self.monitor.explain_set.ids.tolist() or state_dict["seed"] != self.monitor.seed:
            raise CheckpointError("the checkpoint was explained on other images or masks: data, run.seed or explain.* differ")
        self.epochs, self.scales = list(state_dict["epochs"]), dict(state_dict["scales"])
        looks = {name: unpack(packed) for name, packed in state_dict["looks"].items()}
        self.start, self.previous, self.current = (looks.get(name) for name in ("start", "previous", "current"))

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *, epoch: int) -> dict[str, float]:
        look = self._explain(trainer, pl_module)
        self.previous, self.current = self.current, look
        self.start = self.start or look
        self.epochs.append(epoch)
        if len(self.epochs) <= 2:  # the untrained encoder's maps are far smaller; the first trained one sets the scale of the run
            self.scales = scales(look)
        if trainer.is_global_zero:
            self._draw(trainer, look, epoch)
        return self.monitor.scalars(look, previous=self.previous, start=self.start if self.previous is not None else None)

    def _explain(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> Look:
        with torch.random.fork_rng(devices=[pl_module.device] if pl_module.device.type == "cuda" else []):
            gather = _gather if trainer.world_size > 1 else _alone
            return self.monitor.look(self.encoder(pl_module), rank=trainer.global_rank, world_size=trainer.world_size, gather=gather)

    def _draw(self, trainer: pl.Trainer, look: Look, epoch: int) -> None:
        """Contact sheets and film strips, to the folder and to TensorBoard."""
        given = self.monitor.explain_set
        pictures = {}
        for trace in self.monitor.traces:
            note = "same colours in every epoch" if len(self.epochs) > 1 else "colours of this epoch alone"
            title = f"{trace_title(trace)}, epoch {epoch}"
            pictures[f"explain/{trace}/sheet"] = sheet(given, look, trace, scale=self.scales[trace], title=title, subtitle=note)
        if self.folder is not None:
            write_look(self.folder / f"epoch-{epoch:04d}.npz", look, epoch=epoch)
            pictures |= self._strips()
            for tag, image in pictures.items():
                name = tag.removeprefix("explain/").replace("/", "-")
                write_png(self.folder / (f"{name}.png" if "/film/" in tag else f"epoch-{epoch:04d}-{name}.png"), image)
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger):
                for tag, image in pictures.items():
                    logger.experiment.add_image(tag, _pixels(image), epoch, dataformats="HWC")
                logger.experiment.flush()

    def _strips(self) -> dict[str, Image.Image]:
        """Film strips of the first explicands, from the raw maps on disk, so that memory does not grow with epochs."""
        assert self.folder is not None
        kept = [epoch for epoch in self.epochs if (self.folder / f"epoch-{epoch:04d}.npz").is_file()]
        spaced = [kept[round(i)] for i in np.linspace(0, len(kept) - 1, min(_STRIP_COLUMNS, len(kept)))]
        files = [_read_maps(self.folder / f"epoch-{epoch:04d}.npz") for epoch in spaced]
        given = self.monitor.explain_set
        made = {}
        for index in range(min(self.num_strips, given.num_images)):
            history = {trace: np.stack([file[trace][index] for file in files]) for trace in self.monitor.traces}
            scores = {trace: [float(file[f"score/{trace}"][index]) for file in files] for trace in self.monitor.traces}
            made[f"explain/film/{index}"] = strip(given, index, epochs=spaced, history=history, scores=scores)
        return made


def _alone(rows: Rows) -> list[Rows]:
    return [rows]


def _gather(rows: Rows) -> list[Rows]:
    """Every process's rows, in order of rank: the one meeting of a look."""
    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, rows)
    return parts


def _read_maps(path: Path) -> dict[str, np.ndarray]:
    with np.load(path) as file:
        return dict(file)


def _pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))


def _pack(look: Look) -> dict[str, Any]:
    return {"attributions": look.attributions, "scores": look.scores, "rows": look.rows, "num_forwards": look.num_forwards}


def unpack(packed: dict[str, Any]) -> Look:
    """A look from a checkpoint."""
    return Look(**packed)
