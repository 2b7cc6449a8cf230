"""What browser tests share: TensorBoard on a folder, and a headless Chromium that looks at it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

# pages of TensorBoard are made of components whose content lies below shadow roots, and the projector lies in a frame
_WALK = """
const visit = (node, found) => {
  if (node.tagName === 'STYLE' || node.tagName === 'SCRIPT') return;
  found(node);
  if (node.shadowRoot) visit(node.shadowRoot, found);
  if (node.tagName === 'IFRAME' && node.contentDocument) visit(node.contentDocument, found);
  for (const child of node.childNodes || []) visit(child, found);
};
"""
_TEXT = _WALK + "let text = ''; visit(document.body, node => { if (node.nodeType === 3) text += node.textContent + ' '; }); return text;"
_PICTURES = (
    _WALK
    + """
const found = [];
visit(document, node => { if (node.tagName === 'IMG' && node.src.includes('individualImage')) found.push(node); });
return found.map(img => img.complete ? img.naturalWidth : 0);
"""
)
_CLICK = (
    _WALK
    + """
const found = [];
visit(document, node => { if (node.tagName && node.textContent.trim() === arguments[0]) found.push(node); });
if (found.length) found[found.length - 1].click();
return found.length > 0;
"""
)


class Browser:
    """A tab of Chromium.

    Args:
        driver: of selenium.
    """

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, address: str) -> None:
        """Go to a page, afresh even where only the part after ``#`` differs from the page shown."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(address)

    def text(self) -> str:
        """Everything written on the page, with one space where there is any."""
        return " ".join(str(self.driver.execute_script(_TEXT)).split())

    def pictures(self) -> list[int]:
        """Width in pixels of every picture of the images page; 0 where it is not loaded."""
        return list(self.driver.execute_script(_PICTURES))

    def click(self, text: str) -> bool:
        """Click on what bears exactly this text, if it is there."""
        return bool(self.driver.execute_script(_CLICK, text))

    def errors(self, address: str) -> list[Any]:
        """What the page's console calls severe, as far as it comes from this address."""
        return [entry for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE" and address in entry["message"]]

    def entries(self) -> list[Any]:
        """Everything in the page's console since it was last asked for, of whatever level."""
        return list(self.driver.get_log("browser"))

    def wait_for(self, look: Callable[[], Any], seconds: float = 60) -> Any:
        """The first true value of ``look``.

        Raises:
            AssertionError: there is none in time.
        """
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = look()
            if found:
                return found
            time.sleep(0.1)
        raise AssertionError(f"the page did not show it in time; it shows {self.text()[:2000]!r}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser for the tests of a file."""
    with _started(scripts=True) as browser:
        yield browser


@pytest.fixture(scope="module")
def chromium_without_scripts() -> Iterator[Browser]:
    """A browser that runs no script of a page; what a driver asks it for is found all the same."""
    with _started(scripts=False) as browser:
        yield browser


@contextmanager
def _started(*, scripts: bool) -> Iterator[Browser]:
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--window-size=1400,1200"):
        options.add_argument(flag)
    if not scripts:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
    try:
        yield Browser(driver)
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def serve_tensorboard() -> Iterator[Callable[[Path], str]]:
    """Serve a folder of event files that hold pictures; returns the address once the pictures are read."""
    with ExitStack() as servers:
        yield lambda log_dir: servers.enter_context(_tensorboard(log_dir))


@contextmanager
def _tensorboard(log_dir: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(log_dir), "--port", str(port), "--load_fast=false"]
    server = subprocess.Popen([*command, "--samples_per_plugin", "images=1000"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for_pictures(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for_pictures(address: str) -> None:
    for _ in range(120):
        try:
            with urllib.request.urlopen(f"{address}/data/plugin/images/tags", timeout=5) as answer:
                if len(answer.read()) > len(b"{}\n"):
                    return
        except OSError:
            pass  # not up yet
        time.sleep(1)
    raise AssertionError(f"TensorBoard at {address} has no pictures after two minutes")
