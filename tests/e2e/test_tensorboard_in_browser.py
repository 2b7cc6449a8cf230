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
    text = chromium.text()
    assert "rise/sheet" in text
    assert "film/0" in text


def test_the_scalars_page_shows_learning_and_explanation(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#scalars")
    text = chromium.wait_for(lambda: (found := chromium.text()) and ("explain" in found and "val" in found) and found)
    assert "train" in text
    assert not chromium.errors(address)


def test_the_custom_scalars_page_has_the_named_pages(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#custom_scalars")
    text = chromium.wait_for(lambda: (found := chromium.text()) and all(page in found for page in PAGES) and found)
    assert "explain/rise/gap" in text
    assert not chromium.errors(address)


def test_the_text_page_says_how_to_read_and_what_came_of_it(address: str, chromium: Any) -> None:
    chromium.open(f"{address}/#text")
    text = chromium.wait_for(lambda: (found := chromium.text()) and "How to read this run" in found and found)
    assert "Hoeffding" in text
    assert "settled" in text
    assert not chromium.errors(address)


@pytest.mark.parametrize(("page", "words"), [("projector", "validation"), ("hparams", "optim.lr")])
def test_points_and_options(address: str, chromium: Any, page: str, words: str) -> None:
    chromium.open(f"{address}/#{page}")
    chromium.wait_for(lambda: words in chromium.text())
    assert not chromium.errors(address)
