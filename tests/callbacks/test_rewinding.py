"""A run's logs, taken back to a checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from cocoa_pl.callbacks.csv_logger import CsvLogger
from cocoa_pl.callbacks.rewinding import event_files, rewind_events
from cocoa_pl.errors import OutputError


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """Two epochs of five steps, and three steps of a third."""
    with SummaryWriter(str(tmp_path)) as writer:  # type: ignore[no-untyped-call]
        for step in range(13):
            writer.add_scalar("train/lr", step, step)  # type: ignore[no-untyped-call]
            if step % 5 == 4:
                writer.add_scalar("val/knn", step, (step + 1) // 5)  # type: ignore[no-untyped-call]
    return tmp_path


def steps(folder: Path) -> dict[str, list[int]]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return {tag: [event.step for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}


def test_events_after_the_checkpoint_go_each_on_its_own_axis(events: Path) -> None:
    rewind_events(event_files(events), epoch=1, step=7)
    assert steps(events) == {"train/lr": list(range(7)), "val/knn": [1]}
    assert len(list(events.iterdir())) == 1


def test_a_file_with_nothing_to_drop_is_left_alone(events: Path) -> None:
    (path,) = event_files(events)
    before = path.stat().st_ino
    rewind_events([path], epoch=2, step=13)
    assert path.stat().st_ino == before


def test_a_record_that_is_half_written_or_garbage_goes(events: Path) -> None:
    (path,) = event_files(events)
    whole = path.read_bytes()
    for tail in (whole[-20:], b"\0" * 50, b"x"):
        path.write_bytes(whole + tail)
        rewind_events([path], epoch=2, step=13)
        assert path.read_bytes() == whole
    path.write_bytes(whole[:-3])
    rewind_events([path], epoch=2, step=13)
    assert steps(events)["train/lr"] == list(range(12))


def test_rows_after_the_checkpoint_and_half_rows_go(tmp_path: Path) -> None:
    logger = CsvLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"val/knn": 0.5}, step=1)
    whole = (tmp_path / "metrics.csv").read_bytes()
    logger.log_metrics({"val/knn": 0.5}, step=2)
    with (tmp_path / "metrics.csv").open("ab") as file:
        file.write(b"7,train/lr,0.1\r\n,,\r\nx,train/lr,1\r\n1,explain/rise/gap,0.\xc3")
    logger.keep_before(epoch=1, step=5)
    assert (tmp_path / "metrics.csv").read_bytes() == whole


def test_rows_that_cannot_be_written_anew_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = CsvLogger(tmp_path / "metrics.csv")
    logger.log_metrics({"val/knn": 0.5}, step=2)
    before = logger.path.read_bytes()

    def full(self: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OutputError, match=r"metrics\.csv: cannot be written \(No space left on device\)"):
        logger.keep_before(epoch=1, step=5)
    assert logger.path.read_bytes() == before
