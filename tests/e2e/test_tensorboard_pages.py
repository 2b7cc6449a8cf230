"""The pages that a board lays out, in TensorBoard in a browser: everything is there, is named, and loads."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger

from cocoa_pl.callbacks.boards import Logged, boards_of, guide
from cocoa_pl.callbacks.boards.layout import Page, pages

pytestmark = pytest.mark.browser

METHODS = ["rise", "integrated_gradients"]
VIEWS = ["original", "flip", "crop", "crop_flip", "grayscale", "jitter", "erase", "rotate90"]
COMPONENTS = ["colour", "texture", "shape"]
LOGGED = Logged([*METHODS, *(f"{method}-class" for method in METHODS)], VIEWS, COMPONENTS, labelled=True, masks=True, patch=True)
NUM_EPOCHS, NUM_POINTS = 12, 90


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory, serve_tensorboard: Callable[[Path], str]) -> str:
    """TensorBoard on a run of made-up numbers and pictures."""
    root = tmp_path_factory.mktemp("logs")
    logger = TensorBoardLogger(root, name="made_up", version="", default_hp_metric=False)
    (board,) = boards_of([logger])
    board.layout(LOGGED)
    board.hparams({"run.seed": 0, "model.backbone": "small_resnet", "model.compile": False}, ["val/knn", "explain/rise/gap"])
    facts = ["The foil holds 256 pictures.", "Two looks at the same encoder differ by .04: read no drift below it."]
    board.text("explain/guide", guide(LOGGED, seen=["crop", "grayscale", "jitter"], facts=facts), step=0)
    for epoch in range(NUM_EPOCHS + 1):
        logger.log_metrics(made_up(pages(LOGGED), epoch), step=epoch)
        board.images({f"explain/{trace}/sheet": png(epoch) for trace in LOGGED.traces}, step=epoch)
    reps = torch.randn(NUM_POINTS, 16, generator=torch.Generator().manual_seed(0))
    thumbnails = torch.arange(NUM_POINTS, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 32, 32) * 2
    for epoch in (0, NUM_EPOCHS):
        labels = [f"class {index % 10}" for index in range(NUM_POINTS)]
        board.embedding("explain/reps", reps, thumbnails=thumbnails, labels=labels, step=epoch)
    board.flush()
    return serve_tensorboard(root)


def test_custom_scalars_have_our_pages_and_charts(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#custom_scalars")
    shown = [page.title for page in pages(LOGGED)] + [chart.title for chart in pages(LOGGED)[0].charts]
    text = chromium.wait_for(lambda: (found := chromium.text()) and all(title in found for title in shown) and found)
    chart = "Since the untrained encoder, less noise"
    assert chart not in text
    assert chromium.click("Drift")  # closed until one clicks on it
    chromium.wait_for(lambda: chart in chromium.text())
    assert not chromium.errors(address)


def test_the_guide_is_a_page_of_tables(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#text")
    shown = ("How to read this run", "The foil holds 256 pictures.", "RISE towards the class")
    text = chromium.wait_for(lambda: (found := chromium.text()) and all(words in found for words in shown) and found)
    assert "---" not in text
    assert not chromium.errors(address)


def test_images_load(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#images")
    widths = chromium.wait_for(lambda: (found := chromium.pictures()) and all(found) and found)
    assert widths == [96] * len(widths)
    chromium.wait_for(lambda: "rise/sheet" in chromium.text())
    assert not chromium.errors(address)


def test_the_projector_shows_the_points_of_the_last_epoch(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#projector")
    shown = (f"Points: {NUM_POINTS}", f"explain/reps, epoch {NUM_EPOCHS}")
    text = chromium.wait_for(lambda: (found := chromium.text()) and all(words in found for words in shown) and found)
    assert "explain/reps, epoch 0" not in text
    assert not chromium.errors(address)


def test_hparams_show_the_last_value_of_our_scalars(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#hparams")
    last = made_up(pages(LOGGED), NUM_EPOCHS)["val/knn"]
    chromium.wait_for(lambda: all(words in chromium.text() for words in (f"{last:.5g}", "small_resnet")))
    assert not chromium.errors(address)


def made_up(shown: list[Page], epoch: int) -> dict[str, float]:
    """A value for every tag, different for each, that saturates over epochs."""
    tags = sorted({tag for page in shown for chart in page.charts for tag in chart.tags})
    rise = 1 - math.exp(-epoch / 4)
    middle = {tag: (0.3 + 0.5 * (index * 37 % 100) / 100) * rise + 0.02 * math.sin(epoch + index) for index, tag in enumerate(tags)}
    shift = {"_low": -0.06, "_high": 0.06}
    return {
        tag: next((middle[tag.removesuffix(end)] + by for end, by in shift.items() if tag.endswith(end)), value)
        for tag, value in middle.items()
    }


def png(epoch: int) -> bytes:
    """A PNG of 96 x 64 pixels."""
    buffer = io.BytesIO()
    Image.new("RGB", (96, 64), (200, 20 * epoch, 90)).save(buffer, format="PNG")
    return buffer.getvalue()
