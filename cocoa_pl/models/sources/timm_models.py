"""timm's networks without their classifiers; timm is an optional package."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

from torch import nn

from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.models.sources.architectures import Architecture, Shapes, Variant, side_of_positions
from cocoa_pl.models.sources.opened import Preparation, one_line
from cocoa_pl.optional import require


@dataclass(frozen=True)
class TimmNetwork(Architecture):
    """A network of timm with ``num_classes=0``: its representations are what timm calls features, pooled.

    Args:
        name: as timm names it, with or without the tag of some weights (``resnet50.a1_in1k``), which decides statistics and image size.
        options: of ``timm.create_model``, as pairs.

    Raises:
        ConfigError: timm is not installed, or has no such network.
    """

    family: ClassVar[str] = "timm"
    name: str
    options: tuple[tuple[str, Any], ...] = ()

    def __post_init__(self) -> None:
        base, _, tag = self.name.partition(".")
        known = self._timm().list_models()
        if base not in known:
            raise ConfigError(f"--encoder {self.option}: timm has no such network; {choices_hint(self.name, known)}")
        if tag and self.name not in (tagged := self._timm().list_pretrained(f"{base}.*")):
            raise ConfigError(f"--encoder {self.option}: timm has no weights of this tag; {choices_hint(self.name, tagged)}")

    def build(self, variant: Variant) -> nn.Module:
        """The network for images of this size and, where it can, of any other."""
        size = {} if variant.image_size is None else {"img_size": variant.image_size}
        wishes: tuple[Mapping[str, Any], ...] = ({"dynamic_img_size": True}, {})
        for number, wish in enumerate(wishes, start=1):
            try:
                network = self._timm().create_model(self.name, pretrained=False, num_classes=0, **dict(self.options), **size, **wish)
            except TypeError as error:  # a network of another family: it has no such option
                if number == len(wishes):
                    raise ConfigError(f"--encoder {self.option}: cannot be created ({one_line(error)})") from error
            except (ValueError, AssertionError) as error:  # options that do not fit
                raise ConfigError(f"--encoder {self.option}: cannot be created ({one_line(error)})") from error
            else:
                return cast(nn.Module, network)
        raise AssertionError("the last wish returns or raises")

    @property
    def heads(self) -> tuple[str, ...]:
        """The parts that timm's configuration calls the classifier."""
        named = self._own(self.skeleton(Variant())).get("classifier") or ()
        return tuple(name.partition(".")[0] for name in ((named,) if isinstance(named, str) else named))

    def variant(self, shapes: Shapes, *, max_pool: bool, padding: int) -> Variant:
        """Image size by the positions, if they are others than the usual ones."""
        network: Any = self.skeleton(Variant())
        usual, found = self.shapes(Variant()).get("pos_embed"), shapes.get("pos_embed")
        if usual is None or found is None or usual == found or len(found) != 3 or not hasattr(network, "patch_embed"):
            return Variant()
        prefix = usual[1] - network.patch_embed.num_patches
        return Variant(image_size=side_of_positions(found[1] - prefix, network.patch_embed.patch_size[0]))

    def preparation(self, variant: Variant) -> Preparation:
        """What timm's configuration says."""
        own, source = self._own(self.skeleton(Variant())), f"timm's for {self.name}"
        usual = Preparation(own["input_size"][-1], tuple(own["mean"]), tuple(own["std"]), source, source)
        return (
            usual
            if variant.image_size is None
            else replace(usual, image_size=variant.image_size, size_from="its positions are for this size")
        )

    def _own(self, network: Any) -> dict[str, Any]:
        return cast(dict[str, Any], network.pretrained_cfg)

    def _timm(self) -> Any:
        return require("timm", package="timm", what=f"--encoder {self.option} needs")
