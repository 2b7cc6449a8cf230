"""What tests of ``explain.py`` with questions share: real picture files, a small encoder in a module file, the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl import runs
from cocoa_pl.cli import parse_explain

SIDE = 32
FEW = (
    "explain.attributions=[rise]",
    "explain.num_masks=8",
    "explain.curve_steps=2",
    "trainer.accelerator=cpu",
    "trainer.progress_bar=false",
)

MODULE = '''"""An encoder in somebody's own file."""

import torch
from torch import nn


def make():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 12, 5, stride=2), nn.ReLU(), nn.Conv2d(12, 8, 3, stride=2))


def bare():
    """No module: nothing to take a fingerprint of."""
    network = make().eval()
    return lambda images: network(images).mean((2, 3))
'''


def explain(*argv: str | Path, out: Path) -> dict[str, Any]:
    """The command line in this process; the report that it wrote."""
    runs.explain(parse_explain([*map(str, argv), "--out", str(out)]))
    report: dict[str, Any] = json.loads((out / "report.json").read_text())
    return report


def write_pictures(folder: Path, num: int, *, seed: int, colour: tuple[float, float, float] = (1, 1, 1)) -> list[Path]:
    """Blurred noise of a colour as PNG files of several sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    paths = []
    for number in range(num):
        small = rng.uniform(0, 255, (6, 6, 3)) * np.array(colour)
        path = folder / f"{folder.name}{number:03d}.png"
        Image.fromarray(small.astype(np.uint8)).resize((40 + number % 9, 36 + number % 5), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def write_encoder(folder: Path, name: str = "someones_encoder") -> str:
    """A module file in a folder; returns what ``--encoder`` takes once that folder is the current one."""
    (folder / f"{name}.py").write_text(MODULE)
    return f"{name}:make"


def encoder_module() -> nn.Module:
    """The encoder of :func:`write_encoder`."""
    scope: dict[str, Any] = {}
    exec(compile(MODULE, "module", "exec"), scope)
    with torch.random.fork_rng(devices=[]):
        made: nn.Module = scope["make"]()
    return made.eval()


def maps_of(report: Path, trace: str) -> Tensor:
    """Raw maps (E, V, H, W) of a report folder."""
    with np.load(report / "attributions.npz") as arrays:
        return torch.from_numpy(arrays[trace])
