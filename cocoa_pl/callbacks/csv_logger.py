"""Every number of a run in one CSV file, appended as it comes."""

from __future__ import annotations

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

_HEADER = ["step", "metric", "value"]


class CsvLogger(Logger):
    """Long format, ``step,metric,value``: new metrics need no new column, and a killed run keeps all that it wrote.

    The step is what TensorBoard shows: the epoch for values of an epoch, the optimisation step for ``train/loss_step`` and ``train/lr``.
    A wide table is ``pandas.read_csv(path).pivot_table(index="step", columns="metric", values="value")``.

    Args:
        path: the file. Where it exists, rows are appended.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path

    @property
    def name(self) -> str:
        return "csv"

    @property
    def version(self) -> str:
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """The run's ``config.yaml`` holds them."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        fresh = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.writer(file)
            if fresh:
                writer.writerow(_HEADER)
            writer.writerows([step, name, repr(float(value))] for name, value in metrics.items() if name != "epoch")

    @rank_zero_only
    def keep_before(self, *, epoch: int, step: int) -> None:
        """Drop what a killed run wrote after the checkpoint from which it is now resumed, at ``epoch`` and optimisation ``step``."""
        if not self.path.exists():
            return
        with self.path.open(newline="") as file:
            rows = list(csv.reader(file))[1:]
        by_step = ("train/loss_step", "train/lr")
        kept = [row for row in rows if len(row) == 3 and int(row[0]) <= (step if row[1] in by_step else epoch)]
        with self.path.open("w", newline="") as file:
            csv.writer(file).writerows([_HEADER, *kept])
