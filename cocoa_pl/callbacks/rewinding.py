"""A run's logs without what was written after the checkpoint from which it goes on, so that no point shows twice.

TensorBoard's own ``purge_step`` knows one axis of steps; a run has two, epochs and optimisation steps.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytorch_lightning as pl
from google.protobuf.message import DecodeError
from pytorch_lightning.callbacks import Callback
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import masked_crc32c

from cocoa_pl.callbacks.csv_logger import BY_STEP, CsvLogger
from cocoa_pl.files import part_of

_HEAD, _FOOT = 12, 4  # bytes: length and its checksum before a record, the record's checksum after it


class Rewind(Callback):
    """Takes the logs back to a checkpoint once its state has been restored: one that does not fit the run costs nothing.

    Args:
        folder: of the run.
        epoch: epochs that the checkpoint has completed.
        step: its optimisation steps.
        later: checkpoints of the way that is left, which are set aside, or the next to go on would take the furthest of them.
    """

    def __init__(self, folder: Path, *, epoch: int, step: int, later: Sequence[Path] = ()) -> None:
        self.folder, self.epoch, self.step, self.later = folder, epoch, step, later
        self._events = event_files(folder / "tensorboard")  # now, for the loggers open one of their own

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        trainer.ckpt_path = None  # Lightning would keep that file for ever, though it may be the best of a run that finds a better one
        if trainer.is_global_zero:
            CsvLogger(self.folder / "metrics.csv").keep_before(epoch=self.epoch, step=self.step)
            rewind_events(self._events, epoch=self.epoch, step=self.step)
            for path in self.later:
                path.replace(path.with_name(f"{path.name}.abandoned"))


def event_files(folder: Path) -> list[Path]:
    """TensorBoard's files in a folder, oldest first."""
    return sorted(folder.glob("events.out.tfevents.*"))


def rewind_events(files: Sequence[Path], *, epoch: int, step: int) -> None:
    """Drop the events after ``epoch`` epochs and optimisation ``step``, and a record that a killed process left half-written.

    Raises:
        OutputError: a file cannot be written anew; it stays as it was.
    """
    for path in files:
        kept = sum(len(record) for record in _records(path) if _is_before(record, epoch=epoch, step=step))
        if kept == path.stat().st_size:
            continue
        with part_of(path) as part:
            for record in _records(path):
                if _is_before(record, epoch=epoch, step=step):
                    part.write(record)


def _records(path: Path) -> Iterator[bytes]:
    """The whole records of an event file, with head and foot."""
    with path.open("rb") as file:
        while len(head := file.read(_HEAD)) == _HEAD:
            length, crc = struct.unpack("<QI", head)
            if masked_crc32c(head[:8]) != crc:  # whatever follows is no record
                return
            rest = file.read(length + _FOOT)
            if len(rest) < length + _FOOT:
                return
            yield head + rest


def _is_before(record: bytes, *, epoch: int, step: int) -> bool:
    try:
        event = Event.FromString(record[_HEAD:-_FOOT])
    except DecodeError:
        return False
    if epoch == 0 and any(value.HasField("image") for value in event.summary.value):
        return False  # the first trained look draws the untrained one on its own scale of colours
    tags = {value.tag for value in event.summary.value}
    if "epoch" in tags:  # Lightning's own, on both axes: its value tells
        return all(value.simple_value < epoch for value in event.summary.value) and event.step <= max(step, epoch)
    return bool(event.step < step if tags & set(BY_STEP) else event.step <= epoch)
