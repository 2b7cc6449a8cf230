"""From a config to a trainer with every callback and logger."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytorch_lightning as pl
import torch
from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint
from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from cocoa_pl.build.data import build_explain_set
from cocoa_pl.build.explaining import build_monitor, build_reference, freeze
from cocoa_pl.callbacks.averaging import averaged
from cocoa_pl.callbacks.checkpointing import AtomicCheckpointIO, RunRecord
from cocoa_pl.callbacks.console import RunProgressBar, Summary
from cocoa_pl.callbacks.csv_logger import CsvLogger
from cocoa_pl.callbacks.explanation import ExplanationCallback
from cocoa_pl.callbacks.guarding import Guard
from cocoa_pl.callbacks.heartbeat import Heartbeat
from cocoa_pl.callbacks.signals import in_slurm_job
from cocoa_pl.callbacks.stopping import BestCheckpoint, KeepEvery, StopEarly
from cocoa_pl.config import Config, to_dict
from cocoa_pl.data.splits import Splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.models.sync_batchnorm import ShareStatistics
from cocoa_pl.optional import require
from cocoa_pl.rng import derive_seed

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "64-true"]] = {"32": "32-true", "bf16": "bf16-mixed", "64": "64-true"}


def build_trainer(config: Config, splits: Splits, folder: Path) -> tuple[pl.Trainer, CsvLogger]:
    """The Lightning trainer with every callback and logger."""
    trainer, csv_logger = config.trainer, CsvLogger(folder / "metrics.csv")
    callbacks: list[Callback] = [
        Heartbeat(f"python train.py --resume {folder}"),
        RunRecord(
            to_dict(config),
            mean=splits.mean,
            std=splits.std,
            image_size=splits.image_size,
            words=splits.train.words,
            num_classes=splits.train.num_classes,
        ),
    ]
    if config.model.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=config.model.ema_decay))
    # after the moving average, which takes the last step in before the run is saved; before explanations, which need finite weights
    callbacks.append(Guard(folder, every_n_minutes=config.checkpoint.every_n_minutes))
    if config.explain.enabled:
        callbacks.append(build_explanation_callback(config, splits, folder))
    if trainer.stop_monitor is not None:  # after the explanations, whose numbers it may watch
        looks = config.explain.every_n_epochs
        callbacks.append(
            StopEarly(trainer.stop_monitor, mode=trainer.stop_mode, patience=trainer.stop_patience, every_n_epochs=looks)
        )  # fmt: skip
    callbacks += [*build_checkpoints(config, splits, folder), Summary(folder)]
    if trainer.progress_bar:
        callbacks.append(RunProgressBar(gap=f"explain/{config.explain.attributions[0]}/gap"))
    made = pl.Trainer(
        max_epochs=trainer.epochs,
        **hardware(config),
        precision=_PRECISIONS[trainer.precision],
        accumulate_grad_batches=trainer.accumulate,
        gradient_clip_val=config.optim.clip_grad_norm,
        use_distributed_sampler=False,  # the samplers share out batches themselves
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=trainer.progress_bar,
        enable_model_summary=False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO(), *([ShareStatistics()] if trainer.sync_batchnorm else []), *slurm()],
        logger=build_loggers(config, folder, csv_logger),
    )
    return made, csv_logger


def build_predictor(config: Config, callbacks: list[Callback]) -> pl.Trainer:
    """A trainer that predicts, on the config's machines and devices; it writes nothing of its own."""
    return pl.Trainer(
        **hardware(config), callbacks=[Heartbeat("the same command"), *callbacks], logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, inference_mode=False, use_distributed_sampler=False,
        plugins=list(slurm()) or None,
    )  # fmt: skip


def hardware(config: Config) -> dict[str, Any]:
    """The machines and devices that a trainer works on."""
    trainer = config.trainer
    devices = trainer.devices or ("auto" if torch.cuda.is_available() else 1)
    return {"accelerator": trainer.accelerator, "devices": devices, "num_nodes": trainer.num_nodes, "strategy": trainer.strategy}


def slurm() -> list[SLURMEnvironment]:
    """Lightning's view of a SLURM job, where there is one, without its handlers of signals, which save in the middle of a step."""
    under = in_slurm_job() and SLURMEnvironment.detect() and not TorchElasticEnvironment.detect()
    return [SLURMEnvironment(auto_requeue=False)] if under else []


def build_loggers(config: Config, folder: Path, csv_logger: CsvLogger) -> list[Logger]:
    """Where numbers and pictures go: always ``metrics.csv``, unless nothing is to be logged; beside it TensorBoard or Weights & Biases."""
    kind = config.run.logger
    if kind == "none":
        return []
    if kind == "tensorboard":
        return [TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False), csv_logger]
    if kind == "wandb":
        require("wandb", package="wandb", what="run.logger=wandb needs")
        return [WandbLogger(name=folder.name, save_dir=folder, project="cocoa_pl", id=_run_id(folder), resume="allow"), csv_logger]
    return [csv_logger]


def _run_id(folder: Path) -> str:
    """What Weights & Biases knows the run by, so that a resumed one goes on where it was: a function of its folder."""
    return f"{derive_seed(str(folder.resolve())):016x}"


def build_explanation_callback(config: Config, splits: Splits, folder: Path) -> ExplanationCallback:
    """The callback that explains the encoder, its moving average where one is kept."""
    monitor = build_monitor(config, build_explain_set(config, splits))

    def frozen(module: Any) -> FrozenEncoder:
        return freeze(averaged(module), config, device=module.device)

    explain = config.explain
    return ExplanationCallback(
        monitor, encoder=frozen, folder=None if config.run.logger == "none" else folder / "heatmaps", every_n_epochs=explain.every_n_epochs,
        num_strips=explain.num_strips, budget_share=explain.budget_share, options=to_dict(config),
        reference=None if explain.reference is None else build_reference(config, Path(explain.reference)),
    )  # fmt: skip


def build_checkpoints(config: Config, splits: Splits, folder: Path) -> list[Callback]:
    """``last.ckpt`` after every epoch, and the best by the monitored metric.

    Two callbacks, as Lightning's ``save_last`` writes only in epochs that are among the best.
    """
    monitor = config.checkpoint.monitor
    if monitor == "auto":
        labelled = splits.train.labels is not None and splits.val.labels is not None
        monitor = "val/recall_at_1" if config.model.method == "image_text" else "val/knn" if labelled else None
    kept: list[Callback] = []
    if config.checkpoint.keep_every_n_epochs:
        kept.append(KeepEvery(folder, every_n_epochs=config.checkpoint.keep_every_n_epochs))
    if monitor and config.checkpoint.top_k:
        kept.append(
            BestCheckpoint(
                folder,
                looks_every_n_epochs=config.explain.every_n_epochs,
                filename="best-{epoch:03d}",
                monitor=monitor,
                mode=config.checkpoint.mode,
                save_top_k=config.checkpoint.top_k,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        )
    # last: it knows which are the best, so that a run killed between the two and resumed finds the same
    kept.append(ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False))
    return kept
