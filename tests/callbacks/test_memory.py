"""Many looks in a row leave nothing behind: no memory, tensors, hooks, threads or open files."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import TensorBoardLogger

from cocoa_pl import IntegratedGradients, Rise

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning"),
    pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning"),
]

Make = Callable[..., Any]
WARM_UP, LOOKS = 8, 50
MIB = 2**20


class Census(pl.Callback):
    """Counts after every look; tensors by kind, so that a failure tells which."""

    def __init__(self) -> None:
        self.tensors, self.bytes, self.hooks = list[int](), list[int](), list[int]()
        self.threads, self.files, self.blocks, self.resident = list[int](), list[int](), list[int](), list[int]()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        gc.collect()
        found = [each for each in gc.get_objects() if issubclass(type(each), torch.Tensor)]  # isinstance asks lazy modules, too
        self.tensors.append(len(found))
        self.bytes.append(sum(each.numel() * each.element_size() for each in found))
        self.hooks.append(sum(len(value) for part in pl_module.modules() for name, value in vars(part).items() if name.endswith("_hooks")))
        self.threads.append(threading.active_count())
        self.files.append(len(os.listdir("/proc/self/fd")))
        self.blocks.append(sys.getallocatedblocks())
        self.resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))


@pytest.mark.slow
@pytest.mark.usefixtures("objects_set_aside")
@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts open files and resident memory as Linux tells them")
def test_fifty_looks_leave_nothing_behind(tmp_path: Path, own_module: Make, loader: Make, quick_watch: Make, quick_trainer: Make) -> None:
    methods = {"rise": Rise(num_masks=16, grid_size=4), "integrated_gradients": IntegratedGradients(num_steps=3)}
    callback, census = quick_watch(attributions=methods, folder=tmp_path / "heatmaps", num_strips=1), Census()
    logger = TensorBoardLogger(tmp_path, name="", version="")
    trainer = quick_trainer(callback, census, max_epochs=WARM_UP + LOOKS, logger=logger)
    trainer.fit(own_module(), loader(32), loader(16, seed=1))
    assert len(callback.epochs) == WARM_UP + LOOKS + 1
    for name in ("tensors", "bytes", "hooks", "threads", "files"):
        counts = getattr(census, name)[WARM_UP:]
        assert min(counts[-5:]) <= counts[0], f"{name}: {counts}"  # a log file may be open as one is counted
    assert census.blocks[-1] - census.blocks[WARM_UP] < 200 * LOOKS  # the run's history: some numbers a look
    assert census.resident[-1] - census.resident[WARM_UP] < 8 * MIB  # pages that the allocator keeps for later
