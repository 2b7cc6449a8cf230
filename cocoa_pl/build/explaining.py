"""From a config to what explains: methods, removal, monitor, the frozen encoder."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from cocoa_pl.build.model import restore_module
from cocoa_pl.build.precision import native_precision
from cocoa_pl.config import Config, load_config
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import load_attribution, load_removal
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.image_text import ImageText
from cocoa_pl.models.module import EncoderModule
from cocoa_pl.monitor import Monitor
from cocoa_pl.rng import derive_seed
from cocoa_pl.text_encoding import FrozenTextEncoder
from cocoa_pl.types import Attribution, Removal

_METHOD_OPTIONS = ("num_steps", "num_samples", "num_masks", "grid_size")  # of the config, for the methods that have them


def build_monitor(config: Config, explain_set: ExplainSet) -> Monitor:
    """How the explain set is explained."""
    explain = config.explain
    return Monitor(
        explain_set, attributions={name: build_attribution(config, name) for name in explain.attributions},
        removal=build_removal(config, explain_set), chunk_size=explain.chunk_size, curve_steps=explain.curve_steps,
        pair_targets=tuple(explain.pair_targets), seed=derive_seed(config.run.seed, "explain"),
        texts=bool(explain_set.phrases) and explains_texts(config),
    )  # fmt: skip


def build_attribution(config: Config, name: str) -> Attribution:
    """A method with those of the config's options that it has."""
    method = load_attribution(name)
    known = inspect.signature(method).parameters
    made: Attribution = method(**{option: getattr(config.explain, option) for option in _METHOD_OPTIONS if option in known})
    return made


def build_removal(config: Config, explain_set: ExplainSet) -> Removal:
    """A removal; one that draws from images is given the foil."""
    return build_removal_of(config, explain_set.foil)


def build_removal_of(config: Config, pool: Tensor) -> Removal:
    """A removal; one that draws from images is given a pool of them (F, 3, H, W)."""
    return load_removal(config.explain.removal, pool=pool)


def freeze(
    module: EncoderModule, config: Config, *, device: torch.device, change: Callable[[nn.Module], nn.Module] | None = None
) -> FrozenEncoder:
    """The part of a module that is explained, as the engine wants it, and its text side where that shares the space explained.

    Args:
        module: of training.
        config: ``explain``.
        device: where to encode.
        change: what to make of the network first, such as a copy whose weights are redrawn; it must leave the network itself alone.
    """
    explain = config.explain
    network = module.backbone if explain.space == "reps" else nn.Sequential(module.backbone, module.projector)
    network = network if change is None else change(network)
    precision = native_precision(explain.precision, device.type)
    text = None
    if isinstance(module, ImageText) and explains_texts(config):
        text = FrozenTextEncoder(module.text_tower, module.tokenizer, precision=precision, device=device)
    return FrozenEncoder(
        network, mean=module.mean.flatten().tolist(), std=module.std.flatten().tolist(), precision=precision, device=device,
        layer=explain.layer, pool=True, text=text,
    )  # fmt: skip


def explains_texts(config: Config) -> bool:
    """Whether what is explained lies in the space of the texts: the projections of an image-text model."""
    return config.model.method == "image_text" and config.explain.space == "projections" and config.explain.layer is None


def load_encoder(
    path: str | Path, *, space: str = "reps", layer: str | None = None, precision: str = "32", device: torch.device | str = "cpu"
) -> FrozenEncoder:  # fmt: skip
    """The encoder in a checkpoint of ``train.py``, ready to explain; no data is needed.

    Args:
        path: the checkpoint, or the run's folder, of which the last checkpoint is taken.
        space: ``reps``, the backbone's output, or ``projections``, the head's.
        layer: explain the output of this layer of the backbone instead.
        precision: ``32``, ``bf16`` or ``auto``.
        device: where to encode.

    Raises:
        CheckpointError: missing, damaged, or no checkpoint of ours.
        ConfigError: no such space, layer or precision.
    """
    path = Path(path)
    path = path / "last.ckpt" if path.is_dir() else path
    checkpoint = read_checkpoint(path)
    wanted = [f"explain.space={space}", f"explain.layer={layer or 'null'}", f"explain.precision={precision}"]
    config = load_config(checkpoint["cocoa_pl"]["config"], overrides=wanted)
    return freeze(restore_module(checkpoint, config, path=path), config, device=torch.device(device))


def build_reference(config: Config, path: Path) -> Callable[[torch.device], FrozenEncoder]:
    """The encoder that every look is compared with; the checkpoint is tried at once, so that a wrong one is refused before training."""
    explain = config.explain

    def load(device: torch.device) -> FrozenEncoder:
        precision = native_precision(explain.precision, device.type)
        return load_encoder(path, space=explain.space, layer=explain.layer, precision=precision, device=device)

    load(torch.device("cpu"))
    return load
