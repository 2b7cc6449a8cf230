"""Train a run, from its options to its last checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.utilities import rank_zero_only
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.build import (
    build_datamodule,
    build_module,
    build_splits,
    build_trainer,
    resolve_precision,
)
from cocoa_pl.callbacks.checkpointing import Stopped
from cocoa_pl.config import Config, to_dict, to_yaml
from cocoa_pl.errors import CheckpointError, ConfigError, choices_hint
from cocoa_pl.files import require_folder, write_bytes
from cocoa_pl.models.backbones import check_wide_images
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs.quiet import quiet

_FREE_ON_RESUME = (
    "run.root", "run.name", "data.root", "data.num_workers", "data.download", "checkpoint.", "trainer.epochs", "trainer.accelerator",
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.progress_bar", "model.compile", "explain.num_strips",
    "explain.num_gallery", "run.logger",
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
    quiet()
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
