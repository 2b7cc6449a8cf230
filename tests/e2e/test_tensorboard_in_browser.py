"""TensorBoard on a run, in headless Chromium, as a person opens it: the pages show what the README promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.browser
PAGES = ("Learning", "Explanations", "Drift", "Augmentations", "Localisation", "Cost")


@pytest.fixture(scope="module")
def address(smoke_run: Path, serve_tensorboard: Callable[[Path], str]) -> str:
    return serve_tensorboard(smoke_run / "tensorboard")


def test_the_images_page_shows_sheets_and_film_strips(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#images")
    widths = chromium.wait_for(lambda: (found := chromium.pictures()) and all(found) and found)
    assert min(widths) >= 300
    chromium.wait_for(lambda: all(word in chromium.text() for word in ("rise/sheet", "film/0")))


def test_the_scalars_page_shows_learning_and_explanation(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#scalars")
    chromium.wait_for(lambda: all(word in chromium.text() for word in ("explain", "val", "train")))
    assert not chromium.errors(address)


def test_the_custom_scalars_page_has_the_named_pages(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#custom_scalars")
    shown = (*PAGES, "explain/rise/gap")  # the charts of an open page come after the names of all
    chromium.wait_for(lambda: all(word in chromium.text() for word in shown))
    assert not chromium.errors(address)


def test_the_text_page_says_how_to_read_and_what_came_of_it(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#text")
    chromium.wait_for(lambda: all(word in chromium.text() for word in ("How to read this run", "Hoeffding", "settled")))
    assert not chromium.errors(address)


@pytest.mark.parametrize(("page", "words"), [("projector", "validation"), ("hparams", "optim.lr")])
def test_points_and_options(address: str, chromium: Any, page: str, words: str) -> None:
    chromium.open(f"{address}/#{page}")
    chromium.wait_for(lambda: words in chromium.text())
    assert not chromium.errors(address)
