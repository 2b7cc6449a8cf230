"""Batch norms that share statistics between processes: what one process sees of them. Two processes are law 7's."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.backbones import SmallResNet
from cocoa_pl.models.sync_batchnorm import ShareStatistics, SyncBatchNorm


class Scaled(nn.BatchNorm2d):
    """A batch norm that does something else beside it."""

    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


def _network() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(SmallResNet(width=4), nn.Linear(32, 8), nn.BatchNorm1d(8))
    network(torch.rand(6, 3, 16, 16))  # running statistics away from their start
    return network


def test_a_network_keeps_its_layers_and_their_names_and_gets_their_classes_back() -> None:
    network = _network()
    kinds, state, layers = [type(part) for part in network.modules()], network.state_dict(), list(network.modules())
    ShareStatistics().apply(network)
    assert sum(isinstance(part, SyncBatchNorm) for part in network.modules()) == 13
    assert all(found is part for found, part in zip(network.modules(), layers, strict=True))
    assert network.state_dict().keys() == state.keys()
    ShareStatistics().revert(network)
    assert [type(part) for part in network.modules()] == kinds


def test_one_process_trains_as_without() -> None:
    plain, shared = _network(), ShareStatistics().apply(_network())
    images = torch.rand(5, 3, 16, 16)
    torch.testing.assert_close(shared(images), plain(images), rtol=0, atol=0)
    for name, value in plain.state_dict().items():
        assert torch.equal(shared.state_dict()[name], value), name


def test_explaining_folds_them_as_it_folds_plain_ones() -> None:
    network, images = _network().eval(), torch.rand(5, 3, 16, 16)
    plain = FrozenEncoder(network)
    shared = FrozenEncoder(ShareStatistics().apply(copy.deepcopy(network)))
    assert not any(isinstance(part, nn.BatchNorm2d) for part in shared.module.modules())
    torch.testing.assert_close(shared(images), plain(images), rtol=0, atol=0)


def test_a_kind_whose_forward_pass_is_unknown_is_refused_by_name() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), Scaled(4))
    with pytest.raises(
        ConfigError, match=r"trainer\.sync_batchnorm=true: 1 is a Scaled, whose statistics cannot be shared; leave it false"
    ):
        ShareStatistics().apply(network)
