"""What is taken for a map or a grid of tokens, and which layer of which network is found."""

from __future__ import annotations

import pytest
import timm
import torch
import torchvision
from torch import Tensor, nn

from cocoa_pl.attributions.layers import Layer
from cocoa_pl.attributions.spatial import spatial_maps
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.models.backbones import SmallResNet
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Scorer


@pytest.mark.parametrize(
    ("height", "width", "extra", "grid"),
    [
        (224, 224, 1, (14, 14)),
        (224, 224, 0, (7, 7)),
        (518, 518, 5, (37, 37)),
        (32, 64, 1, (4, 8)),
        (64, 32, 5, (8, 4)),
        (30, 47, 2, (3, 5)),
    ],
)
def test_tokens_are_laid_out_row_by_row_without_those_before_them(height: int, width: int, extra: int, grid: tuple[int, int]) -> None:
    rows, cols = grid
    tokens = torch.full((2, extra + rows * cols, 3), -1.0)
    for n in range(2):
        for y in range(rows):
            for x in range(cols):
                tokens[n, extra + y * cols + x] = torch.tensor([n, y, x])
    maps = spatial_maps(tokens, height, width)
    assert maps.shape == (2, 3, rows, cols)
    expected = torch.stack(torch.meshgrid(torch.arange(2), torch.arange(rows), torch.arange(cols), indexing="ij"), dim=1).float()
    assert torch.equal(maps, expected)


@pytest.mark.parametrize(
    ("shape", "height", "width", "channels_last"),
    [((2, 5, 3, 4), 9, 11, False), ((2, 6, 7, 9), 9, 11, False), ((2, 4, 8, 16), 32, 64, False), ((2, 7, 7, 96), 224, 224, True),
     ((2, 4, 8, 24), 32, 64, True), ((2, 7, 7, 7), 224, 224, False)],
)  # fmt: skip
def test_maps_are_taken_as_they_are_unless_only_channels_last_fits_the_image(
    shape: tuple[int, ...], height: int, width: int, channels_last: bool
) -> None:
    output = torch.rand(shape)
    assert torch.equal(spatial_maps(output, height, width), output.permute(0, 3, 1, 2) if channels_last else output)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((2, 77, 16), "77 tokens are no grid of square patches of a 224 x 224 image"), ((2, 1, 16), "1 tokens are no grid"),
     ((2, 512, 1, 1), r"the layer returns \(2, 512, 1, 1\): wanted maps"), ((2, 512), r"the layer returns \(2, 512\)")],
)  # fmt: skip
def test_what_is_not_spatial_is_refused(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(DataError, match=message):
        spatial_maps(torch.zeros(shape), 224, 224)


def small_vit(name: str, **options: object) -> nn.Module:
    return timm.create_model(name, pretrained=False, num_classes=0, embed_dim=24, depth=2, num_heads=2, **options)


def small_swin() -> torchvision.models.SwinTransformer:
    return torchvision.models.SwinTransformer([2, 2], 16, [1, 1], [2, 2], [4, 4], num_classes=8)


NETWORKS = {
    "small_resnet": (lambda: SmallResNet(width=4), (32, 32), "stages"),
    "wide image": (lambda: SmallResNet(width=4), (32, 64), "stages"),
    "torchvision": (lambda: nn.Sequential(torchvision.models.resnet18(num_classes=8)), (64, 64), "0.layer4"),
    "class token": (lambda: small_vit("vit_tiny_patch16_224", img_size=32, patch_size=8), (32, 32), "blocks.1.norm1"),
    "registers": (lambda: small_vit("vit_small_patch14_reg4_dinov2", img_size=56), (56, 56), "blocks.1.norm1"),
    "mean of tokens": (lambda: small_vit("vit_tiny_patch16_224", img_size=32, patch_size=8, global_pool="avg"), (32, 32), "blocks"),
    "attention pooling": (lambda: small_vit("vit_base_patch16_siglip_224", img_size=64), (64, 64), "norm"),
    "channels last": (lambda: small_swin().features, (64, 64), ""),
}


class Averaged(nn.Module):
    """A network whose maps are channels last, made to return representations."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.network(images)
        return output.mean(dim=(1, 2)) if output.ndim == 4 else output


@pytest.mark.parametrize("name", NETWORKS)
def test_the_last_layer_that_matters_is_found_and_no_hook_is_left(name: str) -> None:
    make, size, layer = NETWORKS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = FrozenEncoder(Averaged(make()))
        images = torch.rand(2, 3, *size)
    scorer = Scorer(encoder, DirectionTarget(torch.ones(1, encoder(images).shape[1]), names=["sum"]))
    found = Layer.find(scorer, images, None, method="test")
    assert found.name == f"network.{layer}".removesuffix(".")
    maps = spatial_maps(found.output(images), *size)
    assert maps.shape[2] * size[1] == maps.shape[3] * size[0] > size[0]
    assert not any(module._forward_hooks for module in encoder.module.modules())


class Twice(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act, self.pair, self.unused = nn.Conv2d(3, 4, 2), nn.ReLU(), Pair(), nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        first, second = self.pair(self.act(self.conv(self.act(images))))
        return (first + second).mean(dim=(2, 3))


class Pair(nn.Module):
    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        return maps, maps


@pytest.mark.parametrize(
    ("layer", "error", "message"),
    [("act", DataError, "layer=act is run 2 times in a pass"), ("unused", DataError, "layer=unused is run 0 times in a pass"),
     ("pair", DataError, "layer=pair returns tuple"), ("covn", ConfigError, "layer=covn: the encoder has no such layer; .* are: conv")],
)  # fmt: skip
def test_layers_that_cannot_be_used_are_refused(layer: str, error: type[Exception], message: str) -> None:
    scorer, images = Scorer(FrozenEncoder(Twice()), DirectionTarget(torch.ones(1, 4), names=["sum"])), torch.rand(1, 3, 8, 8)
    with pytest.raises(error, match=message):
        Layer.find(scorer, images, layer, method="test").output(images)
    with pytest.raises(error, match=message):
        Layer.find(scorer, images, layer, method="test").gradients(images, torch.tensor([0]), lambda output, gradient: gradient)
    assert Layer.find(scorer, images, None, method="test").name == "conv"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: lambda x, rows: x, "needs a Scorer whose encoder has an nn.Module as .module, got function"),
        (lambda: Scorer(torch.flatten, None), "got builtin_function_or_method"),
        (lambda: Scorer(FrozenEncoder(nn.Flatten()), None), "no layer whose output is a map or a grid of tokens"),
        (lambda: Scorer(nn.Sequential(nn.Flatten(), nn.Linear(192, 4)), None), "no layer whose output is a map or a grid of tokens"),
    ],
)
def test_scores_that_show_no_spatial_layer_are_refused(make: object, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Layer.find(make(), torch.rand(1, 3, 8, 8), None, method="test")


def test_a_dead_encoder_still_has_a_last_layer() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    nn.init.constant_(network[0].bias, -100)
    assert Layer.find(Scorer(FrozenEncoder(network), None), torch.rand(1, 3, 8, 8), None, method="test").name == "1"
