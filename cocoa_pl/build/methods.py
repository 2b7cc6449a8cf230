"""How an encoder learns: one builder for each entry of ``registry.METHODS``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from cocoa_pl.config import Config
from cocoa_pl.data.words import WordTokenizer
from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics.quality import RepresentationQuality
from cocoa_pl.metrics.retrieval import Retrieval
from cocoa_pl.models.image_text import ImageText
from cocoa_pl.models.optim import OptimSpec
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.models.simsiam import SimSiam
from cocoa_pl.models.supervised import Supervised
from cocoa_pl.models.text_tower import TextTower
from cocoa_pl.registry import OPTIMIZERS, SCHEDULES

_LR_BATCH = 256
_CONTEXT = 48  # words of a caption, at most


@dataclass(frozen=True)
class Given:
    """What a method is built around.

    Attributes:
        backbone: images to representations.
        rep_dim: their length.
        mean, std: of the images.
        words: of the captions.
        num_classes: of the labels; 0 without any.
        reference: values that are logged beside those of every validation.
    """

    backbone: nn.Module
    rep_dim: int
    mean: Sequence[float]
    std: Sequence[float]
    words: Sequence[str]
    num_classes: int
    reference: dict[str, float]


def build_simclr(config: Config, given: Given) -> SimCLR:
    """SimCLR: two views of an image."""
    model = config.model
    return SimCLR(
        given.backbone, rep_dim=given.rep_dim, optim=build_optim(config), mean=given.mean, std=given.std, hidden_dim=model.hidden_dim,
        projection_dim=model.projection_dim, temperature=model.temperature, validation=RepresentationQuality(reference=given.reference),
    )  # fmt: skip


def build_simsiam(config: Config, given: Given) -> SimSiam:
    """SimSiam: two views of an image, and no other images."""
    model = config.model
    return SimSiam(
        given.backbone, rep_dim=given.rep_dim, optim=build_optim(config), mean=given.mean, std=given.std, hidden_dim=model.hidden_dim,
        projection_dim=model.projection_dim, validation=RepresentationQuality(reference=given.reference),
    )  # fmt: skip


def build_supervised(config: Config, given: Given) -> Supervised:
    """A classifier.

    Raises:
        ConfigError: the data has no two classes.
    """
    if given.num_classes < 2:
        raise ConfigError(
            f"model.method=supervised: learns from labels, and data.name={config.data.name} has "
            f"{'none' if given.num_classes == 0 else 'one class only'} here; pictures in folders, one a class, have some"
        )
    return Supervised(
        given.backbone, rep_dim=given.rep_dim, num_classes=given.num_classes, optim=build_optim(config), mean=given.mean, std=given.std,
        validation=RepresentationQuality(reference=given.reference),
    )  # fmt: skip


def build_image_text(config: Config, given: Given) -> ImageText:
    """Pictures and captions in one space."""
    model, tokenizer = config.model, tokenizer_of(given.words)
    tower = TextTower(
        num_tokens=tokenizer.size, context_length=tokenizer.context_length, width=model.text_width, num_layers=model.text_layers,
        num_heads=model.text_heads, out_dim=model.projection_dim,
    )  # fmt: skip
    return ImageText(
        given.backbone, rep_dim=given.rep_dim, text_tower=tower, tokenizer=tokenizer, projection_dim=model.projection_dim,
        optim=build_optim(config), mean=given.mean, std=given.std, temperature=model.temperature, validation=Retrieval(),
    )  # fmt: skip


def tokenizer_of(words: Sequence[str]) -> WordTokenizer:
    """The tokenizer of a data set's captions.

    Raises:
        ConfigError: it has none.
    """
    if not words:
        raise ConfigError("model.method=image_text: learns from captions, and the data has none; data.name=captioned_scenes has some")
    return WordTokenizer(words, context_length=_CONTEXT)


def build_optim(config: Config) -> OptimSpec:
    """Optimiser and schedule, with the learning rate scaled by the rule asked for."""
    optim = config.optim
    ratio = config.data.batch_size * config.trainer.accumulate / _LR_BATCH
    factor = {"none": 1.0, "linear": ratio, "sqrt": math.sqrt(ratio)}[optim.scale_lr]
    return OptimSpec(
        OPTIMIZERS.load(optim.name), SCHEDULES.load(optim.schedule), optim.lr * factor, optim.weight_decay, optim.warmup_epochs
    )  # fmt: skip
