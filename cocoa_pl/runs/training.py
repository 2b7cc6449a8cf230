"""Train a run, from its options to its last checkpoint."""

from __future__ import annotations

import signal
from pathlib import Path

import pytorch_lightning as pl
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
from cocoa_pl.callbacks.rewinding import Rewind
from cocoa_pl.callbacks.signals import requeue
from cocoa_pl.config import Config, to_dict, to_yaml
from cocoa_pl.errors import CheckpointError, ConfigError, DivergedError
from cocoa_pl.files import require_folder, write_bytes
from cocoa_pl.models.backbones import check_wide_images
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs.blaming import restoring_errors
from cocoa_pl.runs.failing import training_errors
from cocoa_pl.runs.placing import is_first
from cocoa_pl.runs.quiet import quiet
from cocoa_pl.runs.resuming import Origin, clear, later_than, origin_of, refuse_changes

_ENDED_BY_SIGNAL = 128  # a shell adds it to the number of the signal that ended a program


def train(config: Config, *, resume: Path | None = None) -> pl.Trainer:
    """Train a run, or continue one exactly.

    Args:
        config: every option.
        resume: a checkpoint, with which the run goes on in its folder; or a run's folder: goes on with the newest checkpoint that is whole,
            and begins there where there is none yet.

    Raises:
        CocoaError: data, checkpoint or folder cannot be used, and nothing was changed; or training had to stop, and is saved.
        SystemExit: a signal asked to stop, and the run is saved.
    """
    quiet()
    keep_freed_memory()
    resolve_precision(config)
    # the other processes of a distributed run write nothing, wherever they think the folder is
    writes = is_first()
    origin = origin_of(resume, tell=writes) if resume else None
    if origin is not None:
        refuse_changes(origin.config, to_dict(config))
    splits = build_splits(config)
    datamodule = build_datamodule(config, splits)
    module = build_module(config, splits, datamodule)
    if config.explain.enabled and config.explain.num_pairs:
        check_wide_images(module.backbone, image_size=splits.image_size)
    folder = origin.folder if origin else new_folder(Path(config.run.root), config.run.name) if writes else Path(config.run.root)
    if writes:
        require_folder(folder)
    try:
        trainer, _ = build_trainer(config, splits, folder)
    except (MisconfigurationException, ValueError) as error:
        raise ConfigError(f"trainer.*: {str(error).splitlines()[0]}") from error
    if origin is not None:
        _rewind(origin, trainer, writes=writes)
    if writes:
        write_bytes(folder / "config.yaml", to_yaml(config).encode())
        print(f"{folder}: {len(splits.train)} training and {len(splits.val)} validation images of {splits.name}", flush=True)
    pl.seed_everything(derive_seed(config.run.seed, "global") % 2**32, verbose=False)
    path = None if origin is None else origin.path
    try:
        with training_errors(config, trainer, folder), restoring_errors(path):
            trainer.fit(module, datamodule=datamodule, ckpt_path=path, weights_only=True)
    except DivergedError:
        if writes:
            raise
        raise SystemExit(2) from None  # all processes have met it; one says so
    except Stopped as stopped:
        if writes:
            print(f"stopped at step {trainer.global_step}; to go on: python train.py --resume {folder}", flush=True)
            if stopped.signum == signal.SIGUSR1:
                requeue()
        raise SystemExit(_ENDED_BY_SIGNAL + stopped.signum) from None
    return trainer


def _rewind(origin: Origin, trainer: pl.Trainer, *, writes: bool) -> None:
    """Take a run's folder back to where the run goes on, and say so where that is not what one expects."""
    if writes:
        if origin.path is None and origin.config:
            print(f"{origin.folder}: was ended before its first checkpoint, and begins again", flush=True)
        elif origin.place[0] == trainer.max_epochs:
            print(f"{origin.folder}: has been trained for all its {trainer.max_epochs} epochs; more: trainer.epochs", flush=True)
        clear(origin)
    if origin.path is not None:
        epoch, step = origin.place
        trainer.callbacks.insert(0, Rewind(origin.folder, epoch=epoch, step=step, later=later_than(origin)))  # type: ignore[attr-defined]


def new_folder(root: Path, name: str) -> Path:
    """<root>/<name>, or <name>-2, -3 ... where a run of that name exists: no run overwrites another."""
    for number in range(1, 10_000):
        folder = root / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return folder
    raise CheckpointError(f"{root}: 10 000 runs are called {name}; choose another run.name")
