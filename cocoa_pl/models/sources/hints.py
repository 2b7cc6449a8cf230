"""What solo-learn's options, stored in a checkpoint or in ``args.json`` beside it, tell of its backbone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cocoa_pl.models.sources.opened import Preparation

_STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),
    "cifar100": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "stl10": ((0.4914, 0.4823, 0.4466), (0.247, 0.243, 0.261)),
}
_SIDES = {"cifar10": 32, "cifar100": 32, "stl10": 96}
_CIFAR_PADDING = 2
_MANY_HEADS = ("mae", "mocov3")
_MARKS = {"num_large_crops", "classifier_lr", "exclude_bias_n_norm", "exclude_bias_n_norm_wd", "method_kwargs", "knn_eval"}


@dataclass(frozen=True)
class SoloLearn:
    """The options of a solo-learn run.

    Attributes:
        backbone: as solo-learn names it.
        options: of that backbone.
        method, dataset: as solo-learn names them.
        source: where this was read.
    """

    backbone: str
    options: Mapping[str, Any]
    method: str
    dataset: str
    source: str

    @property
    def padding(self) -> int:
        """Of a ResNet's first convolution, should it be 3x3: solo-learn pads CIFAR's by 2."""
        return _CIFAR_PADDING if self.dataset in ("cifar10", "cifar100") else 1

    @property
    def timm(self) -> tuple[str, tuple[tuple[str, Any], ...]] | None:
        """timm's name and options for the backbone, if it is one of timm's."""
        family, _, size = self.backbone.partition("_")
        chosen = {name: self.options[name] for name in ("img_size", "patch_size", "window_size", "global_pool") if name in self.options}
        if family == "vit":
            if size in ("tiny", "small") and self.method in _MANY_HEADS:
                chosen["num_heads"] = 12
            return f"vit_{size}_patch16_224", tuple(sorted(chosen.items()))
        if family == "swin":
            return f"swin_{size}_patch4_window7_224", tuple(sorted(chosen.items()))
        return (self.backbone, ()) if family in ("convnext", "poolformer") else None

    def over(self, own: Preparation) -> Preparation:
        """An architecture's preparation with the dataset's statistics and size, where solo-learn has its own for it."""
        if self.dataset not in _STATISTICS:
            return own
        mean, std = _STATISTICS[self.dataset]
        source = f"solo-learn's for {self.dataset}"
        return replace(own, image_size=_SIDES[self.dataset], mean=mean, std=std, size_from=source, statistics_from=source)

    def note(self) -> str:
        """A sentence on what was read where."""
        return f"solo-learn's options in {self.source}: {self.method}, backbone {self.backbone}, dataset {self.dataset or 'unknown'}"


def solo_learn(hyper_parameters: Mapping[str, Any], beside: Path | None = None) -> SoloLearn | None:
    """The options of the solo-learn run that wrote a checkpoint, if one did and left them.

    Args:
        hyper_parameters: plain values in the checkpoint.
        beside: the checkpoint's path if there may be an ``args.json`` beside it.

    Example:
        >>> options = {"method": "byol", "backbone": {"name": "resnet18"}, "data": {"dataset": "cifar10", "num_large_crops": 2}}
        >>> run = solo_learn(options)
        >>> run.backbone, run.padding, run.timm
        ('resnet18', 2, None)
        >>> solo_learn({"lr": 0.1}) is None
        True
    """
    nested = hyper_parameters.get("cfg")
    for options, source in (
        (hyper_parameters, "the checkpoint"),
        (nested if isinstance(nested, Mapping) else {}, "the checkpoint"),
        (_json(beside.with_name("args.json")) if beside else {}, "args.json beside it"),
    ):
        found = _options(options, source)
        if found is not None:
            return found
    return None


def _json(path: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(path.read_text()) if path.is_file() else {}
    except (OSError, ValueError):  # some other tool's file of this name
        return {}
    return content if isinstance(content, dict) else {}


def _options(options: Mapping[str, Any], source: str) -> SoloLearn | None:
    named = options.get("backbone", options.get("encoder"))
    data, method = options.get("data"), options.get("method")
    name = named.get("name") if isinstance(named, Mapping) else named
    dataset = data.get("dataset") if isinstance(data, Mapping) else options.get("dataset")
    marks = set(options).union(*(value for value in options.values() if isinstance(value, Mapping)))
    if not isinstance(name, str) or not isinstance(method, str) or not isinstance(dataset, str | None) or _MARKS.isdisjoint(marks):
        return None
    kwargs = named.get("kwargs") if isinstance(named, Mapping) else options.get("backbone_args")
    return SoloLearn(name, kwargs if isinstance(kwargs, Mapping) else {}, method, dataset or "", source)
