"""What happens between two optimisation steps: is the loss a number, is a checkpoint due, has somebody asked to stop?"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from cocoa_pl.callbacks.checkpointing import Stopped
from cocoa_pl.callbacks.signals import Signals
from cocoa_pl.errors import DivergedError, some

_LOOK_EVERY = 10  # steps between two looks at the losses, each of which waits for the accelerator
_MAX_NAMED = 8  # images of a batch that an error names
_SAVE = 1  # a checkpoint is due; any larger number is the signal that asks to stop
_NEVER = 2**62


class Guard(Callback):
    """Saves ``last.ckpt`` between two steps when it is due or a signal asks to stop, and stops at a loss that is not finite.

    All processes decide alike: a step has one meeting, at which each says whether it wants anything; only if one does, there are more.

    Ctrl-C and SIGTERM finish the step, save, and leave; the run can be resumed at that very step. No checkpoint is written, neither here
    nor at an epoch's end, before the losses of all steps so far, and at the end the weights, have been seen to be finite.

    Args:
        folder: of the run.
        every_n_minutes: write ``last.ckpt`` when so many minutes have passed since the last checkpoint; None writes none within an epoch.
    """

    def __init__(self, folder: Path, *, every_n_minutes: float | None) -> None:
        self.folder, self.every_n_minutes = folder, every_n_minutes
        self.signals = Signals()
        self._losses: list[tuple[int, Tensor]] = []  # batches of the epoch that have not been looked at
        self._saved_at = time.monotonic()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = time.monotonic()
        # not earlier: Lightning's own handlers, which would meet the other processes in the middle of a step, must be there to be replaced
        self.signals.listen(loud=trainer.is_global_zero)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.current_epoch > 0:  # asked during validation or while explaining: last.ckpt has just been written
            wish = _most(trainer, self.signals.asked)
            if wish:
                raise Stopped(wish)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        self._losses.append((batch_idx, outputs["loss"].detach()))
        at_end = trainer.is_last_batch  # the end of the epoch will save
        between_steps = not at_end and (batch_idx + 1) % trainer.accumulate_grad_batches == 0  # else gradients are half added up
        wish = (self.signals.asked or (_SAVE if self._is_due() else 0)) if between_steps else 0
        bad = self._look() if at_end or len(self._losses) >= _LOOK_EVERY else _NEVER
        if not trainer.strategy.reduce_boolean_decision(bool(wish) or bad != _NEVER, all=False):
            return
        self._stop_if_bad(trainer, min(bad, self._look()))
        wish = _most(trainer, wish)
        if wish:
            self._stop_if_ruined(trainer, pl_module)
            trainer.save_checkpoint(self.folder / "last.ckpt")
        if wish > _SAVE:
            raise Stopped(wish)

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """The losses have been looked at; weights can be ruined by the last step."""
        self._stop_if_ruined(trainer, pl_module)

    def on_save_checkpoint(self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]) -> None:
        self._saved_at = time.monotonic()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.signals.restore()

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        self.signals.restore()

    def _is_due(self) -> bool:
        return self.every_n_minutes is not None and time.monotonic() - self._saved_at >= 60 * self.every_n_minutes

    def _look(self) -> int:
        """The first batch since the last look whose loss is not finite; ``_NEVER`` where all are."""
        losses, self._losses = self._losses, []
        if not losses or bool(torch.stack([loss for _, loss in losses]).isfinite().all()):
            return _NEVER
        return next(batch for batch, loss in losses if not loss.isfinite())

    def _stop_if_bad(self, trainer: pl.Trainer, batch: int) -> None:
        """Stop all processes at the first bad batch of any.

        Raises:
            DivergedError: there is one.
        """
        first = -_most(trainer, -batch)
        if first == _NEVER:
            return
        accumulate, num_batches = trainer.accumulate_grad_batches, int(trainer.num_training_batches)
        step = trainer.current_epoch * -(-num_batches // accumulate) + first // accumulate + 1
        raise DivergedError(
            f"the loss is not finite at step {step} (epoch {trainer.current_epoch + 1}, batch {first + 1}: {_named(trainer, first)}); "
            f"{self._advice()}"
        )

    def _stop_if_ruined(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Stop all processes where a step whose loss was finite has left weights that are not.

        Raises:
            DivergedError: it has, in one of them.
        """
        finite = torch.stack([weights.isfinite().all() for weights in pl_module.parameters()]).all()
        if trainer.strategy.reduce_boolean_decision(not bool(finite), all=False):
            raise DivergedError(
                f"weights are not finite after step {trainer.global_step} (epoch {trainer.current_epoch + 1}), though its loss is; "
                f"{self._advice()}"
            )

    def _advice(self) -> str:
        last = self.folder / "last.ckpt"
        anew = "begin anew with a lower optim.lr"
        if not last.is_file():
            return f"there is no checkpoint yet: {anew} or with optim.clip_grad_norm=1"
        return f"the last good checkpoint is {last}: python train.py --resume {self.folder} optim.clip_grad_norm=1, or {anew}"


def _most(trainer: pl.Trainer, value: int) -> int:
    """The largest of all processes' numbers."""
    here = torch.tensor(value, device=trainer.strategy.root_device)
    return int(trainer.strategy.reduce(here, reduce_op="max"))


def _named(trainer: pl.Trainer, batch: int) -> str:
    """The images of a batch of this epoch, over all processes."""
    datamodule: Any = trainer.datamodule  # type: ignore[attr-defined]
    return _few(datamodule.train_sampler.batch(trainer.current_epoch, batch), datamodule.splits.train.name)


def _few(ids: Sequence[int], name: Callable[[int], str]) -> str:
    """Some ids of many, with the names of their files where they have any.

    Example:
        >>> _few([3, 5], lambda i: f"image {i}"), _few([3], lambda i: "cat.png"), _few(range(10), lambda i: f"image {i}")[-18:]
        ('image 3, image 5', 'image 3 (cat.png)', 'image 7 and 2 more')
    """
    return some([f"image {i}" + (f" ({name(i)})" if name(i) != f"image {i}" else "") for i in ids], most=_MAX_NAMED)
