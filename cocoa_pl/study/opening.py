"""From a request to what is studied: options, data, encoders."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from cocoa_pl.build import AskedEncoder, EncoderOptions, build_attribution, build_splits, config_of_run, device_type, open_encoder
from cocoa_pl.build.encoders import length_of
from cocoa_pl.config import StudyConfig, load_as, to_dict
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import CocoaError, ConfigError, DivergedError
from cocoa_pl.explainer import Explainer, load_removal
from cocoa_pl.models.sources import is_ours
from cocoa_pl.registry import REMOVALS
from cocoa_pl.rng import generator
from cocoa_pl.study.command import EncoderSpec, StudyRequest
from cocoa_pl.study.plan import Plan
from cocoa_pl.targets import label_free
from cocoa_pl.types import Attribution, Removal

_LARGE = 64  # side in pixels above which RISE takes the paper's grid for photographs
_LARGE_GRID = 7
_SPLIT_BY_SEED = "image_folder"  # every other data set brings its own training and validation images
_FEW = 4  # masks, steps and draws that tell whether a method explains an encoder
_POOL = 100  # training images that a removal may draw from


@dataclass(frozen=True)
class Opened:
    """Everything that a request names.

    Attributes:
        config: of the study.
        splits: the data.
        encoders: title to encoder, in the order asked for.
        device: where they are asked.
        notes: whole sentences: what was decided or found here.
    """

    config: StudyConfig
    splits: Splits
    encoders: dict[str, AskedEncoder]
    device: torch.device
    notes: tuple[str, ...]


def opened(request: StudyRequest) -> Opened:
    """Open encoders and data; the data of the first run of train.py where the config names none.

    Raises:
        CocoaError: one cannot be used.
    """
    stored = {spec.title: _stored(spec) for spec in request.encoders}
    given = {text.partition("=")[0] for text in request.overrides} | set(_names(request.layer))
    _check_asked(request, stored, given)
    base, config = _base(request, stored)
    encoders, notes = dict[str, AskedEncoder](), list[str]()
    for spec in request.encoders:
        encoders[spec.title] = _open(spec, stored[spec.title], request)
        notes += [f"{spec.title}: {note}" for note in encoders[spec.title].notes]
        notes += _trained_elsewhere(spec.title, stored[spec.title], config)
    more = list[str]()

    def decide(option: str, value: int) -> StudyConfig:
        more.append(f"{option}={value}")
        return load_as(StudyConfig, base, request.layer, overrides=[*request.overrides, *more])

    if "data" not in base and "data.image_size" not in given:
        config = decide("data.image_size", next(iter(encoders.values())).image_size)
    splits = build_splits(config)
    if splits.image_size > _LARGE and "explain.grid_size" not in given:
        config = decide("explain.grid_size", _LARGE_GRID)
        notes.append(f"RISE has {_LARGE_GRID} cells a side because pictures are {splits.image_size} px; explain.grid_size says otherwise.")
    device = torch.device(device_type(config))
    if config.trainer.accelerator == "gpu" and device.type == "cpu":
        raise ConfigError("trainer.accelerator=gpu: torch finds no GPU here; must be auto or cpu")
    for title, encoder in encoders.items():
        notes += _fits(title, encoder, device, splits, config)
    return Opened(config, splits, encoders, device, tuple(notes))


def _check_asked(request: StudyRequest, stored: Mapping[str, Mapping[str, Any] | None], given: set[str]) -> None:
    """See that somebody says which pictures, and that what is said of encoders of another origin is about one.

    Raises:
        ConfigError: it is not so.
    """
    if "data.name" not in given and not any(stored.values()):
        raise ConfigError(
            "data.name: which pictures? encoders of another origin come without any; for instance data.name=image_folder data.root=DIR"
        )
    wishes = {"--image-size": request.image_size, "--mean": request.mean, "--std": request.std}
    if all(stored.values()) and (idle := [name for name, value in wishes.items() if value is not None]):
        raise ConfigError(f"{idle[0]}: is of encoders of another origin; a checkpoint of train.py knows its own")


def _base(request: StudyRequest, stored: Mapping[str, Mapping[str, Any] | None]) -> tuple[dict[str, Any], StudyConfig]:
    """What the first run of train.py gives, its seed and its data, the latter unless the request names another data set; and the options
    with it.
    """
    first = next(filter(None, stored.values()), None)
    if first is None:
        return {}, load_as(StudyConfig, request.layer, overrides=request.overrides)
    seed = {"run": {"seed": first["run"]["seed"]}}
    base = {**seed, "data": first["data"]}
    config = load_as(StudyConfig, base, request.layer, overrides=request.overrides)
    if config.data.name == first["data"]["name"]:
        return base, config
    return seed, load_as(StudyConfig, seed, request.layer, overrides=request.overrides)


def _fits(title: str, encoder: AskedEncoder, device: torch.device, splits: Splits, config: StudyConfig) -> list[str]:
    """See that an encoder takes the pictures, and that all methods explain it, by one picture and few steps; else it would be known only
    after all of the encoders before it.

    Returns:
        A note where the encoder was made for pictures of another size.

    Raises:
        CocoaError: it does not, or a method does not.
    """
    frozen, side = encoder.on(device), splits.image_size
    try:
        length_of(frozen, image_size=side)
        image = splits.val.load([0])
        reps = frozen.encode(image)
        if not bool(torch.isfinite(reps).all()):
            raise DivergedError("its representations hold NaN or infinite values; there is nothing to study")
        brief = replace(config, explain=replace(config.explain, num_masks=_FEW, num_steps=_FEW, num_samples=_FEW))
        removal = removal_of(config, splits, config.explain.removal)
        Explainer(frozen, attributions=attributions_of(brief) | controls_of(brief), removal=removal).explain(image, label_free(reps))
    except CocoaError as error:
        raise type(error)(f"{title}: {str(error).replace('--image-size', 'data.image_size')}") from error
    return [] if encoder.image_size == side else [f"{title}: sees pictures of {side} px, and was made for {encoder.image_size}."]


def plan_of(config: StudyConfig, splits: Splits, *, num_classes: int) -> Plan:
    """The grid that a config asks for."""
    study, explain = config.study, config.explain
    return Plan(
        tuple(study.targets), tuple(study.settings), tuple(study.measures), attributions_of(config), controls_of(config), study.randomised,
        study.in_sample, removal_of(config, splits, explain.removal), explain.curve_steps, len(study.seeds), num_classes, study.per_class,
        explain.corpus_size, explain.foil_size, explain.chunk_size,
    )  # fmt: skip


def attributions_of(config: StudyConfig) -> dict[str, Attribution]:
    """Name to method."""
    return {name: build_attribution(config, name) for name in config.explain.attributions}


def controls_of(config: StudyConfig) -> dict[str, Attribution]:
    """Name to control; the smooth one has the grain of RISE's masks."""
    return {name: build_attribution(config, name) for name in config.study.controls}


def removal_of(config: StudyConfig, splits: Splits, name: str, **options: Any) -> Removal:
    """A removal by its name; one that draws from images is given some of training."""
    if "pool" in inspect.signature(REMOVALS.load(name)).parameters:
        order = torch.randperm(len(splits.train), generator=generator(config.run.seed, "pool"))
        options["pool"] = splits.train.load(order[:_POOL].tolist()).float() / 255
    return load_removal(name, **options)


def _stored(spec: EncoderSpec) -> Mapping[str, Any] | None:
    """The options of a run of train.py; None of an encoder of another origin."""
    if spec.checkpoint is None or spec.kind is not None or not is_ours(spec.checkpoint):
        return None
    return to_dict(config_of_run(spec.checkpoint, ()))


def _names(layer: Mapping[str, Any], prefix: str = "") -> Iterable[str]:
    """Dotted names of all options in nested mappings."""
    for name, value in layer.items():
        if isinstance(value, Mapping):
            yield from _names(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def _open(spec: EncoderSpec, stored: Mapping[str, Any] | None, request: StudyRequest) -> AskedEncoder:
    """One encoder, with its own model and the study's explanations."""
    own = {} if stored is None else {"model": stored["model"], "data": stored["data"], "run": {"seed": stored["run"]["seed"]}}
    layer = {name: section for name, section in request.layer.items() if stored is None or name not in ("model", "data", "run")}
    overrides = [text for text in request.overrides if stored is None or not text.startswith(("data.", "run."))]
    config = load_as(StudyConfig, own, layer, overrides=overrides)
    if stored is not None:
        return open_encoder(spec.checkpoint, config, EncoderOptions(None, request.trust_pickle))
    options = EncoderOptions(spec.kind, request.trust_pickle, request.image_size, request.mean, request.std)
    try:
        return open_encoder(spec.checkpoint, config, options)
    except CocoaError as error:  # in the words of explain.py, where the two have options of their own
        said = str(error).removeprefix("--encoder ").replace("give --ckpt", f"write {spec.kind}@CHECKPOINT")
        raise type(error)(f"study.encoders: {said}") from error


def _trained_elsewhere(title: str, stored: Mapping[str, Any] | None, config: StudyConfig) -> list[str]:
    """A note where a run was trained on other data, of which some may be among the explicands."""
    if stored is None:
        return []
    own, data = stored["data"], config.data
    same: bool = own["name"] == data.name
    if same and data.name == _SPLIT_BY_SEED:
        same = (stored["run"]["seed"], own["root"], own["val_fraction"]) == (config.run.seed, data.root, data.val_fraction)
    return [] if same else [f"{title}: was trained on other data or another split; explicands may be among its training images."]
