"""The board of Weights & Biases: images, text, a table of representations, the config."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger
from torch import Tensor

from cocoa_pl.callbacks.boards.base import Option
from cocoa_pl.callbacks.boards.layout import Logged
from cocoa_pl.optional import require
from cocoa_pl.report.portable import portable_values

EPOCH = "explain/epoch"
"""The horizontal axis of what a board shows."""
_NUM_COMPONENTS = 32


class WandbBoard:
    """Writes into the run of a Lightning logger.

    W&B's own step counts calls and only rises, so what is shown is drawn over ``explain/epoch`` instead. Each tag is given this axis by
    name: a rule for all of ``explain/*`` would take scalars too, which Lightning logs over an axis of its own, and leave them without one.

    Args:
        logger: the run's logger; the run is begun at the first use.
    """

    def __init__(self, logger: WandbLogger) -> None:
        self.logger = logger
        self._defined: set[str] = set()

    def images(self, pictures: Mapping[str, bytes], *, step: int) -> None:
        """Show PNGs."""
        self._log({tag: self._wandb.Image(Image.open(io.BytesIO(png))) for tag, png in pictures.items()}, step)

    def text(self, tag: str, markdown: str, *, step: int) -> None:
        """Show a text as HTML, as W&B's own panels of Markdown belong to a workspace and not to a run."""
        render = require("markdown", package="markdown", what="texts in Weights & Biases need").markdown
        self._log({tag: self._wandb.Html(render(markdown, extensions=["tables"]))}, step)

    def layout(self, logged: Logged) -> None:
        """Nothing: in W&B people lay out a workspace by hand, and it is kept with the project, not with a run."""

    def embedding(self, tag: str, reps: Tensor, *, thumbnails: Tensor, labels: Sequence[str], step: int) -> None:
        """Show a table, a row for each point, from which W&B's "2D projection" panel draws the cloud.

        The representations are turned onto their 32 principal components at most: distances stay almost as they are, and the table small.
        """
        centred = reps.float() - reps.float().mean(0)
        _, _, axes = torch.linalg.svd(centred, full_matrices=False)
        points = (centred @ axes[:_NUM_COMPONENTS].T).tolist()
        pictures = [self._wandb.Image(Image.fromarray(picture.permute(1, 2, 0).cpu().numpy())) for picture in thumbnails]
        rows = [[picture, label, *point] for picture, label, point in zip(pictures, labels, points, strict=True)]
        columns = ["picture", "label", *(f"component {number}" for number in range(1, len(points[0]) + 1))]
        self._log({tag: self._wandb.Table(columns=columns, data=rows)}, step)

    def hparams(self, options: Mapping[str, Option], metrics: Collection[str]) -> None:
        """Add to the run's config; W&B shows the last value of every scalar beside it without being told which.

        It is sent to a server, and so says nothing of where files lie.
        """
        self._run.config.update(portable_values(dict(options)), allow_val_change=True)

    def flush(self) -> None:
        """Nothing: W&B's own process keeps what it was given."""

    @property
    def _wandb(self) -> Any:
        return require("wandb", package="wandb", what="logging to Weights & Biases needs")

    @property
    def _run(self) -> Any:
        return self.logger.experiment

    def _log(self, shown: Mapping[str, Any], step: int) -> None:
        if not self._defined:
            self._run.define_metric(EPOCH, hidden=True)
        for tag in shown.keys() - self._defined:
            self._run.define_metric(tag, step_metric=EPOCH)
            self._defined.add(tag)
        self._run.log({**shown, EPOCH: step})
