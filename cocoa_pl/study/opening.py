"""From a request to what is studied: options, data, encoders."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from cocoa_pl.build import AskedEncoder, EncoderOptions, build_attribution, build_splits, device_type, open_encoder
from cocoa_pl.config import StudyConfig, load_as
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError
from cocoa_pl.explainer import load_removal
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.sources import is_ours
from cocoa_pl.rng import derive_seed
from cocoa_pl.study.command import EncoderSpec, StudyRequest
from cocoa_pl.study.plan import Plan
from cocoa_pl.types import Attribution, Removal

_LARGE = 64  # side in pixels above which RISE takes the paper's grid for photographs
_LARGE_GRID = 7
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
    first = next((record for record in stored.values() if record is not None), None)
    asked = {text.partition("=")[0] for text in request.overrides}
    names_data = "data" in request.layer or any(name.startswith("data.") for name in asked)
    if first is None and not names_data:
        raise ConfigError(
            "data.name: which pictures? encoders of another origin come without any; for instance data.name=image_folder data.root=DIR"
        )
    base = {} if first is None else {"data": first["data"], "run": {"seed": first["run"]["seed"]}, "augment": first["augment"]}
    config = load_as(StudyConfig, base, request.layer, overrides=request.overrides)
    foreign = EncoderOptions(None, request.trust_pickle, request.image_size, request.mean, request.std)
    encoders, notes = dict[str, AskedEncoder](), list[str]()
    for spec in request.encoders:
        encoders[spec.title] = _open(spec, stored[spec.title], request, foreign)
        notes += [f"{spec.title}: {note}" for note in encoders[spec.title].notes]
        notes += _trained_elsewhere(spec.title, stored[spec.title], config)
    side = next(iter(encoders.values())).image_size
    given = (
        asked
        | {f"data.{name}" for name in request.layer.get("data", {})}
        | {f"explain.{name}" for name in request.layer.get("explain", {})}
    )
    more = [f"data.image_size={side}"] if first is None and "data.image_size" not in given else []
    splits = build_splits(load_as(StudyConfig, base, request.layer, overrides=[*request.overrides, *more]))
    if splits.image_size > _LARGE and "explain.grid_size" not in given:
        more.append(f"explain.grid_size={_LARGE_GRID}")
        notes.append(f"RISE has {_LARGE_GRID} cells a side because pictures are {splits.image_size} px; explain.grid_size says otherwise.")
    notes += [
        f"{title}: sees pictures of {splits.image_size} px, and was made for {encoder.image_size}."
        for title, encoder in encoders.items() if encoder.image_size != splits.image_size
    ]  # fmt: skip
    config = load_as(StudyConfig, base, request.layer, overrides=[*request.overrides, *more])
    return Opened(config, splits, encoders, torch.device(device_type(config)), tuple(notes))


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
    order = torch.randperm(len(splits.train), generator=torch.Generator().manual_seed(derive_seed(config.run.seed, "pool")))
    pool = splits.train.load(order[:_POOL].tolist()).float() / 255
    return load_removal(name, pool=pool, **options)


def _stored(spec: EncoderSpec) -> Mapping[str, Any] | None:
    """The options of a run of train.py; None of an encoder of another origin."""
    if spec.checkpoint is None or spec.kind is not None or not is_ours(spec.checkpoint):
        return None
    options: Mapping[str, Any] = read_checkpoint(spec.checkpoint)["cocoa_pl"]["config"]
    return options


def _open(spec: EncoderSpec, stored: Mapping[str, Any] | None, request: StudyRequest, foreign: EncoderOptions) -> AskedEncoder:
    """One encoder, with its own model and the study's explanations."""
    own = {} if stored is None else {"model": stored["model"], "data": stored["data"], "run": {"seed": stored["run"]["seed"]}}
    layer = {name: section for name, section in request.layer.items() if stored is None or name not in ("model", "data", "run")}
    overrides = [text for text in request.overrides if stored is None or not text.startswith(("model.", "data.", "run."))]
    config = load_as(StudyConfig, own, layer, overrides=overrides)
    if stored is not None:
        return open_encoder(spec.checkpoint, config, EncoderOptions(None, foreign.trust_pickle))
    options = EncoderOptions(spec.kind, foreign.trust_pickle, foreign.image_size, foreign.mean, foreign.std)
    return open_encoder(spec.checkpoint, config, options)


def _trained_elsewhere(title: str, stored: Mapping[str, Any] | None, config: StudyConfig) -> list[str]:
    """A note where a run was trained on other data, of which some may be among the explicands."""
    if stored is None:
        return []
    same = stored["data"]["name"] == config.data.name and (stored["run"]["seed"] == config.run.seed or config.data.name == "fashion_mnist")
    return [] if same else [f"{title}: was trained on other data or another split; explicands may be among its training images."]
