"""From a config to data: splits, training views, batches, the explain set."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

from torch import Tensor

from cocoa_pl.augmentations.device import DeviceViews
from cocoa_pl.augmentations.lightly_views import lightly_views
from cocoa_pl.build.methods import tokenizer_of
from cocoa_pl.config import Config
from cocoa_pl.data.captioned_scenes import CaptionedOptions
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.data.region import parse_region
from cocoa_pl.data.scenes import ScenesOptions
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import DATASETS
from cocoa_pl.rng import derive_seed

_GENERATED = {"scenes": (9000, 1000), "captioned_scenes": (8000, 1000)}  # training and validation images


def build_splits(config: Config) -> Splits:
    """The data set's training and validation images."""
    data = config.data
    if data.name in _GENERATED:
        num_train, num_val = _GENERATED[data.name]
        own: dict[str, Any] = {"options": _look_of(config)}
        data = replace(data, num_train=data.num_train or num_train, num_val=data.num_val or num_val)
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


def _look_of(config: Config) -> ScenesOptions | CaptionedOptions:
    """How generated pictures look."""
    data = config.data
    if data.name == "scenes":
        plain = data.scenes
        return ScenesOptions(
            image_size=data.image_size, num_objects=plain.num_objects, background=plain.background, shortcut=plain.shortcut
        )  # fmt: skip
    look, (fewest, most) = data.captioned, data.captioned.num_objects
    return CaptionedOptions(data.image_size, (fewest, most), look.background, look.same_colour, look.same_digit)


def build_views(config: Config, image_size: int) -> DeviceViews:
    """The options of the training views of images of this side, whichever backend makes them."""
    augment = config.augment
    low, high = augment.crop_scale
    return DeviceViews(
        size=image_size, crop_scale=(low, high), flip=augment.flip, jitter=augment.jitter, jitter_prob=augment.jitter_prob,
        grayscale=augment.grayscale, blur=augment.blur,
    )  # fmt: skip


def build_datamodule(config: Config, splits: Splits) -> ImageDataModule:
    """Batches, and the two views of each image."""
    views = build_views(config, splits.image_size)
    reads = config.model.method == "image_text"
    if reads:
        _warn_of_false_captions(config)
    on_device = config.augment.backend == "device" or (config.augment.backend == "auto" and splits.in_memory)
    return ImageDataModule(
        splits,
        batch_size=config.data.batch_size,
        seed=config.run.seed,
        views=views if on_device else None,
        transform=None if on_device else lightly_views(views),
        num_workers=config.data.num_workers,
        num_bank=config.data.num_bank,
        tokenizer=tokenizer_of(splits.train.words) if reads else None,
    )


def _warn_of_false_captions(config: Config) -> None:
    """Views that change what captions name would teach falsehoods."""
    augment = config.augment
    changed = {"flip": "places", "jitter": "colours", "grayscale": "colours"}
    wrong = [f"augment.{name}={value:g} changes {what}" for name, what in changed.items() if (value := getattr(augment, name))]
    if wrong:
        warnings.warn(f"captions name colours and places: {', '.join(wrong)}; configs/clip_scenes.yaml has them at 0", stacklevel=3)


def build_explain_set(config: Config, splits: Splits) -> ExplainSet:
    """The explain set, drawn with a seed of its own."""
    explain, views = config.explain, build_views(config, splits.image_size)
    return draw_explain_set(
        splits.train, splits.val, num_explicands=explain.num_explicands, views=explain.views,
        seen=[view for view in explain.views if views.is_seen(view)], corpus_size=explain.corpus_size, foil_size=explain.foil_size,
        num_pairs=explain.num_pairs, seed=derive_seed(config.run.seed, "explain"), num_gallery=explain.num_gallery,
        region=build_region(config, splits),
    )  # fmt: skip


def build_region(config: Config, splits: Splits) -> Tensor | None:
    """The place to watch, as a mask (H, W) in the frame of the pictures."""
    text = config.explain.region
    return None if text is None else parse_region(text, height=splits.image_size, width=splits.image_size)
