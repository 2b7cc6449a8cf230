"""From a config to objects: no room below this file knows that options exist."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, EMAWeightAveraging, ModelCheckpoint, WeightAveraging
from pytorch_lightning.loggers import TensorBoardLogger
from torch import nn

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.augmentations.lightly_views import lightly_views
from cocoa_pl.callbacks.checkpointing import AtomicCheckpointIO, RunRecord, StopGracefully
from cocoa_pl.callbacks.console import RunProgressBar, Summary
from cocoa_pl.callbacks.csv_logger import CsvLogger
from cocoa_pl.callbacks.explanation import ExplanationCallback
from cocoa_pl.config import Config, to_dict
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.data.scenes import ScenesOptions
from cocoa_pl.data.splits import Splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.quality import RepresentationQuality, raw_pixel_knn
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.monitor import Monitor
from cocoa_pl.registry import ATTRIBUTIONS, DATASETS, OPTIMIZERS, REMOVALS, SCHEDULES
from cocoa_pl.rng import derive_seed
from cocoa_pl.types import Attribution

_LR_BATCH = 256
_SCENES_TRAIN, _SCENES_VAL = 6000, 1000


def build_splits(config: Config) -> Splits:
    """The data set's training and validation images."""
    data = config.data
    if data.name == "scenes":
        look = data.scenes
        options = ScenesOptions(
            image_size=data.image_size, num_objects=look.num_objects, background=look.background, shortcut=look.shortcut
        )  # fmt: skip
        own: dict[str, Any] = {"options": options}
        data = replace(data, num_train=data.num_train or _SCENES_TRAIN, num_val=data.num_val or _SCENES_VAL)
    elif data.name == "image_folder":
        own = {"root": data.root, "image_size": data.image_size, "val_fraction": data.val_fraction, "on_bad_image": data.on_bad_image}
    else:
        own = {"root": data.root, "download": data.download}
        if data.name == "stl10":
            own["unlabeled"] = data.unlabeled
        elif data.unlabeled:
            raise ConfigError(f"data.unlabeled=true: {data.name} has no unlabelled images of its own; only stl10 does")
    splits: Splits = DATASETS.load(data.name)(**own, num_train=data.num_train, num_val=data.num_val, seed=config.run.seed)
    return splits


def build_views(config: Config, splits: Splits) -> DeviceViews:
    """The options of the training views, whichever backend makes them."""
    augment = config.augment
    low, high = augment.crop_scale
    return DeviceViews(
        size=splits.image_size, crop_scale=(low, high), flip=augment.flip, jitter=augment.jitter, jitter_prob=augment.jitter_prob,
        grayscale=augment.grayscale, blur=augment.blur,
    )  # fmt: skip


def build_datamodule(config: Config, splits: Splits) -> ImageDataModule:
    """Batches, and the two views of each image."""
    views = build_views(config, splits)
    on_device = config.augment.backend == "device" or (config.augment.backend == "auto" and splits.in_memory)
    return ImageDataModule(
        splits,
        batch_size=config.data.batch_size,
        seed=config.run.seed,
        views=views if on_device else None,
        transform=None if on_device else lightly_views(views),
        num_workers=config.data.num_workers,
        num_bank=config.data.num_bank,
    )


def build_module(config: Config, splits: Splits, datamodule: ImageDataModule | None = None) -> SimCLR:
    """A freshly initialised SimCLR, its weights a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(config.run.seed, "weights"))
        backbone, rep_dim = build_backbone(
            config.model.backbone, image_size=splits.image_size, width=config.model.width, stem=config.model.stem
        )  # fmt: skip
        module = SimCLR(
            backbone,
            rep_dim=rep_dim,
            optim=build_optim(config),
            mean=splits.mean,
            std=splits.std,
            hidden_dim=config.model.hidden_dim,
            projection_dim=config.model.projection_dim,
            temperature=config.model.temperature,
            validation=RepresentationQuality(reference=_raw_pixels(splits, datamodule)),
        )
    module = module.to(memory_format=torch.channels_last)
    if config.model.compile:
        module.backbone.compile()
    return module


def build_optim(config: Config) -> OptimSpec:
    """Optimiser and schedule, with the learning rate scaled by the rule asked for."""
    optim = config.optim
    ratio = config.data.batch_size * config.trainer.accumulate / _LR_BATCH
    factor = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[optim.scale_lr]
    return OptimSpec(
        OPTIMIZERS.load(optim.name), SCHEDULES.load(optim.schedule), optim.lr * factor, optim.weight_decay, optim.warmup_epochs
    )  # fmt: skip


def build_explain_set(config: Config, splits: Splits) -> ExplainSet:
    """The explain set, drawn with a seed of its own."""
    explain, views = config.explain, build_views(config, splits)
    return draw_explain_set(
        splits.train, splits.val, num_explicands=explain.num_explicands, views=explain.views,
        seen=[view for view in explain.views if views.is_seen(view)], corpus_size=explain.corpus_size, foil_size=explain.foil_size,
        num_pairs=explain.num_pairs, seed=derive_seed(config.run.seed, "explain"),
    )  # fmt: skip


def build_monitor(config: Config, explain_set: ExplainSet) -> Monitor:
    """How the explain set is explained."""
    explain = config.explain
    options: dict[str, dict[str, int]] = {
        "integrated_gradients": {"num_steps": explain.num_steps},
        "rise": {"num_masks": explain.num_masks, "grid_size": explain.grid_size},
    }
    attributions: dict[str, Attribution] = {name: ATTRIBUTIONS.load(name)(**options.get(name, {})) for name in explain.attributions}
    return Monitor(
        explain_set, attributions=attributions, removal=REMOVALS.load(explain.removal)(), chunk_size=explain.chunk_size,
        curve_steps=explain.curve_steps, pair_targets=tuple(explain.pair_targets), seed=derive_seed(config.run.seed, "explain"),
    )  # fmt: skip


def build_trainer(config: Config, splits: Splits, folder: Path) -> tuple[pl.Trainer, CsvLogger]:
    """The Lightning trainer with every callback and logger."""
    trainer, csv_logger = config.trainer, CsvLogger(folder / "metrics.csv")
    callbacks: list[Callback] = [RunRecord(to_dict(config), mean=splits.mean, std=splits.std)]
    if config.model.ema_decay is not None:
        callbacks.append(EMAWeightAveraging(decay=config.model.ema_decay))
    if config.explain.enabled:
        callbacks.append(build_explanation_callback(config, splits, folder))
    callbacks.append(StopGracefully(folder))  # after the moving average, which takes the last step in before the run is saved
    callbacks += [*build_checkpoints(config, splits, folder), Summary(folder)]
    if trainer.progress_bar:
        callbacks.append(RunProgressBar(gap=f"explain/{config.explain.attributions[0]}/gap"))
    made = pl.Trainer(
        max_epochs=trainer.epochs,
        accelerator=trainer.accelerator,
        devices=trainer.devices or ("auto" if torch.cuda.is_available() else 1),
        num_nodes=trainer.num_nodes,
        strategy=trainer.strategy,
        precision="bf16-mixed" if native_precision(trainer.precision) == "bf16" else "32-true",
        accumulate_grad_batches=trainer.accumulate,
        sync_batchnorm=trainer.sync_batchnorm,
        gradient_clip_val=config.optim.clip_grad_norm,
        use_distributed_sampler=False,  # the samplers share out batches themselves
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        enable_progress_bar=trainer.progress_bar,
        enable_model_summary=False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
        logger=[TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False), csv_logger],
    )
    return made, csv_logger


def build_explanation_callback(config: Config, splits: Splits, folder: Path) -> ExplanationCallback:
    """The callback that explains the encoder, its moving average where one is kept."""
    monitor = build_monitor(config, build_explain_set(config, splits))

    def frozen(module: Any) -> FrozenEncoder:
        for callback in module.trainer.callbacks if module._trainer is not None else []:
            if isinstance(callback, WeightAveraging) and callback._average_model is not None:
                averaged: Any = callback._average_model.module
                return freeze(averaged.backbone, config, splits, device=module.device)
        return freeze(module.backbone, config, splits, device=module.device)

    return ExplanationCallback(
        monitor, encoder=frozen, folder=folder / "heatmaps", every_n_epochs=config.explain.every_n_epochs,
        num_strips=config.explain.num_strips,
    )  # fmt: skip


def freeze(backbone: nn.Module, config: Config, splits: Splits, *, device: torch.device) -> FrozenEncoder:
    """The backbone as the engine wants it."""
    return FrozenEncoder(backbone, mean=splits.mean, std=splits.std, precision=config.explain.precision, device=device)


def build_checkpoints(config: Config, splits: Splits, folder: Path) -> list[Callback]:
    """``last.ckpt`` after every epoch, and the best by the monitored metric.

    Two callbacks, as Lightning's ``save_last`` writes only in epochs that are among the best.
    """
    monitor = config.checkpoint.monitor
    if monitor == "auto":
        monitor = "val/knn" if splits.train.labels is not None and splits.val.labels is not None else None
    kept: list[Callback] = [ModelCheckpoint(folder, filename="last", save_on_train_epoch_end=True, enable_version_counter=False)]
    if monitor and config.checkpoint.top_k:
        kept.append(
            ModelCheckpoint(
                folder,
                filename="best-{epoch:03d}",
                monitor=monitor,
                mode=config.checkpoint.mode,
                save_top_k=config.checkpoint.top_k,
                every_n_epochs=config.explain.every_n_epochs if monitor.startswith("explain/") else 1,
                save_on_train_epoch_end=True,
                enable_version_counter=False,
            )
        )
    return kept


def native_precision(asked: str) -> str:
    """``auto`` to ``bf16`` where the hardware computes bfloat16 natively, else ``32``."""
    if asked != "auto":
        return asked
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "32"
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "32"


def _raw_pixels(splits: Splits, datamodule: ImageDataModule | None) -> dict[str, float]:
    """The raw-pixel kNN accuracy, computed once, where there are labels and the data is in memory."""
    if datamodule is None or splits.train.labels is None or splits.val.labels is None or not splits.in_memory:
        return {}
    bank, val = datamodule.bank_ids, list(range(len(splits.val)))
    accuracy = raw_pixel_knn(splits.train.load(bank), splits.train.labels[bank], splits.val.load(val), splits.val.labels)
    return {"raw_pixel_knn": accuracy}
