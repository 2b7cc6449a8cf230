"""How long one waits for the first heatmap, and what share of it the network alone takes: one picture of 224 px, ResNet-18, defaults.

python -m benchmarks.first_heatmap
"""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from PIL import Image
from torchvision.models import resnet18

from benchmarks.common import machine, parse, photographs, table
from cocoa_pl.cli import parse_explain
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.files import write_png
from cocoa_pl.report import folder as report_folder
from cocoa_pl.report.figures import to_bytes
from cocoa_pl.runs import asking, explain, explaining

_FOIL = 100


class Clock:
    """Seconds by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def timed(self, name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
        """The function, its time added up."""

        def call(*args: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return fn(*args, **options)
            finally:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - began

        return call


def main() -> None:
    """Print the table."""
    args = parse(__doc__)
    print(f"{machine()}\n")
    with tempfile.TemporaryDirectory() as root:
        argv = write(Path(root), num_foil=16 if args.smoke else _FOIL)
        argv += ["explain.num_masks=16", "explain.curve_steps=2", "explain.num_steps=2"] if args.smoke else []
        warm = [] if args.smoke else [measure([*argv, "--out", f"{root}/warm"])]
        seconds = measure([*argv, "--out", f"{root}/report"])
        assert args.smoke or warm
        began = time.perf_counter()
        subprocess.run([sys.executable, "explain.py", *argv, "--out", f"{root}/whole"], check=True, capture_output=True)
        whole = time.perf_counter() - began
    table(
        ["what", "seconds", "the network's forward and backward passes"],
        [
            ("opening encoder, pictures, corpus and foil", seconds["open"], ""),
            ("explaining one picture", seconds["explain"], f"{seconds['network in explain'] / seconds['explain']:.1%}"),
            ("writing the report", seconds["report"], ""),
            ("the whole command, from the shell", whole, ""),
        ],
    )


def write(folder: Path, *, num_foil: int) -> list[str]:
    """A state dict, a photograph, a folder of crops; the command line."""
    torch.manual_seed(0)
    torch.save(resnet18(weights=None).state_dict(), folder / "resnet18.pth")
    photos, foil = photographs(4)
    for name, images in (("photo", photos[:1]), ("foil", foil[:: max(1, len(foil) // num_foil)])):
        for number, pixels in enumerate(to_bytes(images)):
            write_png(folder / name / f"{number:03d}.png", Image.fromarray(pixels))
    ckpt, photo, other = (str(folder / name) for name in ("resnet18.pth", "photo", "foil"))
    return ["--encoder", "torchvision:resnet18", "--ckpt", ckpt, "--input", photo, "--foil", other, "--cache", "none",
            "trainer.progress_bar=false"]  # fmt: skip


def measure(argv: list[str]) -> dict[str, float]:
    """Seconds of each part of ``explain.py``, and those in the network, once corpus and foil are encoded."""
    clock = Clock()
    with _watched(clock), contextlib.redirect_stdout(io.StringIO()):
        explain(parse_explain(argv))
    return clock.seconds


@contextlib.contextmanager
def _watched(clock: Clock) -> Iterator[None]:
    made = FrozenEncoder.__init__

    def watched(self: FrozenEncoder, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        self._run = clock.timed("network", self._run)

    def predicted(*args: Any, **options: Any) -> Any:
        before = clock.seconds.get("network", 0.0) + clock.seconds.get("backward", 0.0)
        result = clock.timed("explain", predict)(*args, **options)
        clock.seconds["network in explain"] = clock.seconds["network"] + clock.seconds.get("backward", 0.0) - before
        return result

    predict = asking._predict
    with (
        patch.object(FrozenEncoder, "__init__", watched),
        patch.object(torch.autograd, "grad", clock.timed("backward", torch.autograd.grad)),
        patch.object(asking, "_predict", predicted),
        patch.object(explaining, "understand", clock.timed("open", explaining.understand)),
        patch.object(explaining, "write_report", clock.timed("report", report_folder.write_report)),
    ):
        yield


if __name__ == "__main__":
    main()
