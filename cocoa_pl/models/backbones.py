"""Backbones: our small ResNet for CPUs, torchvision's ResNets, any timm model. All return representations (B, D)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
import torchvision
from torch import Tensor, nn

from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.optional import require
from cocoa_pl.registry import BACKBONES

_SMALL_STEM_UP_TO = 64


def build_backbone(name: str, *, image_size: int, width: int = 32, stem: str = "auto") -> tuple[nn.Module, int]:
    """A freshly initialised backbone and the length D of its representations.

    Args:
        name: ``small_resnet``, a torchvision ResNet, or ``timm:NAME``.
        image_size: side of the images in pixels; decides what ``stem=auto`` means.
        width: channels of small_resnet's first stage.
        stem: ``small`` (3x3 convolution, no pooling), ``large``, or ``auto``.

    Raises:
        ConfigError: unknown name, or timm is not installed.
    """
    if name == "small_resnet":
        return SmallResNet(width=width), 8 * width
    if name in BACKBONES:
        return _torchvision_resnet(name, small_stem=stem == "small" or (stem == "auto" and image_size <= _SMALL_STEM_UP_TO))
    if name.startswith("timm:"):
        return _timm(name.removeprefix("timm:"), image_size)
    raise ConfigError(f"model.backbone={name}: unknown; {choices_hint(name, BACKBONES)}, or timm:NAME")


class SmallResNet(nn.Module):
    """A residual network (He et al., CVPR 2016) of four stages of one block, for small images on a CPU.

    The stem halves the resolution, so a 32 px image is seen at 16, 8, 4 and 2 px: a quarter of the work of a full-resolution stem.

    Args:
        width: channels of the first stage; each stage doubles them, and D = 8 * width.
    """

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        widths = [width * 2**stage for stage in range(4)]
        self.stem = nn.Sequential(nn.Conv2d(3, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True))
        self.stages = nn.Sequential(*(_Block(max(width, out // 2), out, stride=1 if out == width else 2) for out in widths))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """Normalised images (B, 3, H, W) to representations (B, 8 * width), all elements >= 0."""
        return cast(Tensor, self.stages(self.stem(images))).mean(dim=(2, 3))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.skip: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.skip = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.body(maps) + self.skip(maps))


def _torchvision_resnet(name: str, *, small_stem: bool) -> tuple[nn.Module, int]:
    constructor = cast(Callable[..., torchvision.models.ResNet], getattr(torchvision.models, name))
    network = constructor(weights=None)
    dim = network.fc.in_features
    network.fc = nn.Identity()
    if small_stem:
        network.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        network.maxpool = nn.Identity()
    return network, dim


def _timm(name: str, image_size: int) -> tuple[nn.Module, int]:
    timm = require("timm", package="timm", what=f"model.backbone=timm:{name} needs")
    known = timm.list_models()
    if name not in known:
        raise ConfigError(f"model.backbone=timm:{name}: timm has no such model{_nearest(name, known)}")
    network = _create_timm(timm, name, image_size)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            reps = network.eval()(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError, TypeError) as error:
        raise ConfigError(f"model.backbone=timm:{name}: does not take images of {image_size} px ({str(error).splitlines()[0]})") from error
    return network.train(), int(reps.shape[1])


def _create_timm(timm: Any, name: str, image_size: int) -> nn.Module:
    """The network for images of this size and, where it can, of others (two-object images are twice as wide)."""
    wishes: tuple[dict[str, Any], ...] = ({"img_size": image_size, "dynamic_img_size": True}, {"img_size": image_size}, {})
    for wish in wishes:
        try:
            return cast(nn.Module, timm.create_model(name, pretrained=False, num_classes=0, **wish))
        except TypeError:  # a network of another family: it has no such option
            continue
    raise ConfigError(f"model.backbone=timm:{name}: cannot be created")


def check_wide_images(network: nn.Module, *, image_size: int) -> None:
    """See that a network takes images twice as wide as high, as the two-object test needs.

    Raises:
        ConfigError: it does not; the message says which option leaves the test out.
    """
    training = network.training
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            network.eval()(torch.zeros(1, 3, image_size, 2 * image_size, dtype=next(network.parameters()).dtype))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise ConfigError("explain.num_pairs: this backbone takes square images only; set explain.num_pairs=0") from error
    finally:
        network.train(training)


def _nearest(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, n=3)
    return f"; nearest names: {', '.join(near)}" if near else ""
