"""Encoders that functions return: which arguments they get, what is made of what they return, what is said when they fail."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.models.sources import open_foreign
from tests.models.sources.conftest import Saves, drawn, explainable, noted, prefixed, reps, run

CODE = """
from pathlib import Path
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width: int = 5):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3)
        self.scale = 2.0
    def forward(self, images):
        return self.scale * self.conv(images).reshape(images.shape[0], -1)[:, :40]

class Views(Net):
    def forward(self, images):
        return self.conv(images).view(len(images), -1)[:, :40]

class Forgets(Net):
    def forward(self, images):
        return nn.functional.dropout(super().forward(images), 0.5)

class Keeps(Net):
    def __deepcopy__(self, memo):
        raise TypeError("it cannot be pickled")

def empty(): return Net()
def from_file(path):
    net = Net()
    net.load_state_dict(torch.load(path))
    return net.train().double()
def maybe(path=None):
    return from_file(path) if path else Net()
def flagged(pretrained=False, **kwargs):
    assert not pretrained
    return Net()
def bare():
    return lambda images: images.mean((2, 3))
def views(): return Views()
def forgets(): return Forgets()
def keeps(): return Keeps()
def raises(): raise RuntimeError("first line\\nsecond line")
def quits(): raise SystemExit("usage: ...")
def number(): return 3
def channels(): return nn.Conv2d(1, 2, 3)
ready = Net()
constant = 3
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A module in the current directory, of a name of its own."""
    name = f"mine_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    places = list(sys.path)
    yield name
    assert sys.path == places
    sys.modules.pop(name, None)


@pytest.fixture
def net() -> nn.Module:
    class Same(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 5, 3)

        def forward(self, images: Tensor) -> Tensor:
            return 2.0 * self.conv(images).reshape(images.shape[0], -1)[:, :40]

    return drawn(Same())


@pytest.mark.parametrize("function", ["from_file", "maybe", "empty", "flagged", "Net", "ready"])
def test_weights_come_from_the_file(module: str, net: nn.Module, images: Tensor, saved: Saves, function: str) -> None:
    opened = open_foreign(saved(net.state_dict()), encoder=f"{module}:{function}", image_size=64)
    assert torch.equal(reps(opened, images), run(net, images))
    assert opened.name == f"function {module}:{function}"
    assert len(opened.fingerprint) == 64
    assert not opened.module.training
    explainable(opened, images)


def test_a_prefix_is_taken_off(module: str, net: nn.Module, images: Tensor, saved: Saves) -> None:
    path = saved({"state_dict": prefixed("model.", net), "epoch": 1})
    opened = open_foreign(path, encoder=f"{module}:empty", image_size=64)
    assert torch.equal(reps(opened, images), run(net, images))
    assert noted(opened, "weights found under 'state_dict.model.'")


def test_no_file_is_needed(module: str) -> None:
    opened = open_foreign(None, encoder=f"{module}:empty", mean=[0.5], std=[0.5])
    assert opened.mean == (0.5, 0.5, 0.5)
    assert noted(opened, "images of 224 px: assumed")


def test_a_bare_callable_is_not_cached(module: str, images: Tensor) -> None:
    opened = open_foreign(None, encoder=f"{module}:bare")
    assert torch.equal(reps(opened, images), images.mean((2, 3)))
    assert opened.fingerprint == ""
    assert noted(opened, "nothing about it is cached")
    assert list(opened.module.parameters()) == []
    explainable(opened, images)


def test_views_that_do_not_go_with_channels_last(module: str, images: Tensor) -> None:
    opened = open_foreign(None, encoder=f"{module}:views", image_size=64)
    explainable(opened, images)


def test_a_torchscript_program_is_taken_as_it_is(module: str, tmp_path: Path, images: Tensor) -> None:
    (tmp_path / f"{module}.py").write_text(
        CODE + "\nimport warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('ignore')\n"
        "    program = torch.jit.trace(Net().eval(), torch.zeros(1, 3, 64, 64))\ndef traced(): return program\n"
    )
    opened = open_foreign(None, encoder=f"{module}:traced", image_size=64)
    assert opened.fingerprint == ""
    explainable(opened, images)


class TestFingerprint:
    def marks(self, module: str, tmp_path: Path, *codes: str) -> set[str]:
        found = set()
        for number, code in enumerate(codes):
            name = f"{module}_{number}"
            (tmp_path / f"{name}.py").write_text(code)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                found.add(open_foreign(None, encoder=f"{name}:empty").fingerprint)
            sys.modules.pop(name, None)
        return found

    def test_code_counts(self, module: str, tmp_path: Path) -> None:
        assert len(self.marks(module, tmp_path, CODE, CODE.replace("[:, :40]", "[:, :41]"))) == 2

    def test_plain_attributes_and_weights_count(self, module: str) -> None:
        first = open_foreign(None, encoder=f"{module}:ready").fingerprint
        assert open_foreign(None, encoder=f"{module}:ready").fingerprint == first
        sys.modules[module].ready.scale = 3.0
        second = open_foreign(None, encoder=f"{module}:ready").fingerprint
        with torch.no_grad():
            sys.modules[module].ready.conv.bias[0] += 1
        third = open_foreign(None, encoder=f"{module}:ready").fingerprint
        assert len({first, second, third}) == 3


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("emty", r"emty does not exist in mine_\w+; choose from: .*did you mean 'empty'"),
        ("constant", r"constant is no function in mine_\w+; choose from: "),
        ("raises", r"raised RuntimeError: first line$"),
        ("quits", r"raised SystemExit: usage"),
        ("number", r"returned int; it must return an nn\.Module or a function of images"),
        ("from_file", r"the function needs a file; give --ckpt"),
    ],
)
def test_a_function_that_fails(module: str, function: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--encoder {module}:{function}: .*{message}") as caught:
        open_foreign(None, encoder=f"{module}:{function}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("forgets", "one image gets other representations"),
        ("keeps", r"cannot be copied.*TypeError: it cannot be pickled"),
        ("channels", r"does not take images \(2, 3, 224, 224\) \(RuntimeError: .*channels"),
    ],
)
def test_a_module_that_is_no_encoder(module: str, function: str, message: str) -> None:
    with pytest.raises(CheckpointError, match=f"--encoder {module}:{function}: .*{message}"):
        open_foreign(None, encoder=f"{module}:{function}")


@pytest.mark.parametrize("code", [None, "import no_such_module_at_all", "raise SystemExit(2)", "def f(:"])
def test_a_module_that_cannot_be_imported(module: str, tmp_path: Path, code: str | None) -> None:
    if code is not None:
        (tmp_path / f"{module}.py").write_text(code)
    name = module if code is not None else "no_such_module_at_all"
    with pytest.raises(ConfigError, match=f"--encoder {name}:f: {name} cannot be imported \\((ModuleNotFound|SystemExit|Syntax)") as caught:
        open_foreign(None, encoder=f"{name}:f")
    assert "\n" not in str(caught.value)


def test_weights_that_do_not_fit(module: str, saved: Saves, tmp_path: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"1 of 2 weights match under '', 1 of another shape, the first 'conv\.weight' \(5, 3, 5, 5\)"
    ):
        open_foreign(saved(nn.ModuleDict({"conv": nn.Conv2d(3, 5, 5)}).state_dict()), encoder=f"{module}:empty")
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        open_foreign(tmp_path / "nowhere.pth", encoder=f"{module}:empty")
