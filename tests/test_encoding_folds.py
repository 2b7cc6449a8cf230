"""Folding batch norms into convolutions changes no representation."""

from __future__ import annotations

import torch
from torch import nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.models.backbones import SmallResNet


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
