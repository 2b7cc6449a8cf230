"""Finding the weights of an architecture in a file: under which prefix, by which names, and whether they are all there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cocoa_pl.models.sources.architectures import Architecture, Shapes, Variant

_ANCHORS = 8
_COUNTER = "num_batches_tracked"
_AVERAGED = {"teacher", "momentum", "ema", "target", "key", "k", "offline", "shadow", "averaged", "slow"}


@dataclass(frozen=True)
class Layout:
    """How a file names the parts of a network: by their names, or by their places in an ``nn.Sequential`` of its children.

    Attributes:
        places: child to place; empty for names.
        max_pool: whether a ResNet's first pooling has a place.
    """

    places: Mapping[str, str]
    max_pool: bool = True

    def in_file(self, name: str) -> str:
        """The file's name for a network's."""
        child, dot, rest = name.partition(".")
        return f"{self.places.get(child, child)}{dot}{rest}"

    def in_network(self, name: str) -> str | None:
        """The network's name for a file's; None for a place that no child has."""
        if not self.places:
            return name
        place, dot, rest = name.partition(".")
        child = next((child for child, other in self.places.items() if other == place), None)
        return None if child is None else f"{child}{dot}{rest}"


@dataclass(frozen=True)
class Fit:
    """How well the weights under one prefix fit one architecture.

    Attributes:
        names: the network's name of every weight that is there and fits, to the file's.
        missing: names that the network needs and the file lacks.
        reshaped: name, shape found and shape needed.
        surplus: the network's names of weights in the file for parts that the network has not, as a deeper network would.
    """

    architecture: Architecture
    variant: Variant
    prefix: str
    layout: Layout
    names: Mapping[str, str]
    missing: tuple[str, ...]
    reshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    surplus: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether all that is needed is there, and nothing of a larger network."""
        return not (self.missing or self.reshaped or self.surplus)

    @property
    def averaged(self) -> bool:
        """Whether the prefix is that of a momentum, teacher or otherwise averaged encoder."""
        return not _AVERAGED.isdisjoint(re.split(r"[._]", self.prefix.lower()))

    def worth(self) -> tuple[bool, bool, int, int]:
        """For sorting: complete before incomplete, trained before averaged, more before fewer, the shorter prefix first."""
        return not self.complete, self.averaged, -len(self.names), len(self.prefix)


def fits(architecture: Architecture, shapes: Shapes, *, padding: int = 1) -> list[Fit]:
    """How an architecture fits what is in a file, the best first.

    Args:
        shapes: names in the file and their shapes.
        padding: of the first convolution, should the file be of a ResNet for small images.
    """
    found = []
    for layout in _layouts(architecture):
        needed = [layout.in_file(name) for name in architecture.shapes(Variant())]
        for prefix in _prefixes(needed, shapes, at_least=_ANCHORS // 2 if layout.places else 1):
            found.append(_fit(architecture, layout, prefix, shapes, padding))
    return sorted(found, key=Fit.worth)


def _layouts(architecture: Architecture) -> Iterator[Layout]:
    yield Layout({})
    children = [name for name, _ in architecture.skeleton(Variant()).named_children()]
    yield Layout({name: str(place) for place, name in enumerate(children)})
    if "maxpool" in children:
        children.remove("maxpool")
        yield Layout({name: str(place) for place, name in enumerate(children)}, max_pool=False)


def _prefixes(needed: Sequence[str], shapes: Shapes, *, at_least: int) -> list[str]:
    """What stands before some names, taken evenly from all, where they end a name in the file: the prefixes with most of them."""
    anchors = needed[:: max(1, len(needed) // _ANCHORS)]
    counts = Counter(name[: -len(anchor)] for name in shapes for anchor in anchors if name == anchor or name.endswith(f".{anchor}"))
    most = max(counts.values(), default=0)
    return sorted(prefix for prefix, count in counts.items() if 2 * count >= most >= at_least)


def _fit(architecture: Architecture, layout: Layout, prefix: str, shapes: Shapes, padding: int) -> Fit:
    there = {layout.in_network(name[len(prefix) :]): name for name in shapes if name.startswith(prefix)}
    present = {name: in_file for name, in_file in there.items() if name is not None}
    variant = architecture.variant(
        {name: shapes[in_file] for name, in_file in present.items()}, max_pool=layout.max_pool, padding=padding
    )  # fmt: skip
    needed = architecture.shapes(variant)
    good = {name: present[name] for name in needed if name in present and shapes[present[name]] == needed[name]}
    return Fit(
        architecture,
        variant,
        prefix,
        layout,
        names=good,
        missing=tuple(name for name in needed if name not in present and not name.endswith(_COUNTER)),
        reshaped=tuple(
            (name, tuple(shapes[present[name]]), tuple(needed[name])) for name in needed if name in present and name not in good
        ),
        surplus=tuple(_surplus(architecture, needed, present)),
    )  # fmt: skip


def _surplus(architecture: Architecture, needed: Shapes, present: Mapping[str, str]) -> list[str]:
    network = architecture.skeleton(Variant())
    parts = {name for name, _ in network.named_children()} - set(architecture.heads)
    found = [name for name in present if name not in needed and not name.endswith(_COUNTER) and name.partition(".")[0] in parts]
    fleeting = {name for name, _ in network.named_buffers()} if found else set()  # saved by older versions, made anew by today's
    return [name for name in found if name not in fleeting]
