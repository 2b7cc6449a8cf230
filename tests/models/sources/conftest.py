"""Networks whose every weight and statistic is drawn, and images to compare them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.models.sources import Opened

Saves = Callable[..., Path]


def drawn(network: nn.Module, seed: int = 0) -> nn.Module:
    """The network with every parameter and statistic drawn, so that none could be left out unseen."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5, generator=draw)
            elif value.is_floating_point():
                value.add_((0.05 if value.ndim == 1 else 0.003) * torch.randn(value.shape, generator=draw))
    return network.eval()


def without_fc(network: nn.Module) -> nn.Module:
    network.fc = nn.Identity()
    return network


@pytest.fixture(scope="session")
def images() -> Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def resnet() -> nn.Module:
    """torchvision's resnet18 with its classifier; tests only read it."""
    return drawn(torchvision.models.resnet18(weights=None))


@pytest.fixture(scope="session")
def resnet_reps(resnet: nn.Module, images: Tensor) -> Tensor:
    """What goes into its classifier."""
    caught: list[Tensor] = []
    handle = resnet.fc.register_forward_hook(lambda module, inputs, output: caught.append(inputs[0].detach()))
    resnet(images)
    handle.remove()
    return caught[0]


@pytest.fixture(scope="session")
def small() -> nn.Module:
    """A timm network of a few layers with its classifier."""
    return drawn(timm.create_model("resnet10t", pretrained=False))


@pytest.fixture
def saved(tmp_path: Path) -> Saves:
    """Write a file of torch.save; a mapping is written with a prefix before its names."""

    def save(content: object, name: str = "net.pth") -> Path:
        torch.save(content, tmp_path / name)
        return tmp_path / name

    return save


def prefixed(prefix: str, network: nn.Module, *, without: Iterable[str] = ()) -> dict[str, Tensor]:
    """A network's weights with something before their names, without those that begin with given words."""
    return {f"{prefix}{name}": value for name, value in network.state_dict().items() if not name.startswith(tuple(without))}


def hollow(name: str) -> nn.Module:
    """A network of torchvision whose weights have their shapes but no memory, for files of a few kilobytes."""
    with torch.device("meta"):
        network: nn.Module = torchvision.models.get_model(name, weights=None)
    weights = {key: torch.zeros((), dtype=value.dtype).expand(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(weights, assign=True)
    return network


def sequential(network: nn.Module, prefix: str) -> dict[str, Tensor]:
    """The weights as ``nn.Sequential(*list(network.children())[:-1])`` names them."""
    return prefixed(prefix, nn.Sequential(*list(network.children())[:-1]))


def run(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():  # transformers take another path with gradients, to other last bits
        output = network(images)
    assert isinstance(output, Tensor)
    return output


def reps(opened: Opened, images: Tensor) -> Tensor:
    return run(opened.module, images)


def explainable(opened: Opened, images: Tensor) -> None:
    """The frozen encoder of it gives the same representations, and gradients that reach the images."""
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (opened.mean, opened.std))
    encoder = FrozenEncoder(opened.module, mean=opened.mean, std=opened.std, pool=True)
    inputs = (images * std + mean).requires_grad_()
    output = encoder(inputs)
    expected = reps(opened, images)
    torch.testing.assert_close(output.detach(), expected.flatten(2).mean(2) if expected.ndim == 4 else expected, rtol=1e-3, atol=1e-3)
    (gradient,) = torch.autograd.grad(output.square().sum(), inputs)
    assert gradient.isfinite().all()
    assert gradient.flatten(1).abs().sum(1).gt(0).all()


def noted(opened: Opened, words: str) -> bool:
    return any(words in note for note in opened.notes)


def state(content: Mapping[str, Tensor]) -> dict[str, object]:
    """A Lightning checkpoint with these weights."""
    return {"epoch": 3, "global_step": 12, "pytorch-lightning_version": "2.5.0", "state_dict": dict(content), "loops": {}, "callbacks": {}}
