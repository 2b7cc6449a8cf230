"""TensorBoard on a run, in headless Chromium, as a person opens it: the pages show what the README promises."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver

pytestmark = pytest.mark.browser

_PICTURES = """
const found = [];
const walk = node => {
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const child of node.children || []) { if (child.tagName === 'IMG') found.push(child); walk(child); }
};
walk(document);
return found.filter(img => img.src.includes('individualImage')).map(img => [img.src, img.complete && img.naturalWidth]);
"""
_TEXT = """
let text = '';
const walk = node => {
  if (node.shadowRoot) walk(node.shadowRoot);
  for (const child of node.childNodes || []) { if (child.nodeType === 3) text += child.textContent + ' '; walk(child); }
};
walk(document.body);
return text;
"""


@pytest.fixture(scope="module")
def tensorboard(smoke_run: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "tensorboard.main",
        "--logdir",
        str(smoke_run / "tensorboard"),
        "--port",
        str(port),
        "--load_fast=false",
    ]
    server = subprocess.Popen([*command, "--samples_per_plugin", "images=1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(120):
            try:
                if b"sheet" in urllib.request.urlopen(f"{address}/data/plugin/images/tags", timeout=5).read():
                    break
            except OSError:
                time.sleep(1)
        yield address
    finally:
        server.terminate()
        server.wait(timeout=20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--window-size=1400,1200"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield driver
    finally:
        driver.quit()


def test_the_images_page_shows_sheets_and_film_strips(tensorboard: str, browser: Any) -> None:
    browser.get(f"{tensorboard}/#images")
    shown = wait_for(lambda: [picture for picture in browser.execute_script(_PICTURES) if picture[1]])
    assert all(width >= 300 for _, width in shown)
    text = browser.execute_script(_TEXT)
    assert "rise/sheet" in text
    assert "film/0" in text


def test_the_scalars_page_shows_learning_and_explanation(tensorboard: str, browser: Any) -> None:
    browser.get(f"{tensorboard}/#scalars")
    text = wait_for(lambda: (found := browser.execute_script(_TEXT)) and ("explain" in found and "val" in found) and found)
    assert "train" in text
    severe = [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and tensorboard in entry["message"]]
    assert not severe


def wait_for(look: Any, seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        found = look()
        if found:
            return found
        time.sleep(0.5)
    raise AssertionError("the page did not show it in time")
