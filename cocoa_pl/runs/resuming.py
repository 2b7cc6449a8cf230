"""Where a run goes on: the newest checkpoint that is whole, or its beginning."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.callbacks.csv_logger import BY_STEP, read_rows
from cocoa_pl.config import read_yaml
from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.files import remove_parts
from cocoa_pl.models.checkpoint import check_archive, read_checkpoint

_FREE = (
    "run.root", "run.name", "data.root", "data.num_workers", "data.download", "checkpoint.", "trainer.epochs", "trainer.accelerator",
    "trainer.devices", "trainer.num_nodes", "trainer.strategy", "trainer.progress_bar", "model.compile", "explain.num_strips",
    "explain.num_gallery", "run.logger",
    "optim.clip_grad_norm",  # changes the steps to come, on purpose: the way on from a loss that is not finite
)  # fmt: skip
_LOGS = ("tensorboard", "heatmaps")


@dataclass(frozen=True)
class Origin:
    """Where a run goes on.

    Attributes:
        folder: of the run.
        path: the checkpoint; None where the run was ended before it wrote one.
        checkpoint: what is in it.
        config: the options that the run had, as far as they are known.
    """

    folder: Path
    path: Path | None
    checkpoint: Mapping[str, Any] | None
    config: Mapping[str, Any]

    @property
    def place(self) -> tuple[int, int]:
        """Epochs completed and optimisation steps done."""
        return (0, 0) if self.checkpoint is None else _place(self.checkpoint)


def origin_of(resume: Path, *, tell: bool = True) -> Origin:
    """Where to go on, of a checkpoint: exactly there; of a run's folder: at the newest of its checkpoints that is whole, if it has any.

    Args:
        resume: a checkpoint, or the folder of a run, which may not be there yet.
        tell: say what is wrong with the others, and with the folder; for the process that writes.

    Raises:
        CheckpointError: the checkpoint, or every one of the folder, is damaged; or they are gone.
    """
    path = resume if resume.is_file() else _newest(resume, tell=tell)
    folder = resume.parent if resume.is_file() else resume
    if path is not None:
        checkpoint = read_checkpoint(path)
        try:
            _place(checkpoint)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"{path}: does not say how far training had come; nothing can go on from it") from error
        return Origin(folder, path, checkpoint, checkpoint["cocoa_pl"]["config"])
    epochs = _epochs_logged(folder)
    if epochs > 1:
        raise CheckpointError(f"{folder}: has logged {epochs} epochs, but holds no checkpoint any more; begin anew under another run.name")
    stored = folder / "config.yaml"
    if tell and not stored.is_file() and folder.is_dir() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: is no run, and not empty; choose another run.name")
    return Origin(folder, None, None, read_yaml(stored) if stored.is_file() else {})


def clear(origin: Origin) -> None:
    """Remove what a killed process left half-written, and of a run that begins again all that it has logged."""
    for folder in (origin.folder, *(origin.folder / name for name in _LOGS)):
        remove_parts(folder)
    if origin.path is None:
        (origin.folder / "metrics.csv").unlink(missing_ok=True)
        for name in _LOGS:
            shutil.rmtree(origin.folder / name, ignore_errors=True)


def later_than(origin: Origin) -> list[Path]:
    """The checkpoints of the folder that have come further than where the run goes on: of a way that is left."""
    later = []
    for path in origin.folder.glob("*.ckpt"):
        try:
            if path.is_file() and path != origin.path and _place(_head(path)) > origin.place:
                later.append(path)
        except Exception:  # damaged: nobody will take it for one to go on from
            continue
    return later


def refuse_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """A resumed run is the same run: what would change its numbers may not differ.

    Raises:
        ConfigError: the first option that differs, with both values.
    """
    then = dict(_flat(before))
    for key, value in _flat(now):
        if not key.startswith(_FREE) and key in then and then[key] != value:
            raise ConfigError(f"{key}={value}: the run to resume has {then[key]}; leave it out, or start a new run")


def _newest(folder: Path, *, tell: bool) -> Path | None:
    """The checkpoint of a folder that has come furthest and is whole; None where there is none at all.

    Raises:
        CheckpointError: there are some, and all are damaged.
    """
    places: dict[Path, tuple[int, int]] = {}
    damaged: list[str] = []
    for path in sorted(folder.glob("*.ckpt"), key=lambda path: path.name != "last.ckpt"):
        try:
            places[path] = _place(_head(path))
        except Exception as error:  # whatever a damaged pickle brings about
            damaged.append(_why(path) or f"{path}: damaged ({type(error).__name__})")
    for path in sorted(places, key=lambda path: places[path], reverse=True):  # of several at one place last.ckpt, which knows the best
        why = _why(path)
        if why is None:
            if damaged and tell:
                epoch, step = places[path]
                warnings.warn(f"{'; '.join(damaged)}; going on from {path.name} (epochs done: {epoch}, steps: {step})", stacklevel=2)
            return path
        damaged.append(why)
    if damaged:
        raise CheckpointError(
            f"{folder}: none of its {len(damaged)} checkpoints is whole ({damaged[0]}); begin anew under another run.name"
        )
    return None


def _head(path: Path) -> Mapping[str, Any]:
    """A checkpoint whose weights are not read."""
    if not path.is_file():  # opening a pipe waits for whoever writes into it
        raise CheckpointError(f"{path}: not a file")
    check_archive(path)
    head: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    return head


def _why(path: Path) -> str | None:
    """What is wrong with a checkpoint."""
    try:
        read_checkpoint(path)
    except CheckpointError as error:
        return str(error)
    return None


def _place(checkpoint: Mapping[str, Any]) -> tuple[int, int]:
    """Epochs completed and steps done; ``checkpoint["epoch"]`` would be that under way, ended or not."""
    epoch = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return int(epoch), int(checkpoint["global_step"])


def _epochs_logged(folder: Path) -> int:
    try:
        return max((int(row[0]) for row in read_rows(folder / "metrics.csv") if row[1] not in BY_STEP), default=0)
    except FileNotFoundError:  # none yet, or just cleared away by the first process
        return 0


def _flat(section: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
