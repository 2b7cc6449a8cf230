"""From a config to a model: a fresh one to train, or the encoder in a checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import torch
from torch import nn

from cocoa_pl.config import Config, load_config
from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.data.splits import Splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.quality import RepresentationQuality, raw_pixel_knn
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.models.checkpoint import load_weights, read_checkpoint
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.registry import OPTIMIZERS, SCHEDULES
from cocoa_pl.rng import derive_seed

_LR_BATCH = 256


def build_module(config: Config, splits: Splits, datamodule: ImageDataModule | None = None) -> SimCLR:
    """A freshly initialised SimCLR, its weights a function of the seed."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(derive_seed(config.run.seed, "weights"))
        backbone, rep_dim = build_network(config, image_size=splits.image_size)
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


def build_network(config: Config, *, image_size: int) -> tuple[nn.Module, int]:
    """The backbone with fresh weights, and the length of its representations."""
    return build_backbone(config.model.backbone, image_size=image_size, width=config.model.width, stem=config.model.stem)


def load_encoder(path: str | Path, *, precision: str = "32", device: torch.device | str = "cpu", layer: str | None = None) -> FrozenEncoder:
    """The encoder in a checkpoint of ``train.py``, ready to explain; no data is needed.

    Args:
        path: the checkpoint, or the run's folder, of which the last checkpoint is taken.
        precision: ``32`` or ``bf16``.
        device: where to encode.
        layer: explain the output of this layer instead of the backbone's.

    Raises:
        CheckpointError: missing, damaged, or no checkpoint of ours.
    """
    path = Path(path)
    path = path / "last.ckpt" if path.is_dir() else path
    checkpoint = read_checkpoint(path)
    record = checkpoint["cocoa_pl"]
    with torch.random.fork_rng(devices=[]):  # weights are drawn, then replaced
        network, _ = build_network(load_config(record["config"], overrides=[]), image_size=record["image_size"])
    load_weights(network, checkpoint["state_dict"], prefix="backbone.", path=path)
    return FrozenEncoder(network, mean=record["mean"], std=record["std"], precision=precision, device=device, layer=layer, pool=True)


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
