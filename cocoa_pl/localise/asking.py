"""The directions of a localisation study: COCOA and what it is compared with, all answered by the same passes through the encoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.localise.cases import Cases
from cocoa_pl.targets import DirectionTarget, normalize

TARGETS = {
    "cocoa": "the text, beyond a typical text",
    "corpus": "the text alone",
    "contrastive_label_free": "the picture itself, beyond a typical picture",
    "label_free": "the picture itself",
}
"""Targets that are compared, and what each explains."""
PROMPTS = ("other", "absent", "nonsense")
"""Other texts: of another object in the picture, of none, of no meaning."""
LABEL_FREE = ("contrastive_label_free", "label_free")
"""Targets that are towards the picture itself."""
OF_TEXTS = ("cocoa", "corpus")
"""Targets that are towards a text, and so are asked about the other texts too."""


@dataclass(frozen=True)
class Asked:
    """Cases in the representation of one encoder.

    Attributes:
        directions: target, and ``<target> <prompt>``, to (N, D).
        reps: (N, D) unit representations of the pictures.
        texts: vocabulary text to its unit representation (D,).
        foil: (D,), the mean of the vocabulary.
    """

    directions: dict[str, Tensor]
    reps: Tensor
    texts: dict[str, Tensor]
    foil: Tensor

    def target(self, cases: Tensor) -> DirectionTarget:
        """All directions of some cases (n,)."""
        return DirectionTarget(torch.stack([each[cases] for each in self.directions.values()]), names=list(self.directions))

    def presence(self, texts: list[str]) -> Tensor:
        """Contrastive score (N,) of one text for each picture."""
        return (self.reps * (torch.stack([self.texts[text] for text in texts]) - self.foil)).sum(1)


def ask(encoder: FrozenEncoder, cases: Cases, typical: Tensor | None) -> Asked:
    """Encode pictures and texts, once.

    Args:
        encoder: with a text side.
        cases: what is asked.
        typical: (F, 3, S, S) uint8 pictures, the foil of the label-free targets; None: for each picture those of the other cases. A single
            case has none: it is asked about texts alone.

    Raises:
        ConfigError: the encoder has no text side.
    """
    if encoder.text is None:
        raise ConfigError("the encoder has no text side; texts need one of open_clip:..., transformers:..., or train.py's image_text")
    reps = normalize(encoder.encode(cases.images))
    every = list(dict.fromkeys([*cases.vocabulary, *cases.nonsense]))
    texts = dict(zip(every, normalize(encoder.text.encode(every)), strict=True))
    foil = torch.stack([texts[text] for text in cases.vocabulary]).mean(0)

    def towards(names: tuple[str, ...]) -> Tensor:
        return torch.stack([texts[name] for name in names])

    others = tuple(other or own for other, own in zip(cases.others, cases.texts, strict=True))
    asked = {"": towards(cases.texts)} | {
        f" {prompt}": towards(own) for prompt, own in zip(PROMPTS, (others, cases.absent, cases.nonsense), strict=True)
    }
    directions = {
        **{f"cocoa{prompt}": own - foil for prompt, own in asked.items()},
        **{f"corpus{prompt}": own for prompt, own in asked.items()},
    }
    if typical is not None or len(cases) > 1:
        foils = (reps.sum(0) - reps) / (len(cases) - 1) if typical is None else normalize(encoder.encode(typical)).mean(0)
        directions |= dict(zip(LABEL_FREE, (reps - foils, reps), strict=True))
    return Asked(directions, reps, texts, foil)
