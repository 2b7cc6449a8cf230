"""Where pictures, texts, pages of charts, representations and options of a run go, beside its scalars."""

from __future__ import annotations

from collections.abc import Sequence

from pytorch_lightning.loggers import Logger, TensorBoardLogger, WandbLogger

from cocoa_pl.callbacks.boards.base import Board, flat_options, plain_markdown
from cocoa_pl.callbacks.boards.guide import guide
from cocoa_pl.callbacks.boards.layout import Logged
from cocoa_pl.callbacks.boards.tensorboard import TensorBoardBoard
from cocoa_pl.callbacks.boards.wandb import WandbBoard

__all__ = ["Board", "Logged", "boards_of", "flat_options", "guide", "plain_markdown"]


def boards_of(loggers: Sequence[Logger]) -> list[Board]:
    """The boards of those loggers that can show more than numbers; to be written to by the process of rank 0 only.

    Args:
        loggers: a trainer's loggers. ``TensorBoardLogger`` and ``WandbLogger`` have a board; any other has none.

    Example:
        >>> from pathlib import Path
        >>> from cocoa_pl.callbacks.csv_logger import CsvLogger
        >>> boards_of([CsvLogger(Path("metrics.csv"))])
        []
    """
    boards: list[Board] = []
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            boards.append(TensorBoardBoard(logger))
        elif isinstance(logger, WandbLogger):
            boards.append(WandbBoard(logger))
    return boards
