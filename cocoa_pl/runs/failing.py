"""What ends a training run from outside, in a line that says how to go on."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from cocoa_pl.callbacks.heartbeat import peer_failure
from cocoa_pl.config import Config
from cocoa_pl.errors import CocoaError, ConfigError, DataError, OutputError, PeerError, choices_hint

_OF_THE_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
_DEAD_WORKER = re.compile(r"DataLoader worker \(pid\(?s?\)? ([\d, ]+)\) (?:is killed by signal: ([^.]+)|exited unexpectedly)")
_IN_WORKER = re.compile(r"Caught (\w+) in (?:DataLoader worker process|pin memory thread)")


@contextmanager
def training_errors(config: Config, trainer: pl.Trainer, folder: Path) -> Iterator[None]:
    """Turn what ends training from outside into one line.

    Raises:
        CocoaError: a metric that is not there, a full disk, a dead loader process, a lost peer.
    """
    try:
        yield
    except Exception as error:
        told = _told(error, config, trainer, f"to go on: python train.py --resume {folder}", folder)
        if told is None:
            raise
        raise told from error


def _told(error: Exception, config: Config, trainer: pl.Trainer, advice: str, folder: Path) -> CocoaError | None:
    worker = _of_a_worker(error, config.data.num_workers, advice)
    if worker is not None:
        return worker
    if isinstance(error, PeerError):
        return PeerError(f"{error}; {advice}")
    if isinstance(error, CocoaError):
        return OutputError(f"{error}; once there is room, {advice}") if isinstance(error, OutputError) else None
    full = next((one for one in _chain(error) if isinstance(one, OSError) and one.errno in _OF_THE_DISK), None)
    if full is not None:
        where = full.filename or folder
        return OutputError(f"{where}: cannot be written ({full.strerror}); once there is room, {advice}")
    return _of_a_metric(error, config, trainer) or peer_failure(error, trainer)


def _of_a_worker(error: Exception, num_workers: int, advice: str) -> CocoaError | None:
    """A process of a loader that was killed, or that raised, in which case torch tells its traceback as the message."""
    text = str(error)
    dead = _DEAD_WORKER.search(text)
    if dead is not None:
        why = f"was killed (signal: {dead[2]})" if dead[2] else "ended unexpectedly"
        memory = f", most likely for want of memory: take fewer than data.num_workers={num_workers}" if dead[2] != "Terminated" else ""
        return DataError(f"a loader process (pid {dead[1]}) {why}{memory}; {advice}")
    raised = _IN_WORKER.match(text)
    if raised is None:
        return None
    last = text.strip().splitlines()[-1]
    if isinstance(error, CocoaError):
        return type(error)(last.partition(": ")[2] or last)
    if raised[1] == "MemoryError":
        last = f"out of memory; take fewer than data.num_workers={num_workers}"
    return DataError(f"a loader process failed: {last}; {advice}")


def _of_a_metric(error: Exception, config: Config, trainer: pl.Trainer) -> ConfigError | None:
    """A metric by which to choose or stop that nobody logs."""
    text = str(error)
    if isinstance(error, MisconfigurationException) and "ModelCheckpoint(monitor=" in text:
        option, wanted = "checkpoint.monitor", config.checkpoint.monitor or ""
    elif isinstance(error, RuntimeError) and "Early stopping conditioned on metric" in text:
        option, wanted = "trainer.stop_monitor", config.trainer.stop_monitor or ""
    else:
        return None
    known = [name for name in trainer.callback_metrics if name.startswith(("val/", "explain/", "train/"))]
    return ConfigError(f"{option}={wanted}: no such metric; {choices_hint(wanted, known)}")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error and those that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
