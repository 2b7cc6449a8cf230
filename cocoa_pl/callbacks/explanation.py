"""The explanation callback: at epoch ends, look at the encoder, say what it looks at, and whether that has changed."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.trainer.states import TrainerFn

from cocoa_pl.callbacks.averaging import behind_averaging
from cocoa_pl.callbacks.boards import boards_of, plain_markdown
from cocoa_pl.callbacks.finding import refuse_sharded
from cocoa_pl.callbacks.pages import close_pages, open_pages
from cocoa_pl.callbacks.pictures import Pictures
from cocoa_pl.callbacks.team import take_from_first, team_of
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, DivergedError
from cocoa_pl.monitor import Alerts, Budget, Look, Monitor, Reading, RunHistory, Stopwatch, read, summarise

Freeze = Callable[[pl.LightningModule], FrozenEncoder]
"""A Lightning module to the encoder in it, with its current weights."""
MakeMonitor = Callable[[pl.Trainer, pl.LightningModule], Monitor]


class ExplanationCallback(Callback):
    """Looks at the encoder before training (epoch 0) and after every few epochs, and leaves no trace in training.

    The encoder is copied, frozen and put into evaluation mode for the look, every global random state is kept, and gradients are taken with
    respect to images only. Scalars go through Lightning's logging, so that checkpoints and early stopping can monitor them; pictures, texts
    and pages go to the loggers that take them. ``trainer.validate``, ``test`` and ``predict`` look once; what they saw is
    ``callback.reading``.

    Args:
        monitor: the explain set and how it is explained, or what makes it once the trainer is there.
        encoder: the Lightning module to the ``FrozenEncoder`` of its current weights.
        folder: where PNGs, raw maps and tables go; None writes none.
        every_n_epochs: look after every so many epochs; the untrained encoder and the last of ``max_epochs`` are always looked at.
        num_strips: explicands that get a film strip.
        budget_share: most of the time that looks may take, in (0, 1], kept by taking fewer masks; None: no limit.
        reference: device to an encoder that every look is compared with; called once.
        options: the run's, for the page of hyper-parameters.

    Raises:
        ConfigError: a budget out of range.
    """

    def __init__(
        self, monitor: Monitor | MakeMonitor, *, encoder: Freeze, folder: Path | None, every_n_epochs: int = 1, num_strips: int = 4,
        budget_share: float | None = None, reference: Callable[[torch.device], FrozenEncoder] | None = None,
        options: Mapping[str, object] | None = None,
    ) -> None:  # fmt: skip
        self._monitor = monitor
        self.encoder, self.folder, self.reference = encoder, folder, reference
        self.every_n_epochs, self.num_strips, self.options = every_n_epochs, num_strips, dict(options or {})
        self.budget = Budget(budget_share, most=None)
        self.alerts, self.history = Alerts(), RunHistory()
        self.looks: dict[str, Look] = {}  # start, previous, current and, where there is one, reference
        self.epochs: list[int] = []
        self.reading: Reading | None = None
        self._pictures: Pictures | None = None
        self._colours: tuple[dict[str, float], dict[str, int]] = ({}, {})
        self._since = time.perf_counter()
        self._resumed = self._fitting = False

    @property
    def monitor(self) -> Monitor:
        """How the explain set is explained; there from the set-up of the trainer on."""
        assert isinstance(self._monitor, Monitor), "the monitor is made in setup()"
        return self._monitor

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        refuse_sharded(trainer)
        trainer.callbacks = behind_averaging(self, trainer.callbacks)  # type: ignore[attr-defined]
        if not isinstance(self._monitor, Monitor):
            self._monitor = self._monitor(trainer, pl_module)
        self._fitting = stage == "fit"
        if self.budget.most is None:
            self.budget = Budget(self.budget.share, most=self.monitor.max_masks)

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        boards = boards_of(trainer.loggers) if trainer.is_global_zero else []
        self._pictures = Pictures(self.monitor.explain_set, folder=self.folder, boards=boards, num_strips=self.num_strips)
        self._pictures.scales, self._pictures.since = self._colours
        if not self.epochs:
            if self.reference is not None:
                self.looks["reference"] = self._explain(trainer, self.reference(pl_module.device))
            began, stopwatch = time.perf_counter(), Stopwatch()
            values = self._look(trainer, pl_module, epoch=0, stopwatch=stopwatch)
            self.budget.spent(looking=time.perf_counter() - began, masking=stopwatch.seconds)
            self._warn(trainer, values, 0)
            for logger in trainer.loggers:
                logger.log_metrics(values, step=0)
        open_pages(boards, self.monitor, self.looks["start"], reference="reference" in self.looks)
        self._since = time.perf_counter()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs and epoch != trainer.max_epochs:
            return
        began, stopwatch = time.perf_counter(), Stopwatch()
        training = began - self._since
        if not self._resumed:  # of the first epoch after a resume a part may be missing
            self.budget.plan(training=training)
        self._resumed = False
        try:
            values = self._look(trainer, pl_module, epoch=epoch, stopwatch=stopwatch)
        except DivergedError as error:
            warnings.warn(f"epoch {epoch} is not explained: {error}", stacklevel=1)
            self._since = time.perf_counter()
            return
        looking = time.perf_counter() - began
        self.budget.spent(looking=looking, masking=stopwatch.seconds)
        # times are this machine's own; what follows from weights and seeds is the same on every rank and needs no further gather
        values |= {"explain/seconds": looking, "explain/share_of_epoch": looking / (looking + training)}
        if self.budget.share is not None:
            values["explain/budget_share"] = self.budget.share
        self._warn(trainer, values, epoch)
        pl_module.log_dict(values, logger=False)
        for logger in trainer.loggers:
            logger.log_metrics(values, step=epoch)
        self._since = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero and self.looks:
            self._finish_pictures()
            summary = self.summary()
            close_pages(
                boards_of(trainer.loggers), self.monitor, self._freeze(pl_module), summary, options=self.options, epoch=self.epochs[-1]
            )
            print(f"\n{summary}", flush=True)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        if trainer.is_global_zero:
            self._finish_pictures()

    def on_validation_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:  # trainer.validate(); inside fit the epoch's end does it
            pl_module.log_dict(self._look_once(trainer, pl_module), rank_zero_only=False)

    def on_test_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        pl_module.log_dict(self._look_once(trainer, pl_module), rank_zero_only=False)

    def on_predict_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        values = self._look_once(trainer, pl_module)  # modules cannot log while they predict
        for logger in trainer.loggers:
            logger.log_metrics(values, step=trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Plain numbers and tensors: the ids, the seed, the looks to compare with, the colour scale, what was warned of."""
        if not self.looks:
            return {}
        return {
            "ids": self.monitor.explain_set.ids.tolist(), "seed": self.monitor.seed, "epochs": list(self.epochs),
            "scales": dict(self._colours[0]), "scales_since": dict(self._colours[1]), "budget": self.budget.state_dict(),
            "alerts": self.alerts.state_dict(), "history": self.history.state_dict(),
            "looks": {name: look.pack() for name, look in self.looks.items()},
        }  # fmt: skip

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if not state_dict or not self._fitting:  # to validate, test or predict is to look once, beside nothing
            return
        if state_dict["ids"] != self.monitor.explain_set.ids.tolist() or state_dict["seed"] != self.monitor.seed:
            raise CheckpointError("the checkpoint was explained on other images or masks: data, run.seed or explain.* differ")
        start, rows = state_dict["looks"]["start"]["attributions"], len(self.monitor.explain_set.explicands)
        if set(start) != set(self.monitor.traces) or any(len(maps) != rows for maps in start.values()):
            raise CheckpointError(
                "the checkpoint was explained by other methods or under other views: explain.attributions or explain.views differ"
            )
        self.epochs, self._colours = list(state_dict["epochs"]), (dict(state_dict["scales"]), dict(state_dict["scales_since"]))
        self.budget.load_state_dict(state_dict["budget"])
        self._resumed = True
        self.alerts.load_state_dict(state_dict["alerts"])
        self.history.load_state_dict(state_dict["history"])
        self.looks = {name: Look.unpack(packed) for name, packed in state_dict["looks"].items()}

    def summary(self) -> str:
        """What the run comes to, in Markdown: when explanations settled, when they beat chance, what drifts most, what was warned of."""
        given = self.monitor.explain_set
        return summarise(self.history, traces=self.monitor.traces, views=given.views, names=given.names)

    def _look(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *, epoch: int, stopwatch: Stopwatch) -> dict[str, float]:
        before = self.looks.get("current")
        look = self._explain(trainer, self._freeze(pl_module), previous=before, stopwatch=stopwatch)
        if before is not None:
            self.looks["previous"] = before
        self.looks = {"start": look, **self.looks, "current": look}
        others = {name: other for name, other in self.looks.items() if name != "current" and other is not look}
        self.reading = read(self.monitor.explain_set, look, **others)
        self.epochs.append(epoch)
        if trainer.is_global_zero and self._pictures is not None:
            self._pictures.show(self.reading, epochs=self.epochs, start=self.looks["start"])
        return dict(self.reading.scalars)

    def _look_once(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, float]:
        self.reading = read(self.monitor.explain_set, self._explain(trainer, self._freeze(pl_module)))
        return dict(self.reading.scalars)

    def _freeze(self, pl_module: pl.LightningModule) -> FrozenEncoder:
        with torch.inference_mode(False):  # what is made in inference mode could not carry gradients
            return self.encoder(pl_module)

    def _explain(
        self, trainer: pl.Trainer, encoder: FrozenEncoder, *, previous: Look | None = None, stopwatch: Stopwatch | None = None
    ) -> Look:  # fmt: skip
        num_masks = self.budget.num_masks if trainer.world_size == 1 else trainer.strategy.broadcast(self.budget.num_masks)
        devices = [encoder.device] if encoder.device.type == "cuda" else []
        with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=devices):
            team = team_of(trainer)
            with team.lockstep():
                take_from_first(encoder.module, team)
            return self.monitor.look(encoder, previous=previous, num_masks=num_masks, team=team, stopwatch=stopwatch)

    def _warn(self, trainer: pl.Trainer, values: dict[str, float], epoch: int) -> None:
        """Written warnings, each once, and what the summary will be made of."""
        found, reading = self.alerts.check(epoch, values), self.reading
        self.history.add(epoch, values)
        self.history.add_alerts(found)
        assert reading is not None
        if len(self.epochs) > 2:  # the step from the untrained encoder is large for every view and explicand
            for trace, compared in reading.compared["previous"].items():
                self.history.add_rows(trace, compared.change.low.nan_to_num(0).view(len(reading.given.views), -1))
        if trainer.is_global_zero:
            for alert in found:
                print(f"warning: epoch {epoch}: {alert.text}", flush=True)
            for board in boards_of(trainer.loggers) if found else ():
                board.text("explain/warnings", plain_markdown("\n\n".join(alert.text for alert in found)), step=epoch)

    def _finish_pictures(self) -> None:
        if self._pictures is not None and self.reading is not None:
            self._pictures.finish(self.reading, epochs=self.epochs)
