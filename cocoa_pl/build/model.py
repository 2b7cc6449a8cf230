"""From a config to a model: a fresh one to train, or the one in a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.build.methods import Given
from cocoa_pl.config import Config
from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.data.splits import Splits
from cocoa_pl.metrics.quality import raw_pixel_knn
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.models.checkpoint import load_weights
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.registry import METHODS
from cocoa_pl.rng import derive_seed


def build_module(config: Config, splits: Splits, datamodule: ImageDataModule | None = None) -> EncoderModule:
    """A freshly initialised module, its weights a function of the seed.

    Raises:
        ConfigError: the data has not what the method learns from.
    """
    record = {
        "image_size": splits.image_size, "mean": splits.mean, "std": splits.std, "words": splits.train.words,
        "num_classes": splits.train.num_classes,
    }  # fmt: skip
    return _module(config, record, reference=_raw_pixels(splits, datamodule))


def restore_module(checkpoint: Mapping[str, Any], config: Config, *, path: Path, untrained: bool = False) -> EncoderModule:
    """The module in a checkpoint; no data is needed.

    Args:
        checkpoint: as ``read_checkpoint`` gives it.
        config: the run's, with whatever one overrides.
        path: of the checkpoint, for messages.
        untrained: leave the weights as they were before training.

    Raises:
        CheckpointError: the weights do not fit.
    """
    module = _module(config, checkpoint["cocoa_pl"], reference={})
    for prefix, part in () if untrained else module.trained.items():
        load_weights(part, checkpoint["state_dict"], prefix=prefix, path=path)
    return module


def _module(config: Config, record: Mapping[str, Any], *, reference: dict[str, float]) -> EncoderModule:
    """A module for images as a checkpoint's record describes them."""
    model = config.model
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(config.run.seed, "weights"))
        backbone, rep_dim = build_backbone(model.backbone, image_size=record["image_size"], width=model.width, stem=model.stem)
        given = Given(backbone, rep_dim, record["mean"], record["std"], record.get("words", ()), record.get("num_classes", 0), reference)
        module: EncoderModule = METHODS.load(model.method)(config, given)
    module = module.to(memory_format=torch.channels_last)
    if config.trainer.precision == "64":
        module = module.double()
    if model.compile:
        module.backbone.compile()
    return module


def _raw_pixels(splits: Splits, datamodule: ImageDataModule | None) -> dict[str, float]:
    """The raw-pixel kNN accuracy, computed once, where there are labels and the data is in memory."""
    if datamodule is None or splits.train.labels is None or splits.val.labels is None or not splits.in_memory:
        return {}
    bank, val = datamodule.bank_ids, list(range(len(splits.val)))
    accuracy = raw_pixel_knn(splits.train.load(bank), splits.train.labels[bank], splits.val.load(val), splits.val.labels)
    return {"raw_pixel_knn": accuracy}
