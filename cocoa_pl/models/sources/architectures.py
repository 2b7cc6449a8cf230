"""Architectures whose weights a file may hold: what they need, what of it the weights decide, and what is no part of the encoder."""

from __future__ import annotations

import copy
import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn

from cocoa_pl.models.sources.opened import Preparation

Shapes = Mapping[str, torch.Size]


@dataclass(frozen=True)
class Variant:
    """What the shapes of the weights tell of an architecture's options.

    Attributes:
        small_stem: a ResNet whose first convolution is 3x3 and has no pooling after it, for small images.
        padding: of that convolution; weights do not tell it.
        max_pool: whether the ResNet's first pooling is there.
        whole_head: whether all of the classifier's part is taken off, not only its last linear layer.
        image_size: side in pixels that a transformer's positions are for, where it is not the usual one.
    """

    small_stem: bool = False
    padding: int = 1
    max_pool: bool = True
    whole_head: bool = False
    image_size: int | None = None


class Architecture(ABC):
    """A kind of network that can be built without weights.

    Attributes:
        family: the library or the kind of source.
        name: within the family.
    """

    family: ClassVar[str]
    name: str

    @property
    def option(self) -> str:
        """How ``--encoder`` names it."""
        return f"{self.family}:{self.name}"

    @property
    def title(self) -> str:
        """How people name it."""
        return f"{self.family} {self.name}"

    @abstractmethod
    def build(self, variant: Variant) -> nn.Module:
        """The network, without its classifier, on the device of the context."""

    @property
    @abstractmethod
    def heads(self) -> tuple[str, ...]:
        """Names of the parts that hold the classifier; what is in them and not needed is no part of the encoder."""

    @abstractmethod
    def variant(self, shapes: Shapes, *, max_pool: bool, padding: int) -> Variant:
        """The variant that weights of these names and shapes are for."""

    @abstractmethod
    def preparation(self, variant: Variant) -> Preparation:
        """How its images are usually prepared."""

    def skeleton(self, variant: Variant) -> nn.Module:
        """The network without memory for its weights, where it can be built so."""
        return _skeleton(self, variant)

    def build_empty(self, variant: Variant) -> nn.Module | None:
        """A network of its own on the meta device, if assigning its weights is all that it takes to make it real."""
        network = copy.deepcopy(self.skeleton(variant))
        tensors = {name for name, _ in (*network.named_parameters(), *network.named_buffers())}
        others = (value for part in network.modules() for value in vars(part).values())
        return None if tensors - self.shapes(variant).keys() or any(isinstance(value, Tensor) for value in others) else network

    def shapes(self, variant: Variant) -> Shapes:
        """Names and shapes of the weights that it needs, in its order."""
        return _shapes(self, replace(variant, padding=1))  # which decides no shape


@functools.lru_cache(maxsize=64)
def _skeleton(architecture: Architecture, variant: Variant) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        try:
            with torch.device("meta"):
                return architecture.build(variant)
        except (NotImplementedError, RuntimeError):  # its constructor computes with its weights
            with torch.device("cpu"):
                return architecture.build(variant).to("meta")


@functools.lru_cache(maxsize=64)
def _shapes(architecture: Architecture, variant: Variant) -> Shapes:
    return shapes_of(architecture.skeleton(variant))


def shapes_of(network: nn.Module) -> Shapes:
    """Names and shapes of a network's weights."""
    return {name: value.shape for name, value in network.state_dict().items() if isinstance(value, Tensor)}


def side_of_positions(num_patches: int, patch: int) -> int | None:
    """Side in pixels of the square images that a number of patches covers.

    Example:
        >>> side_of_positions(16, 8), side_of_positions(15, 8)
        (32, None)
    """
    side = math.isqrt(num_patches)
    return side * patch if side * side == num_patches else None


@dataclass(frozen=True, eq=False)
class GivenNetwork(Architecture):
    """A network that a function returned, to be filled with weights as it is.

    Args:
        name: ``package.module:function``.
        network: what it returned.
    """

    family: ClassVar[str] = "function"
    name: str
    network: nn.Module

    @property
    def option(self) -> str:
        """``package.module:function``."""
        return self.name

    def build(self, variant: Variant) -> nn.Module:
        """The network itself."""
        return self.network

    def skeleton(self, variant: Variant) -> nn.Module:
        """The network itself."""
        return self.network

    def build_empty(self, variant: Variant) -> nn.Module | None:
        """It is not empty."""
        return None

    def shapes(self, variant: Variant) -> Shapes:
        """Those of the network; it is no key of a cache, which would keep it alive."""
        return shapes_of(self.network)

    @property
    def heads(self) -> tuple[str, ...]:
        """Nothing is taken off."""
        return ()

    def variant(self, shapes: Shapes, *, max_pool: bool, padding: int) -> Variant:
        """There is only one."""
        return Variant()

    def preparation(self, variant: Variant) -> Preparation:
        """Nobody knows."""
        return Preparation()
