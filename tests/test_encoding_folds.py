"""Folding batch norms into convolutions changes no representation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.folding import fold_batch_norm
from cocoa_pl.models.backbones import SmallResNet, build_backbone


def test_folded_encoder_gives_the_same_representations_and_gradients() -> None:
    torch.manual_seed(0)
    network = SmallResNet(width=8)
    for _ in range(3):  # running statistics away from their start
        network(2 + 3 * torch.randn(16, 3, 32, 32))
    network.eval()
    frozen = FrozenEncoder(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in frozen.module.modules())
    assert any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    images = torch.rand(4, 3, 32, 32, requires_grad=True)
    expected, found = network(images), frozen(images)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    gradients = [torch.autograd.grad(reps.sum(), images)[0] for reps in (expected, found)]
    torch.testing.assert_close(gradients[1], gradients[0], rtol=1e-3, atol=1e-3)


def test_a_norm_that_uses_the_batch_is_left_alone() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    assert any(isinstance(module, nn.BatchNorm2d) for module in FrozenEncoder(network).module.modules())


class Residual(nn.Module):
    """Batch norms that may be folded, and three that may not: of an output used twice, of a shared convolution, before its convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.good, self.good_norm = nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)
        self.twice, self.twice_norm = nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4)
        self.shared, self.shared_norms = nn.Conv2d(4, 4, 1), nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(4)])
        self.before, self.last = nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        maps = torch.relu(self.good_norm(self.good(images)))
        raw = self.twice(maps)
        maps = raw + self.twice_norm(raw)
        for norm in self.shared_norms:
            maps = norm(self.shared(maps))
        return self.last(self.before(maps)).mean((2, 3))


def _with_statistics(network: nn.Module, size: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network.train()
        for _ in range(2):
            network(1 + 2 * torch.randn(8, 3, size, size))
        return network.eval()


def test_only_a_batch_norm_that_alone_reads_a_convolution_is_folded() -> None:
    network = _with_statistics(Residual(), 8)
    folded = copy.deepcopy(network)
    assert fold_batch_norm(folded) == 1
    assert isinstance(folded.good_norm, nn.Identity)
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "timm:efficientnet_lite0", "timm:resnet10t", "timm:convnext_atto"])
def test_networks_of_libraries(name: str) -> None:
    network = _with_statistics(build_backbone(name, image_size=64, stem="large")[0], 64)
    folded = copy.deepcopy(network)
    num = sum(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    assert fold_batch_norm(folded) == num
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    images = torch.randn(2, 3, 64, 64)
    torch.testing.assert_close(folded(images), network(images), atol=1e-3, rtol=1e-3)


def test_a_network_that_cannot_be_traced_is_folded_where_pairs_stand_side_by_side() -> None:
    class Untraceable(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            maps: torch.Tensor = self.body(images)
            return maps if float(maps.detach().sum()) > 0 else -maps

    network = _with_statistics(Untraceable(), 8)
    folded = copy.deepcopy(network)
    assert fold_batch_norm(folded) == 1
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-4)


class _SamePadding(nn.Conv2d):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(images, (0, 1, 0, 1)))


class _Standardised(nn.Conv2d):
    def forward(self, images: torch.Tensor) -> torch.Tensor:
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return nn.functional.conv2d(images, weight / weight.std((1, 2, 3), keepdim=True), self.bias)


@pytest.mark.parametrize(("kind", "folds"), [(_SamePadding, 1), (_Standardised, 0)])
def test_a_convolution_of_its_own_kind_is_folded_only_where_that_changes_nothing(kind: type[nn.Conv2d], folds: int) -> None:
    network = _with_statistics(nn.Sequential(kind(3, 4, 3), nn.BatchNorm2d(4)), 8)
    folded = copy.deepcopy(network)
    assert fold_batch_norm(folded) == folds
    images = torch.randn(4, 3, 8, 8)
    torch.testing.assert_close(folded(images), network(images), atol=1e-5, rtol=1e-4)
