"""Watch the encoder in anybody's Lightning module, on anybody's images: the explanation callback made from a few words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.augmentations.held_out import VIEWS
from cocoa_pl.callbacks.averaging import averaged
from cocoa_pl.callbacks.explanation import ExplanationCallback
from cocoa_pl.callbacks.finding import FindEncoder, bare, find_encoder, loaders_of, own_loaders, refuse_sharded
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.loading import global_rng_restored
from cocoa_pl.data.pool import Statistics, apart, pictures, read_pool
from cocoa_pl.data.region import parse_region
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.explainer import load_attribution, load_removal
from cocoa_pl.monitor import Monitor
from cocoa_pl.rng import derive_seed
from cocoa_pl.types import Attribution, Removal

_MAX_CLASSES = 10  # explicands are spread over so many
_POOL = 8  # times the explicands, so that they can be spread over the classes
_SMALL = 64  # side up to which images have few cells


def watch(
    images: Any = None, *, encoder: str | FindEncoder = "backbone", foil: Any = None, mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None, labels: Any = None, class_names: Sequence[str] = (), image_size: int = 224,
    attributions: Sequence[str] | Mapping[str, Attribution] = ("integrated_gradients", "rise"), removal: str | Removal = "blur",
    views: Sequence[str] = ("original", "flip", "crop", "rotate90"), seen: Sequence[str] | None = None, layer: str | None = None,
    num_explicands: int = 8, corpus_size: int = 10, foil_size: int = 200, num_gallery: int = 64, region: str | Tensor | None = None,
    every_n_epochs: int = 1, budget_share: float | None = 0.15, chunk_size: int | None = None, num_strips: int = 4,
    folder: str | Path | None = None, seed: int = 0,
) -> ExplanationCallback:  # fmt: skip
    """Make a callback that explains the encoder of any Lightning module during training.

    Explicands are validation images and the foil is of training images, both taken from the trainer's own loaders, unless others are given;
    where there is but one set of images, the two share none of them. Loaders are asked for in ``setup``, before the module's own ``setup``;
    training is not touched. A dataset that draws from a generator of its own is the exception: it has drawn a few times more.

    Args:
        images: what is explained: a tensor, arrays, PIL images, files, a folder, a dataset, a ``DataLoader``, a ``LightningDataModule``
            (for the foil, too); None: the trainer's.
        encoder: dotted name of the module to explain in the Lightning module, or a function from the Lightning module to it or to a
            function of images. Maps and tokens that it returns are averaged. Its weights are the averaged ones where the trainer averages.
        foil: images to compare with, as ``images``; None: training images.
        mean, std: channel statistics by which images are normalised before they reach the encoder. Loaders' images outside [0, 1] are
            taken for normalised, and that is undone.
        labels: one integer for each of ``images``. Those that loaders give beside images are found; explaining classes takes both.
        class_names: one name a label.
        image_size: side of the central squares that files become.
        attributions: names of ``registry.ATTRIBUTIONS`` or ``CONTROLS`` with few masks and steps, or name to method.
        removal: what absent pixels show, or a name of ``registry.REMOVALS``.
        views: views explained, ``original`` first, of ``registry.VIEW_NAMES``.
        seen: those of them that training makes, too; None: not known, so that none is marked as held out.
        layer: explain the averaged output of this layer of the encoder instead.
        num_explicands: images explained, at most.
        corpus_size: images of a class, where there are labels.
        foil_size: images of the foil; a third as many others measure.
        num_gallery: images shown as points when training ends.
        region: a place to watch, as ``data.region`` takes it, or (H, W) bool.
        every_n_epochs: look after every so many epochs.
        budget_share: most of the time of training that looks may take; None: no limit.
        chunk_size: images in one pass; None chooses by their size.
        num_strips: explicands that get a film strip.
        folder: where pictures, maps and tables go beside the loggers; None: nowhere.
        seed: of images drawn, masks and views.

    Raises:
        ConfigError: an unknown name or a number out of range. In training: no such encoder in the module.
        DataError: ``images`` or ``foil`` cannot be used. In training: the loaders' images cannot.

    Example:
        >>> import torch
        >>> callback = watch(torch.rand(8, 3, 16, 16), foil=torch.rand(40, 3, 16, 16), encoder="model.backbone", every_n_epochs=5)
        >>> trainer = pl.Trainer(callbacks=[callback], logger=False, enable_checkpointing=False, enable_progress_bar=False, max_epochs=1)
    """
    for name, value, low in (
        ("num_explicands", num_explicands, 1), ("corpus_size", corpus_size, 1), ("foil_size", foil_size, 2), ("image_size", image_size, 1),
        ("every_n_epochs", every_n_epochs, 1), ("num_gallery", num_gallery, 0), ("num_strips", num_strips, 0),
    ):  # fmt: skip
        if value < low:
            raise ConfigError(f"{name}={value}: must be at least {low}")
    if isinstance(encoder, nn.Module):
        raise ConfigError("encoder is a module; must be its name in the Lightning module, or a function that takes it from there")
    if (mean is None) != (std is None):
        raise ConfigError("mean and std go together: give both, or none where the encoder takes images in [0, 1]")
    seen = list(views) if seen is None else seen
    _check_views(views, seen)
    explained, compared = (
        given if given is None or _is_read_later(given) else pictures(given, labels=known, class_names=class_names, image_size=image_size)
        for given, known in ((images, labels), (foil, None))
    )
    statistics = None if mean is None or std is None else (mean, std)
    methods = _methods(attributions)
    measure_foil, measure_corpus = max(1, foil_size // 3), max(1, corpus_size // 2)
    sizes = max(_POOL * num_explicands, num_gallery), foil_size + measure_foil + 2 * _MAX_CLASSES * (corpus_size + measure_corpus)

    def monitor(trainer: pl.Trainer, pl_module: pl.LightningModule) -> Monitor:
        refuse_sharded(trainer)
        with global_rng_restored():  # hooks that make datasets and loaders may draw
            val, train = _sources(
                trainer, explained, compared, sizes=sizes, seed=seed, statistics=statistics, class_names=class_names
            )  # fmt: skip
        height, width = _common_size(val, train)
        if height != width and "rotate90" in views:
            raise ConfigError(f"views={list(views)}: rotate90 needs square images, these are {height} x {width}; leave it out")
        drawn = draw_explain_set(
            train, val, num_explicands=num_explicands, views=views, seen=seen, corpus_size=corpus_size, foil_size=foil_size, num_pairs=0,
            seed=derive_seed(seed, "explain"), measure_corpus_size=measure_corpus, measure_foil_size=measure_foil, num_gallery=num_gallery,
            region=parse_region(region, height=height, width=width) if isinstance(region, str) else region,
        )  # fmt: skip
        given: ExplainSet = trainer.strategy.broadcast(drawn) if trainer.world_size > 1 else drawn  # streams differ between processes
        return Monitor(
            given, attributions=methods(min(height, width)), chunk_size=chunk_size, seed=derive_seed(seed, "explain"),
            removal=load_removal(removal, pool=given.foil) if isinstance(removal, str) else removal,
        )  # fmt: skip

    def frozen(module: pl.LightningModule) -> FrozenEncoder:
        found = bare(find_encoder(averaged(module), encoder, device=module.device))
        return FrozenEncoder(found, mean=mean or (0,), std=std or (1,), device=module.device, layer=layer, pool=True)

    return ExplanationCallback(
        monitor, encoder=frozen, folder=None if folder is None else Path(folder), every_n_epochs=every_n_epochs, num_strips=num_strips,
        budget_share=budget_share,
    )  # fmt: skip


def _check_views(views: Sequence[str], seen: Sequence[str]) -> None:
    if not views or views[0] != "original" or len(set(views)) < len(views):
        raise ConfigError(f"views={list(views)}: must start with original and name each view once")
    for option, names, choices in (("views", views, list(VIEWS)), ("seen", seen, list(views))):
        for name in names:
            if name not in choices:
                raise ConfigError(f"{option}: unknown {name!r}; {choices_hint(name, choices)}")


def _methods(attributions: Sequence[str] | Mapping[str, Attribution]) -> Callable[[int], dict[str, Attribution]]:
    """The shorter side of images to the methods."""
    if isinstance(attributions, str) or not attributions:
        raise ConfigError(f"attributions={attributions!r}: must be names, or a mapping from names to methods, at least one")
    if isinstance(attributions, Mapping):
        return lambda side: dict(attributions)
    kinds = {name: load_attribution(name) for name in attributions}

    def make(side: int) -> dict[str, Attribution]:
        few = {"num_steps": 8, "num_samples": 64, "num_masks": 256, "grid_size": 4 if side <= _SMALL else 7}
        return {
            name: kind(**{option: value for option, value in few.items() if option in inspect.signature(kind).parameters})
            for name, kind in kinds.items()
        }

    return make


def _is_read_later(given: Any) -> bool:
    """Whether images come in batches or items, instead of being there; a list of tensors, arrays or files is there."""
    if isinstance(given, Source | pl.LightningDataModule):
        return True
    of_many = hasattr(given, "__iter__") or hasattr(given, "__getitem__")
    return of_many and not isinstance(given, list | tuple | str) and not hasattr(given, "shape") and not isinstance(given, Image.Image)


def _sources(
    trainer: pl.Trainer, images: Any, foil: Any, *, sizes: tuple[int, int], seed: int, statistics: Statistics | None,
    class_names: Sequence[str],
) -> tuple[Source, Source]:  # fmt: skip
    """Where explicands and where corpora and foil come from."""

    def ready(given: Any, num: int, what: str) -> Source:
        if isinstance(given, Source):
            return given
        return read_pool(given, num, seed=seed, what=what, statistics=statistics, class_names=class_names)

    if isinstance(images, pl.LightningDataModule) or images is None:
        train, val = loaders_of(images, trainer) if images is not None else own_loaders(trainer)
    else:
        train, val = (None if foil is not None else own_loaders(trainer)[0]), images
    train = train if foil is None else foil
    if train is None and val is None:
        raise DataError("there are no images to explain: the trainer has neither training nor validation data; give watch(images=...)")
    if train is None or val is None:
        what = "the images" if train is None else "the training images"
        return apart(ready(val if train is None else train, sum(sizes), what), sizes[0], seed=seed)
    return ready(val, sizes[0], "the images to explain"), ready(train, sizes[1], "the images of the foil")


def _common_size(val: Source, train: Source) -> tuple[int, int]:
    sizes = [tuple(source.load([0]).shape[-2:]) for source in (val, train) if len(source)]
    if len(set(sizes)) > 1:
        raise DataError(f"the images to explain have {sizes[0]} pixels, those of the foil {sizes[1]}; give them one size")
    height, width = sizes[0]
    return height, width
