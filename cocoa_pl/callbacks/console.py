"""What the terminal shows: one progress bar, and a short summary at the end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback, TQDMProgressBar

_SHOWN = {
    "train/loss_epoch": "loss",
    "val/knn": "kNN",
}


class RunProgressBar(TQDMProgressBar):
    """Loss, kNN accuracy, a gap and the time left in the whole run.

    Args:
        gap: name of the gap that is shown.
    """

    def __init__(self, *, gap: str = "explain/rise/gap") -> None:
        super().__init__(refresh_rate=5)
        self._shown = _SHOWN | {gap: "gap"}
        self._began = time.perf_counter()
        self._first_epoch = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._began, self._first_epoch = time.perf_counter(), trainer.current_epoch

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, Any]:
        known = trainer.callback_metrics
        shown: dict[str, Any] = {label: f"{float(known[name]):.3f}" for name, label in self._shown.items() if name in known}
        batches = trainer.num_training_batches
        done = trainer.current_epoch - self._first_epoch + (trainer.fit_loop.batch_idx + 1) / batches if batches else 0.0
        left = (trainer.max_epochs or 0) - self._first_epoch - done
        if done > 0 and left >= 0:
            shown["ETA"] = duration((time.perf_counter() - self._began) / done * left)
        return shown


class Summary(Callback):
    """Says at the end what came out, where it is, and which line opens TensorBoard.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._began = time.perf_counter()

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        known = {name: float(value) for name, value in trainer.callback_metrics.items()}
        names = ("train/loss_epoch", "val/knn", "val/raw_pixel_knn", "val/linear_probe", "val/effective_rank", "val/collapse_level")
        ends = ("/two_object_accuracy", "/pointing_game")
        shown = [*names, *(name for name in sorted(known) if name.endswith(ends))]
        lines = ["", f"{self.folder.name}: {trainer.current_epoch} epochs in {duration(time.perf_counter() - self._began)}"]
        lines += [f"  {name:<52}{known[name]:8.3f}" for name in shown if name in known]
        heatmaps, pages = self.folder / "heatmaps", self.folder / "tensorboard"
        lines += [
            f"checkpoint    {self.folder / 'last.ckpt'}",
            *([f"heatmaps      {heatmaps}"] if heatmaps.is_dir() else []),
            f"explain it    python explain.py --ckpt {self.folder}",
            *([f"watch it      tensorboard --logdir {pages} --samples_per_plugin images=1000"] if pages.is_dir() else []),
        ]
        print("\n".join(lines), flush=True)


def duration(seconds: float) -> str:
    """Seconds in words.

    Example:
        >>> duration(42), duration(425), duration(7500)
        ('42s', '7m05s', '2h05m')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    return f"{whole // 60}m{whole % 60:02d}s" if whole < 3600 else f"{whole // 3600}h{whole % 3600 // 60:02d}m"
