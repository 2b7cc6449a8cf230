"""Backbones: the length they promise, the sizes they take, and what the frozen copy makes of them."""

from __future__ import annotations

import pytest
import torch

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.backbones import build_backbone, check_wide_images


@pytest.mark.parametrize(
    "name", ["small_resnet", "resnet18", "timm:mobilenetv3_small_100", "timm:vit_tiny_patch16_224", "timm:densenet121"]
)
def test_the_promised_length_and_an_equal_frozen_copy(name: str) -> None:
    torch.manual_seed(0)
    network, dim = build_backbone(name, image_size=32, width=8)
    images = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        expected = network.eval()(images)
        assert expected.shape == (2, dim)
        torch.testing.assert_close(FrozenEncoder(network)(images), expected, rtol=1e-3, atol=1e-4)
    check_wide_images(network, image_size=32)


def test_square_only_backbones_are_told_what_to_do() -> None:
    network, _ = build_backbone("timm:mixer_s32_224", image_size=64)
    with pytest.raises(ConfigError, match=r"explain\.num_pairs=0"):
        check_wide_images(network, image_size=64)


@pytest.mark.parametrize("name", ["timm:vit_tiny_patch16_225", "resnet20"])
def test_unknown_names_list_the_nearest(name: str) -> None:
    with pytest.raises(ConfigError, match=r"nearest names|did you mean"):
        build_backbone(name, image_size=32)
