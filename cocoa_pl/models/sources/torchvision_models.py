"""torchvision's classification networks without their classifiers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, cast

import torchvision
from torch import nn

from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.models.sources.architectures import Architecture, Shapes, Variant, side_of_positions
from cocoa_pl.models.sources.opened import Preparation

GUESSED = (
    "resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "wide_resnet50_2", "resnext50_32x4d", "vit_b_16", "vit_b_32",
    "convnext_tiny", "mobilenet_v3_small", "mobilenet_v3_large", "efficientnet_b0",
)  # fmt: skip
_HEADS = ("fc", "heads", "head", "classifier")
_AUXILIARY = ("googlenet", "inception_v3")
_SMALL_IMAGES = 32


def torchvision_names() -> list[str]:
    """The classification networks that torchvision has."""
    return cast(list[str], torchvision.models.list_models(module=torchvision.models))


@dataclass(frozen=True)
class TorchvisionNetwork(Architecture):
    """A classification network of torchvision; its representations are what goes into the last linear layer.

    Args:
        name: as torchvision names it.

    Raises:
        ConfigError: torchvision has no such network.
    """

    family: ClassVar[str] = "torchvision"
    name: str

    def __post_init__(self) -> None:
        if self.name not in torchvision_names():
            raise ConfigError(f"--encoder {self.option}: torchvision has no such network; {choices_hint(self.name, torchvision_names())}")

    def build(self, variant: Variant) -> nn.Module:
        """The network with the stem that the variant tells and without its classifier."""
        if self.name in _AUXILIARY:
            network = torchvision.models.get_model(self.name, weights=None, aux_logits=False, init_weights=False)
        elif variant.image_size is not None:
            network = torchvision.models.get_model(self.name, weights=None, image_size=variant.image_size)
        else:
            network = torchvision.models.get_model(self.name, weights=None)
        _take_off_classifier(network, whole=variant.whole_head)
        if variant.small_stem:
            network.conv1 = nn.Conv2d(3, network.conv1.out_channels, 3, padding=variant.padding, bias=False)
        if not variant.max_pool:
            network.maxpool = nn.Identity()
        return cast(nn.Module, network)

    @property
    def heads(self) -> tuple[str, ...]:
        """The part that holds the last linear layer."""
        return (_head(self.skeleton(Variant())),)

    def variant(self, shapes: Shapes, *, max_pool: bool, padding: int) -> Variant:
        """Small stem by the first convolution, image size by the positions, a head without weights by their absence."""
        usual = self.shapes(Variant())
        head = f"{self.heads[0]}."
        found = Variant(
            max_pool=max_pool,
            whole_head=any(name.startswith(head) for name in usual) and not any(name.startswith(head) for name in shapes),
        )
        conv = shapes.get("conv1.weight")
        if isinstance(self.skeleton(Variant()), torchvision.models.ResNet) and conv is not None and conv[2:] == (3, 3):
            found = replace(found, small_stem=True, padding=padding, max_pool=False)
        positions, patches = shapes.get("encoder.pos_embedding"), shapes.get("conv_proj.weight")
        if positions is not None and patches is not None and positions != usual.get("encoder.pos_embedding"):
            found = replace(found, image_size=side_of_positions(positions[1] - 1, patches[-1]))
        return found

    def preparation(self, variant: Variant) -> Preparation:
        """What torchvision's own weights of this network want."""
        transform = torchvision.models.get_model_weights(self.name).DEFAULT.transforms()
        statistics = f"those of torchvision's own weights of {self.name}, assumed"
        usual = Preparation(transform.crop_size[0], tuple(transform.mean), tuple(transform.std), statistics, statistics)
        if variant.image_size is not None:
            return replace(usual, image_size=variant.image_size, size_from="its positions are for this size")
        if variant.small_stem:
            return replace(usual, image_size=_SMALL_IMAGES, size_from="assumed, for the stem is one for small images")
        return usual


def _head(network: nn.Module) -> str:
    return next(name for name in _HEADS if isinstance(getattr(network, name, None), nn.Module))


def _take_off_classifier(network: nn.Module, *, whole: bool) -> None:
    """Take the last linear layer off, or all of the part that holds it."""
    head = _head(network)
    part: nn.Module = getattr(network, head)
    linear = [name for name, layer in part.named_modules() if isinstance(layer, nn.Linear)]
    if not linear:  # SqueezeNet classifies maps by a convolution and pools after it
        setattr(network, head, nn.AdaptiveAvgPool2d(1))
    elif whole or linear[-1] == "":
        setattr(network, head, nn.Identity())
    else:
        parent, _, leaf = linear[-1].rpartition(".")
        setattr(part.get_submodule(parent), leaf, nn.Identity())
