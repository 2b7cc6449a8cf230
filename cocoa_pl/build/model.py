"""From a config to a model: a fresh one to train, or the one in a checkpoint."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.config import Config
from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.data.splits import Splits
from cocoa_pl.metrics.quality import RepresentationQuality, raw_pixel_knn
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.models.checkpoint import load_weights
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.registry import OPTIMIZERS, SCHEDULES
from cocoa_pl.rng import derive_seed

_LR_BATCH = 256


def build_module(config: Config, splits: Splits, datamodule: ImageDataModule | None = None) -> SimCLR:
    """A freshly initialised SimCLR, its weights a function of the seed."""
    return _simclr(
        config, image_size=splits.image_size, mean=splits.mean, std=splits.std, reference=_raw_pixels(splits, datamodule)
    )  # fmt: skip


def restore_module(checkpoint: Mapping[str, Any], config: Config, *, path: Path, untrained: bool = False) -> SimCLR:
    """The SimCLR in a checkpoint; no data is needed.

    Args:
        checkpoint: as ``read_checkpoint`` gives it.
        config: the run's, with whatever one overrides.
        path: of the checkpoint, for messages.
        untrained: leave the weights as they were before training.

    Raises:
        CheckpointError: the weights do not fit.
    """
    record = checkpoint["cocoa_pl"]
    module = _simclr(config, image_size=record["image_size"], mean=record["mean"], std=record["std"], reference={})
    if not untrained:
        for prefix, part in (("backbone.", module.backbone), ("projection_head.", module.projection_head)):
            load_weights(part, checkpoint["state_dict"], prefix=prefix, path=path)
    return module


def _simclr(config: Config, *, image_size: int, mean: Sequence[float], std: Sequence[float], reference: dict[str, float]) -> SimCLR:
    model = config.model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(config.run.seed, "weights"))
        backbone, rep_dim = build_backbone(model.backbone, image_size=image_size, width=model.width, stem=model.stem)
        module = SimCLR(
            backbone,
            rep_dim=rep_dim,
            optim=build_optim(config),
            mean=mean,
            std=std,
            hidden_dim=model.hidden_dim,
            projection_dim=model.projection_dim,
            temperature=model.temperature,
            validation=RepresentationQuality(reference=reference),
        )
    module = module.to(memory_format=torch.channels_last)
    if config.trainer.precision == "64":
        module = module.double()
    if model.compile:
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


def _raw_pixels(splits: Splits, datamodule: ImageDataModule | None) -> dict[str, float]:
    """The raw-pixel kNN accuracy, computed once, where there are labels and the data is in memory."""
    if datamodule is None or splits.train.labels is None or splits.val.labels is None or not splits.in_memory:
        return {}
    bank, val = datamodule.bank_ids, list(range(len(splits.val)))
    accuracy = raw_pixel_knn(splits.train.load(bank), splits.train.labels[bank], splits.val.load(val), splits.val.labels)
    return {"raw_pixel_knn": accuracy}
