"""An augmentation study as the content of a cell, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields

import numpy as np
import torch
from torch import Tensor

from cocoa_pl.study.views import ViewsStudy

_PLAIN = "plain"  # name of the fields that are no tensors, as JSON in bytes


def as_tensors(study: ViewsStudy) -> dict[str, Tensor]:
    """Tensors by field; those of a mapping by ``field/key``; everything else together, as bytes."""
    found, plain = dict[str, Tensor](), dict[str, object]()
    for item in fields(study):
        value = getattr(study, item.name)
        if isinstance(value, Tensor):
            found[item.name] = value
        elif isinstance(value, Mapping) and all(isinstance(own, Tensor) for own in value.values()):
            found |= {f"{item.name}/{key}": own for key, own in value.items()}
            plain[item.name] = list(value)
        else:
            plain[item.name] = value
    text = json.dumps(plain).encode()
    return found | {_PLAIN: torch.from_numpy(np.frombuffer(text, dtype=np.uint8).copy())}


def of_tensors(found: Mapping[str, Tensor]) -> ViewsStudy:
    """What :func:`as_tensors` was given."""
    plain = json.loads(found[_PLAIN].numpy().tobytes())
    values = {name: own for name, own in found.items() if "/" not in name and name != _PLAIN}
    tuples = {name: tuple(value) for name, value in plain.items() if name in ("class_names", "views")}
    mappings = {
        item.name: {key: found[f"{item.name}/{key}"] for key in plain[item.name]}
        for item in fields(ViewsStudy)
        if isinstance(plain.get(item.name), list) and item.name not in tuples
    }
    return ViewsStudy(**{**plain, **values, **tuples, **mappings})
