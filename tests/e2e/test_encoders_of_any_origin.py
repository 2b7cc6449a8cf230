"""``explain.py`` on encoders of any origin: each file is made here, and the reported score is that of the network it was made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18

from cocoa_pl.pictures import read_square
from tests.e2e.asking import FEW, SIDE, encoder_module, explain, write_encoder, write_pictures

_MEAN, _STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
_NUM_MADE_OF = 16  # of 24 representations of the foil; the others measure


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        made = resnet18(weights=None)
    made.fc = nn.Identity()  # type: ignore[assignment]
    return made.eval()


def _reps(network: nn.Module, paths: list[Path]) -> Tensor:
    images = torch.stack([torch.from_numpy(read_square(path, size=SIDE)) for path in paths]).permute(0, 3, 1, 2) / 255
    mean, std = (torch.tensor(each).view(-1, 1, 1) for each in (_MEAN, _STD))
    with torch.no_grad():
        reps = network((images - mean) / std)
        reps = reps.mean((2, 3)) if reps.ndim == 4 else reps
        return torch.nn.functional.normalize(reps, dim=1)


def _prefixed(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    return {f"{prefix}{name}": value for name, value in network.state_dict().items()}


def _torchvision(network: nn.Module, folder: Path) -> list[str]:
    torch.save(network.state_dict(), folder / "resnet18.pth")
    return ["--encoder", "torchvision:resnet18", "--ckpt", str(folder / "resnet18.pth")]


def _guessed(network: nn.Module, folder: Path) -> list[str]:
    torch.save({"model": _prefixed(network, "module.encoder_q."), "epoch": 3}, folder / "moco.pth.tar")
    return ["--ckpt", str(folder / "moco.pth.tar")]


def _lightly(network: nn.Module, folder: Path) -> list[str]:
    """Of Lightly's tutorials: a backbone of the children of a ResNet, in a Lightning checkpoint, with the head beside it."""
    backbone = nn.Sequential(*list(network.children())[:-1])
    state = _prefixed(backbone, "backbone.") | {"projection_head.layers.0.weight": torch.zeros(4, 512)}
    torch.save(
        {"state_dict": OrderedDict(state), "pytorch-lightning_version": "2.4.0", "epoch": 9, "hyper_parameters": {}},
        folder / "lightly.ckpt",
    )
    return ["--ckpt", str(folder / "lightly.ckpt")]


def _solo_learn(network: nn.Module, folder: Path) -> list[str]:
    state = _prefixed(network, "backbone.") | {"classifier.weight": torch.zeros(10, 512), "projector.0.weight": torch.zeros(8, 512)}
    names = {"method": "simclr", "backbone": {"name": "resnet18", "kwargs": {}}}
    torch.save({"state_dict": state, "hyper_parameters": names, "pytorch-lightning_version": "1.9", "epoch": 1}, folder / "solo.ckpt")
    return ["--ckpt", str(folder / "solo.ckpt")]


def _safetensors(network: nn.Module, folder: Path) -> list[str]:
    from safetensors.torch import save_file

    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, str(folder / "weights.safetensors"))
    return ["--ckpt", str(folder / "weights.safetensors")]


def _torchscript(network: nn.Module, folder: Path) -> list[str]:
    import warnings

    with warnings.catch_warnings():  # torch.jit says that it is old
        warnings.simplefilter("ignore")
        torch.jit.trace(network, torch.zeros(2, 3, SIDE, SIDE)).save(str(folder / "traced.pt"))  # type: ignore[no-untyped-call]
    return ["--ckpt", str(folder / "traced.pt")]


def _exported(network: nn.Module, folder: Path) -> list[str]:
    batch = torch.export.Dim("batch", min=1, max=4096)
    program = torch.export.export(network, (torch.zeros(2, 3, SIDE, SIDE),), dynamic_shapes=({0: batch},))
    torch.export.save(program, folder / "exported.pt2")
    return ["--ckpt", str(folder / "exported.pt2"), "--trust-pickle"]  # torch executes code as it reads one


@pytest.mark.parametrize("save", [_torchvision, _guessed, _lightly, _solo_learn, _safetensors, _torchscript, _exported])
def test_the_reported_score_is_that_of_the_network(
    save: Callable[[nn.Module, Path], list[str]], network: nn.Module, tmp_path: Path
) -> None:
    paths = write_pictures(tmp_path / "pictures", 2, seed=0)
    foil = _reps(network, write_pictures(tmp_path / "foil", 24, seed=1))
    np.save(tmp_path / "foil.npy", foil.numpy())
    size = ["--image-size", str(SIDE), "--mean", ",".join(map(str, _MEAN)), "--std", ",".join(map(str, _STD))]
    argv = [*save(network, tmp_path), *size, "--input", *map(str, paths), "--foil", str(tmp_path / "foil.npy"), "--cache", "none", *FEW]
    report = explain(*argv, out=tmp_path / "report")
    expected = 1 - _reps(network, paths) @ foil[:_NUM_MADE_OF].mean(0)
    found = [picture["maps"][0]["score"] for picture in report["pictures"]]
    np.testing.assert_allclose(found, expected.numpy(), atol=2e-5)
    assert [trace["key"] for trace in report["traces"]] == ["rise"]


def test_a_timm_model(tmp_path: Path) -> None:
    import timm

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("resnet10t", pretrained=False, num_classes=5)
    torch.save(network.state_dict(), tmp_path / "resnet10t.pth")
    paths = write_pictures(tmp_path / "pictures", 1, seed=0)
    write_pictures(tmp_path / "foil", 12, seed=1)
    argv = ["--encoder", "timm:resnet10t", "--ckpt", str(tmp_path / "resnet10t.pth"), "--image-size", str(SIDE), "--input", str(paths[0])]
    report = explain(*argv, "--foil", str(tmp_path / "foil"), "--cache", "none", *FEW, out=tmp_path / "report")
    assert report["frames"][0]["encoder"]["name"] == "timm resnet10t"
    assert report["frames"][0]["encoder"]["mean"] == pytest.approx(timm.get_pretrained_cfg("resnet10t").mean)


def test_an_encoder_in_ones_own_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    paths = write_pictures(tmp_path / "pictures", 2, seed=0)
    network = encoder_module()
    foil = _reps(network, write_pictures(tmp_path / "foil", 24, seed=1))
    np.savez("foil.npz", dogs=foil.numpy(), others=foil.numpy()[:3])
    size = ["--image-size", str(SIDE), "--mean", ",".join(map(str, _MEAN)), "--std", ",".join(map(str, _STD))]
    argv = ["--encoder", write_encoder(tmp_path), *size, "--input", "pictures", "--foil", "foil.npz#dogs", "--cache", "none", *FEW]
    report = explain(*argv, out=tmp_path / "report")
    found = [picture["maps"][0]["score"] for picture in report["pictures"]]
    np.testing.assert_allclose(found, (1 - _reps(network, paths) @ foil[:_NUM_MADE_OF].mean(0)).numpy(), atol=2e-5)
