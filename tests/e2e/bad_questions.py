"""A table of what can be wrong with a question to ``explain.py``: how each is made, and what the message must say."""

from __future__ import annotations

import functools
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torchvision.models import resnet18

from tests.e2e.asking import FEW, SIDE

STRANGE = '''"""Encoders with something wrong about each."""

import torch
from torch import nn

not_a_function = 3


class Shaped(nn.Module):
    """Gives zeros of a shape."""

    def __init__(self, *shape):
        super().__init__()
        self.shape = shape

    def forward(self, images):
        return images.new_zeros(len(images), *self.shape) if self.shape else images.sum()


class OnlyOf64(nn.Module):
    def forward(self, images):
        return images.reshape(len(images), 3 * 64 * 64)[:, :8]


class InTrainingMode(nn.Module):
    def forward(self, images):
        return nn.functional.dropout(images.mean((2, 3)), training=True)


class Colour(nn.Module):
    """Takes means of squares of 16 pixels, and so reacts to pictures."""

    def forward(self, images):
        return nn.functional.avg_pool2d(images, 16).flatten(1)


class PairsOnly(nn.Module):
    def forward(self, images):
        if len(images) > 2:
            raise ValueError("batches of two\\nor less")
        return images.mean((2, 3))


class Interrupted(nn.Module):
    """Ctrl-C comes when it sees a white picture."""

    def forward(self, images):
        if bool((images.flatten(1).amin(1) > 2).any()):
            raise KeyboardInterrupt
        return nn.functional.avg_pool2d(images, 16).flatten(1)


def without_gradient():
    return lambda images: images.detach().mean((2, 3))


def in_place():
    return nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.Sigmoid(), nn.ReLU(inplace=True))


def raises():
    raise RuntimeError("no such weights\\nin the archive")


def stops():
    raise SystemExit("usage: something else")


def text():
    return "an encoder"


def scalar():
    return Shaped()


def five_dims():
    return Shaped(8, 2, 2, 2)


def empty():
    return Shaped(0)


def only_of_64():
    return OnlyOf64()


def in_training_mode():
    return InTrainingMode()


def nan():
    network = nn.Sequential(nn.Conv2d(3, 8, 5, stride=4), nn.ReLU())
    nn.init.constant_(network[0].weight, float("nan"))
    return network


def of_a_file(path):
    return nn.Flatten()


def made_of(state):
    return state
'''


class Kind(NamedTuple):
    """One kind of bad input.

    Attributes:
        name: of the kind.
        make: makes the input in the current folder, given the folder of a run, and returns the command line without ``--out``.
        words: what the message holds.
        stdin: what standard input gives.
    """

    name: str
    make: Callable[[Path], Sequence[str | Path]]
    words: Sequence[str]
    stdin: str = ""


def question(*more: str, **changed: str | Path | Sequence[str | Path] | None) -> list[str | Path]:
    """A command line that works, but for what is changed: options by name, None to leave one out; ``more`` is added."""
    options: dict[str, Any] = {"encoder": "someones_encoder:make", "image_size": str(SIDE), "input": "pictures", "foil": "foil"}
    options |= {"cache": "none"} | changed
    argv: list[str | Path] = []
    for name, value in options.items():
        if value is not None:
            argv += [f"--{name.replace('_', '-')}", *([value] if isinstance(value, str | Path) else value)]
    return [*argv, *FEW, *more]


def of_file(path: str | Path, *more: str, **changed: str | Path | Sequence[str | Path] | None) -> list[str | Path]:
    """The question to a file."""
    return question(*more, **{"encoder": None, "ckpt": path, **changed})


def of_run(run: Path, *more: str, **changed: str | Path | Sequence[str | Path] | None) -> list[str | Path]:
    """The question to the last checkpoint of a run."""
    return of_file(run / "last.ckpt", *more, **{"image_size": None, **changed})


def file(name: str | Path, content: bytes | str) -> str:
    """A file with some content."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Path(name).write_bytes(content.encode() if isinstance(content, str) else content)
    return str(name)


def folder(name: str) -> str:
    """An empty folder."""
    Path(name).mkdir(parents=True)
    return name


def saved(content: object, name: str = "weights.pth") -> str:
    """A file of torch.save."""
    torch.save(content, name)
    return name


def array(values: Any, name: str = "reps.npy") -> str:
    """A file of numpy.save."""
    np.save(name, values)
    return name


def resnet(**changed: torch.Tensor | None) -> dict[str, torch.Tensor]:
    """The weights of a ResNet-18, some of them changed or, by None, left out; dots are written as two underscores."""
    state = dict(_resnet())
    for name, value in changed.items():
        name = name.replace("__", ".")
        state.pop(name)
        if value is not None:
            state[name] = value
    return state


@functools.cache
def _resnet() -> Mapping[str, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        return resnet18(weights=None).state_dict()  # type: ignore[no-any-return]


def picture(name: str | Path, size: tuple[int, int] = (40, 36), keep: float = 1) -> str:
    """A picture file, of which only a share is there."""
    Path(name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (*size[::-1], 3), dtype=np.uint8)).save(name)
    content = Path(name).read_bytes()
    Path(name).write_bytes(content[: int(keep * len(content))])
    return str(name)


def bomb(name: str) -> str:
    """A PNG of a few bytes that says it has 60000 x 60000 pixels."""
    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return file(name, b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts))


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


class Evil:
    """Its pickle makes a file ``executed``."""

    def __reduce__(self) -> tuple[Callable[..., object], tuple[str, str]]:
        return open, ("executed", "w")


def other_run(run: Path) -> str:
    """The checkpoint of a run with other data."""
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    checkpoint["cocoa_pl"]["config"]["data"]["num_train"] = 50
    checkpoint["global_step"] += 1
    return saved(checkpoint, "other.ckpt")


def truncated(content: object, name: str) -> str:
    """Half a file of torch.save."""
    saved(content, name)
    return file(name, Path(name).read_bytes()[: Path(name).stat().st_size // 2])
