"""An encoder as a study needs it: ready, with its randomised copies, its linear head, and representations of whatever is drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from cocoa_pl.build import AskedEncoder
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits, subset
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from cocoa_pl.metrics.randomisation import cascade, randomised
from cocoa_pl.metrics.representation import fit_linear_head
from cocoa_pl.study.cells import Cells, digest

_PICTURES = 1024  # loaded at once
_JUDGED = 2000  # validation images that tell how good a head is


@dataclass(frozen=True)
class LinearHead:
    """A multinomial logistic regression on representations.

    Attributes:
        weight: (classes, D).
        bias: (classes,).
        accuracy: share of validation images whose class it names.
        key: what it was learnt from, as one text.
    """

    weight: Tensor
    bias: Tensor
    accuracy: float
    key: str

    def __call__(self, reps: Tensor) -> Tensor:
        """Reps (B, D) to logits (B, classes)."""
        return reps @ self.weight.T + self.bias


@dataclass(frozen=True)
class Subject:
    """An encoder that is studied.

    Args:
        title: of it, in tables.
        asked: how it is opened.
        encoder: ready on the device.
        splits: the data.
        cells: what is already known.
    """

    title: str
    asked: AskedEncoder
    encoder: FrozenEncoder
    splits: Splits
    cells: Cells

    @property
    def fingerprint(self) -> str:
        """Of all that decides the encoder's output; of one that cannot be known, such as a function's, empty."""
        return self.asked.fingerprint

    @property
    def device(self) -> torch.device:
        return self.encoder.device

    def encode(self, source: Source, ids: Tensor, encoder: FrozenEncoder | None = None) -> Tensor:
        """Representations (..., D) of pictures, ids (...), by this encoder or by one made of it."""
        own = encoder or self.encoder
        parts = [own.encode(source.load(some.tolist())) for some in torch.split(ids.flatten(), _PICTURES)]
        return torch.cat(parts).view(*ids.shape, -1)

    def head(self, *, num_bank: int) -> LinearHead:
        """The linear head that training images teach; it, and how many images were encoded, are kept.

        Raises:
            DataError: too few labelled training images.
        """
        train, val = self.splits.train, self.splits.val
        assert train.labels is not None
        assert val.labels is not None
        known = torch.nonzero(train.labels >= 0)[:, 0]
        bank = known[subset(len(known), num_bank, seed=0, purpose="bank")]
        if len(train.labels[bank].unique()) < 2:  # type: ignore[no-untyped-call]
            raise DataError("the linear head has one class to learn; label images of two classes, or raise study.num_bank")
        judged = torch.nonzero(val.labels >= 0)[:, 0]
        judged = judged[subset(len(judged), _JUDGED, seed=0, purpose="judged")]

        def compute() -> dict[str, Tensor]:
            reps = self.encode(train, bank)
            weight, bias = fit_linear_head(reps, train.labels[bank].to(reps.device))  # type: ignore[index]
            logits = self.encode(val, judged) @ weight.T + bias
            right = logits.argmax(1).cpu() == val.labels[judged]  # type: ignore[index]
            return {"weight": weight, "bias": bias, "accuracy": right.double().mean(), "forwards": torch.tensor(len(bank) + len(judged))}

        key = ["head", self.fingerprint, digest(train, bank), digest(val, judged)]
        found = self.cells.of(key, compute)
        return LinearHead(found["weight"].to(self.device), found["bias"].to(self.device), float(found["accuracy"]), "\n".join(key))

    def randomised(self, seed: int) -> FrozenEncoder:
        """A copy with all parameters redrawn.

        Raises:
            ConfigError: the encoder is a plain function.
        """
        return self.asked.on(self.device, change=lambda network: randomised(network, seed))

    @cached_property
    def network(self) -> nn.Module:
        """The network as it is, to make others of.

        Raises:
            ConfigError: the encoder is a plain function.
        """
        found: list[nn.Module] = []

        def take(network: nn.Module) -> nn.Module:
            found.append(network)
            return network

        self.asked.on(self.device, change=take)
        return found[0]

    def layers(self, num_steps: int) -> list[str]:
        """Names of layers from the top down, so many at most, evenly spread; the last one is the lowest."""
        own = [name for name, layer in self.network.named_modules() if next(layer.parameters(recurse=False), None) is not None][::-1]
        return [own[place] for place in sorted({round((k + 1) * len(own) / num_steps) - 1 for k in range(num_steps)} - {-1})]

    def cascade(self, seed: int, *, num_steps: int) -> Iterator[tuple[str, FrozenEncoder]]:
        """Copies that have lost ever more layers from the top, those of :meth:`layers` with all above them; the last has lost all.

        Yields:
            The name of the layer lost last, and the copy.
        """
        wanted = self.layers(num_steps)
        for name, other in cascade(self.network, seed):
            if name in wanted:
                yield name, self.asked.on(self.device, change=lambda _, other=other: other)  # type: ignore[misc]
