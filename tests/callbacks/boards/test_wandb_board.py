"""The board of Weights & Biases, offline, read back from its folder."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import WandbLogger

from cocoa_pl.callbacks.boards import Logged, boards_of

pytest.importorskip("wandb")
pytestmark = pytest.mark.slow


@pytest.fixture
def logger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WandbLogger]:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    made = WandbLogger(save_dir=tmp_path, project="boards", offline=True)
    yield made
    made.experiment.finish()


def test_all_that_is_shown_is_kept_over_epochs(logger: WandbLogger, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    reps = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))

    (board,) = boards_of([logger])
    board.hparams({"run.seed": 7, "model.ema_decay": "null"}, ["val/knn"])
    board.layout(Logged(["rise"], ["original"]))
    board.text("explain/guide", "# Title\n\n| a |\n| --- |\n| cell |\n", step=0)
    for epoch in (0, 1):
        logger.log_metrics({"train/loss_step": 1.0}, step=100 * (epoch + 1))
        board.images({"explain/rise/sheet": buffer.getvalue()}, step=epoch)
    board.embedding("explain/reps", reps, thumbnails=torch.zeros(6, 3, 8, 8, dtype=torch.uint8), labels=list("abcdef"), step=1)
    board.flush()
    run = logger.experiment
    assert run.config["run.seed"] == 7
    assert run.config["model.ema_decay"] == "null"
    assert run.summary["explain/epoch"] == 1
    run.finish()

    (media,) = tmp_path.glob("wandb/offline-run-*/files/media")
    sheets = list(media.glob("images/explain/rise/sheet_*.png"))
    assert len(sheets) == 2
    with Image.open(sheets[0]) as sheet:
        np.testing.assert_array_equal(sheet, pixels)
    (page,) = media.glob("html/explain/guide_*.html")
    assert "<td>cell</td>" in page.read_text()
    (table,) = (json.loads(path.read_text()) for path in media.glob("table/explain/reps_*.table.json"))
    assert table["columns"] == ["picture", "label", "component 1", "component 2", "component 3", "component 4"]
    points = torch.tensor([row[2:] for row in table["data"]])
    torch.testing.assert_close(torch.cdist(points, points), torch.cdist(reps, reps), atol=1e-4, rtol=1e-4)
