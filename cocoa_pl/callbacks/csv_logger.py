"""Every number of a run in one CSV file, appended as it comes."""

from __future__ import annotations

import csv
import io
from argparse import Namespace
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers.logger import Logger
from pytorch_lightning.utilities import rank_zero_only

from cocoa_pl.files import write_bytes

_HEADER = ["step", "metric", "value"]
BY_STEP = ("train/loss_step", "train/lr")
"""Metrics whose step is the optimisation's; that of all others is the epoch."""


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
        """Drop what a killed run wrote after the checkpoint from which it is now resumed, at ``epoch`` and optimisation ``step``.

        Raises:
            OutputError: the file cannot be written anew; it stays as it was.
        """
        if not self.path.exists():
            return
        ends = dict.fromkeys(BY_STEP, step - 1)  # steps are counted from 0: with five done, the next is number 5
        kept = [row for row in read_rows(self.path) if int(row[0]) <= ends.get(row[1], epoch)]
        text = io.StringIO(newline="")
        csv.writer(text).writerows([_HEADER, *kept])
        write_bytes(self.path, text.getvalue().encode())


def read_rows(path: Path) -> list[list[str]]:
    """The rows of a file of numbers, step, metric and value; what a killed process has left half-written is left out."""
    text = path.read_text(encoding="utf-8", errors="replace")
    whole = text[: text.rfind("\n") + 1].splitlines()[1:]
    return [row for row in csv.reader(whole) if len(row) == len(_HEADER) and row[0].isdecimal()]
