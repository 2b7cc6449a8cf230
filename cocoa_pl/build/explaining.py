"""From a config to what explains: methods, removal, monitor, the frozen encoder."""

from __future__ import annotations

import inspect

import torch
from torch import nn

from cocoa_pl.build.precision import native_precision
from cocoa_pl.config import Config
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.data.splits import Splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import load_attribution
from cocoa_pl.models.simclr import SimCLR
from cocoa_pl.monitor import Monitor
from cocoa_pl.registry import REMOVALS
from cocoa_pl.rng import derive_seed
from cocoa_pl.types import Attribution, Removal

_METHOD_OPTIONS = ("num_steps", "num_samples", "num_masks", "grid_size")  # of the config, for the methods that have them


def build_monitor(config: Config, explain_set: ExplainSet) -> Monitor:
    """How the explain set is explained."""
    explain = config.explain
    return Monitor(
        explain_set, attributions={name: build_attribution(config, name) for name in explain.attributions},
        removal=build_removal(config, explain_set), chunk_size=explain.chunk_size, curve_steps=explain.curve_steps,
        pair_targets=tuple(explain.pair_targets), seed=derive_seed(config.run.seed, "explain"),
    )  # fmt: skip


def build_attribution(config: Config, name: str) -> Attribution:
    """A method with those of the config's options that it has."""
    method = load_attribution(name)
    known = inspect.signature(method).parameters
    made: Attribution = method(**{option: getattr(config.explain, option) for option in _METHOD_OPTIONS if option in known})
    return made


def build_removal(config: Config, explain_set: ExplainSet) -> Removal:
    """A removal; one that draws from images is given the foil."""
    kind = REMOVALS.load(config.explain.removal)
    removal: Removal = kind(pool=explain_set.foil) if "pool" in inspect.signature(kind).parameters else kind()
    return removal


def freeze(module: SimCLR, config: Config, splits: Splits, *, device: torch.device) -> FrozenEncoder:
    """The part of a module that is explained, as the engine wants it."""
    network = module.backbone if config.explain.space == "reps" else nn.Sequential(module.backbone, module.projection_head)
    return FrozenEncoder(
        network, mean=splits.mean, std=splits.std, precision=native_precision(config.explain.precision, device.type), device=device,
        layer=config.explain.layer, pool=True,
    )  # fmt: skip
