"""The two things one does: train a run, explain a checkpoint. Each reads as the story of what happens."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.build import (
    build_datamodule,
    build_explain_set,
    build_module,
    build_monitor,
    build_reference,
    build_region,
    build_splits,
    build_trainer,
    build_views,
    device_type,
    freeze,
    resolve_precision,
    restore_module,
)
from cocoa_pl.callbacks.checkpointing import Stopped
from cocoa_pl.config import Config, load_config, to_dict, to_yaml
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.inputs import load_pictures
from cocoa_pl.errors import CheckpointError, ConfigError, choices_hint
from cocoa_pl.files import require_folder, write_bytes
from cocoa_pl.models.backbones import check_wide_images
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.monitor import Look, Reading, read
from cocoa_pl.report.folder import write_report
from cocoa_pl.rng import derive_seed

_HINTS = (
    r".*does not have many workers.*",
    r".*Checkpoint directory .* exists and is not empty.*",
    r".*isinstance\(treespec, LeafSpec\).*",
    r".*number of training batches .* is smaller than the logging interval.*",
    r".*Found .* in the checkpoint.*",
    r".*resuming from a checkpoint that ended before the epoch ended.*",
)
_FREE_ON_RESUME = (
    "run.root", "run.name", "data.root", "data.num_workers", "data.download", "checkpoint.", "trainer.epochs", "trainer.accelerator",
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.progress_bar", "model.compile", "explain.num_strips",
    "explain.num_gallery", "run.logger",
)  # fmt: skip
_NO_PART_OF_MAPS = (
    "num_strips", "num_gallery", "every_n_epochs", "budget_share", "reference", "region", "num_pairs", "pair_targets", "curve_steps",
)  # fmt: skip
_INTERRUPTED = 130  # what a shell calls a program ended by Ctrl-C


def train(config: Config, *, resume: Path | None = None) -> pl.Trainer:
    """Train a run, or continue one exactly.

    Args:
        config: every option.
        resume: a checkpoint; the run goes on in its folder.

    Raises:
        CocoaError: data, checkpoint or folder cannot be used; nothing was changed.
    """
    _quiet()
    keep_freed_memory()
    resolve_precision(config)
    checkpoint = read_checkpoint(resume) if resume else None
    if checkpoint is not None:
        _refuse_changes(checkpoint["cocoa_pl"]["config"], to_dict(config))
    splits = build_splits(config)
    datamodule = build_datamodule(config, splits)
    module = build_module(config, splits, datamodule)
    if config.explain.enabled and config.explain.num_pairs:
        check_wide_images(module.backbone, image_size=splits.image_size)
    writes = (
        getattr(rank_zero_only, "rank", 0) == 0
    )  # the other processes of a distributed run write nothing, wherever they think the folder is
    folder = resume.parent if resume else new_folder(Path(config.run.root), config.run.name) if writes else Path(config.run.root)
    try:
        trainer, csv_logger = build_trainer(config, splits, require_folder(folder) if writes else folder)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"trainer.*: {str(error).splitlines()[0]}") from error
    if writes:
        write_bytes(folder / "config.yaml", to_yaml(config).encode())
        print(f"{folder}: {len(splits.train)} training and {len(splits.val)} validation images of {splits.name}", flush=True)
    if checkpoint is not None:
        csv_logger.keep_before(epoch=checkpoint["epoch"] + 1, step=checkpoint["global_step"])
    pl.seed_everything(derive_seed(config.run.seed, "global") % 2**32, verbose=False)
    try:
        trainer.fit(module, datamodule=datamodule, ckpt_path=resume, weights_only=True)
    except MisconfigurationException as error:
        if "ModelCheckpoint(monitor=" not in str(error):
            raise
        known = [name for name in trainer.callback_metrics if name.startswith(("val/", "explain/", "train/"))]
        raise ConfigError(
            f"checkpoint.monitor={config.checkpoint.monitor}: no such metric; {choices_hint(config.checkpoint.monitor or '', known)}"
        ) from error
    except RuntimeError as error:
        if "Early stopping conditioned on metric" not in str(error):
            raise
        known = [name for name in trainer.callback_metrics if name.startswith(("val/", "explain/", "train/"))]
        wanted = config.trainer.stop_monitor or ""
        raise ConfigError(f"trainer.stop_monitor={wanted}: no such metric; {choices_hint(wanted, known)}") from error
    except Stopped:
        if writes:
            print(f"stopped at step {trainer.global_step}; to go on: python train.py --resume {folder}", flush=True)
        raise SystemExit(_INTERRUPTED) from None
    return trainer


def explain(
    checkpoint_path: Path, *, inputs: Sequence[str] | None = None, out: str | None = None, untrained: bool = False,
    overrides: Sequence[str] = (),
) -> Reading:  # fmt: skip
    """Explain the encoder in a checkpoint, on the run's explain set or on given pictures, and write a report.

    On the explain set with unchanged options the scalars are exactly those that training logged (on the same hardware).

    Args:
        checkpoint_path: written by :func:`train`.
        inputs: files or folders of pictures; None takes the run's explain set.
        out: folder of the report; default: explained/<checkpoint> in the run's folder.
        untrained: explain the encoder as it was before training, with the same options: the control.
        overrides: options that differ from the run's.

    Raises:
        CocoaError: checkpoint, pictures or folder cannot be used.
    """
    _quiet()
    keep_freed_memory()
    checkpoint = read_checkpoint(checkpoint_path)
    config = load_config(checkpoint["cocoa_pl"]["config"], overrides=overrides)
    name = ("untrained" if untrained else checkpoint_path.stem) + ("-input" if inputs else "")
    folder = require_folder(Path(out) if out else checkpoint_path.parent / "explained" / name)
    splits = build_splits(config)
    module = restore_module(checkpoint, config, path=checkpoint_path, untrained=untrained)
    given = _explain_pictures(config, splits, inputs) if inputs else build_explain_set(config, splits)
    monitor = build_monitor(config, given)
    earlier = {} if untrained or inputs else _earlier_looks(checkpoint, monitor.traces, given, now=to_dict(config))
    now, device = earlier.pop("current", None), torch.device(device_type(config))
    num_masks = None if now is None else now.num_masks
    look = monitor.look(freeze(module, config, device=device), previous=earlier.get("previous"), num_masks=num_masks)
    reference = config.explain.reference
    if reference != checkpoint["cocoa_pl"]["config"]["explain"]["reference"]:
        earlier.pop("reference", None)
    if reference is not None and "reference" not in earlier:
        earlier["reference"] = monitor.look(build_reference(config, Path(reference))(device), num_masks=num_masks)
    reading = read(given, look, **earlier)
    write_report(folder, reading, config=to_dict(config), checkpoint=checkpoint_path, epoch=0 if untrained else checkpoint["epoch"] + 1)
    return reading


def _refuse_changes(before: dict[str, Any], now: dict[str, Any]) -> None:
    """A resumed run is the same run: only what cannot change its numbers may differ.

    Raises:
        ConfigError: the first option that differs, with both values.
    """
    then = dict(_flat(before))
    for key, value in _flat(now):
        if not key.startswith(_FREE_ON_RESUME) and key in then and then[key] != value:
            raise ConfigError(f"{key}={value}: the run to resume has {then[key]}; leave it out, or start a new run")


def _flat(section: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def new_folder(root: Path, name: str) -> Path:
    """<root>/<name>, or <name>-2, -3 ... where a run of that name exists: no run overwrites another."""
    for number in range(1, 10_000):
        folder = root / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
    raise CheckpointError(f"{root}: 10 000 runs are called {name}; choose another run.name")


def _explain_pictures(config: Config, splits: Any, inputs: Sequence[str]) -> ExplainSet:
    """The user's pictures in place of validation images: no labels, no masks, the same foil."""
    pictures = load_pictures(inputs, size=splits.image_size)
    views = build_views(config, splits)
    return draw_explain_set(
        splits.train, pictures, num_explicands=len(pictures), views=config.explain.views,
        seen=[view for view in config.explain.views if views.is_seen(view)], corpus_size=config.explain.corpus_size,
        foil_size=config.explain.foil_size, num_pairs=0, seed=derive_seed(config.run.seed, "explain"),
        region=build_region(config, splits),
    )  # fmt: skip


def _earlier_looks(checkpoint: dict[str, Any], traces: Sequence[str], given: ExplainSet, *, now: dict[str, Any]) -> dict[str, Look]:
    """The looks that drift is measured against, where the checkpoint holds them and they show the same explicands.

    Where the checkpoint's own epoch was explained, that look is among them as ``current``: it tells how many masks were taken.
    """
    states = [state for state in checkpoint.get("callbacks", {}).values() if isinstance(state, dict) and "looks" in state]
    if not states or states[0]["ids"] != given.ids.tolist():
        return {}
    before = checkpoint["cocoa_pl"]["config"]
    looks = {name: Look.unpack(packed) for name, packed in states[0]["looks"].items()}
    shape = tuple(given.explicands.shape)
    same = [all(t in look.attributions and len(look.attributions[t]) == shape[0] for t in traces) for look in looks.values()]
    if not all(same) or any(before["explain"].get(key) != value for key, value in now["explain"].items() if key not in _NO_PART_OF_MAPS):
        return {}  # other masks or steps: what differs would be their noise, not the encoder
    explained = states[0]["epochs"][-1] == checkpoint["epoch"] + 1
    if explained:
        return looks
    return {
        name: looks[stored] for name, stored in (("start", "start"), ("previous", "current"), ("reference", "reference")) if stored in looks
    }


def _quiet() -> None:
    """Leave out Lightning's hints about options that are not ours, and deprecations between libraries; ours are in --help."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    for message in _HINTS:
        warnings.filterwarnings("ignore", message)
