"""Sixty epochs with explanations, or as many as COCOA_SOAK_EPOCHS says: what a process holds does not grow."""

from __future__ import annotations

import gc
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from cocoa_pl import runs
from cocoa_pl.config import Config
from cocoa_pl.runs import training

_EPOCHS = int(os.environ.get("COCOA_SOAK_EPOCHS", "60"))
_SMALL = [
    f"trainer.epochs={_EPOCHS}", "data.num_train=32", "data.num_val=8", "data.num_bank=16", "model.width=8", "explain.num_explicands=1",
    "explain.views=[original]", "explain.attributions=[rise]", "explain.num_masks=4", "explain.foil_size=4", "explain.curve_steps=2",
    "explain.num_pairs=0", "explain.num_gallery=0", "explain.num_strips=1",
]  # fmt: skip


class Watch(Callback):
    """What the process holds at the end of each epoch: resident megabytes, open files, threads, objects."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, int, int, int]] = []

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        megabytes = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        objects = gc.get_freeze_count() + len(gc.get_objects())
        self.seen.append((megabytes, len(os.listdir("/proc/self/fd")), threading.active_count(), objects))


@pytest.mark.slow
@pytest.mark.usefixtures("objects_set_aside")
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_many_epochs_hold_no_more_than_20(
    tmp_path: Path, smoke_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    watch, build = Watch(), training.build_trainer

    def watched(*given: Any) -> Any:
        trainer, logger = build(*given)
        trainer.callbacks.append(watch)  # type: ignore[attr-defined]
        return trainer, logger

    monkeypatch.setattr(training, "build_trainer", watched)
    runs.train(smoke_config(tmp_path, *_SMALL))
    megabytes, files, threads, objects = held = np.array(watch.seen).T
    assert len(megabytes) == _EPOCHS
    for n in (1, 20, 40, _EPOCHS):
        print(f"epoch {n}:", *(f"{each[n - 1]:.0f} {what}" for each, what in zip(held, ("MB", "files", "threads", "objects"), strict=True)))
    assert files[-20:].min() <= files[:20].max()  # the least of some: a log may be open as one is counted
    assert threads[-20:].min() <= threads[:20].max()
    # the curves that are drawn and the film strip, of one more column an epoch, are what may grow
    assert megabytes[-20:].mean() - megabytes[20:40].mean() < 0.25 * (_EPOCHS - 40)
    assert objects[-20:].mean() - objects[20:40].mean() < 160 * (_EPOCHS - 40)
