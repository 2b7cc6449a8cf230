"""What the grid asks for, and how many images go through the encoder for it: all of it at once, or a cell at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from cocoa_pl.study.asking import judges_of, parts_of, wanted
from cocoa_pl.types import Attribution, Removal

REPLACED = "cocoa"  # the target that the randomised network is asked for


@dataclass(frozen=True)
class Plan:
    """The grid of one encoder.

    Attributes:
        targets, settings, measures, controls: of ``config.study``.
        methods: name to attribution method.
        controlled: name to control.
        randomised: explain COCOA by the network with redrawn parameters too.
        in_sample: judge by the corpus and foil that were explained.
        removal: what absent pixels show.
        curve_steps: of insertion and deletion.
        num_seeds, num_classes, per_class, corpus_size, foil_size: how many of each.
        chunk_size: images in one pass; None chooses by their size.
    """

    targets: tuple[str, ...]
    settings: tuple[str, ...]
    measures: tuple[str, ...]
    methods: Mapping[str, Attribution]
    controlled: Mapping[str, Attribution]
    randomised: bool
    in_sample: bool
    removal: Removal
    curve_steps: int
    num_seeds: int
    num_classes: int
    per_class: int
    corpus_size: int
    foil_size: int
    chunk_size: int | None = None

    @property
    def num_explicands(self) -> int:
        """Of a seed."""
        return self.num_classes * self.per_class

    def forwards_of_maps(self, num: int, height: int, width: int) -> int:
        """Images encoded for all maps of some explicands, and their curves; corpora, foils and heads apart."""
        methods = num + sum(method.num_forwards(num, height, width) for method in self.methods.values())  # and the explicands' scores
        explained = methods if self.targets and self.methods else 0
        wiped = num + methods if self.randomised and self.methods else 0
        known = num * (bool(explained or wiped) + bool(self.controlled))
        maps = len(self.methods) * len(wanted(self.targets, self.settings)) + len(self.controlled)
        maps += len(self.methods) * len(self.settings) if self.randomised else 0
        return known + explained + wiped + maps * num * 2 * self.curve_steps

    def forwards_of_references(self) -> int:
        """Images of corpora and foils encoded for a seed."""
        sizes = {"corpus": self.num_classes * self.corpus_size, "foil": self.foil_size, "explicand": 0}
        asked = parts_of(self.targets) if self.methods and self.targets else set()
        total = sum(sizes[part] for part in asked)
        judged = judges_of(self.measures)
        total += sum(sizes[part] for part in (judged - asked if self.in_sample else judged))
        if self.randomised and self.methods:
            total += sizes["corpus"] + sizes["foil"]
        return total

    def cells(self) -> Iterator[Plan]:
        """Plans of single cells: a method, a target, a setting and a measure each; the randomised network and controls are targets here."""
        for setting in self.settings:
            for measure in self.measures:
                one = replace(self, settings=(setting,), measures=(measure,), methods={}, controlled={}, randomised=False, targets=())
                for method, made in self.methods.items():
                    for target in self.targets:
                        yield replace(one, methods={method: made}, targets=(target,))
                    if self.randomised:
                        yield replace(one, methods={method: made}, randomised=True)
                for control, made in self.controlled.items():
                    yield replace(one, controlled={control: made})


def forwards(plan: Plan, height: int, width: int) -> int:
    """Images encoded for a plan, the linear head's apart."""
    return plan.num_seeds * (plan.forwards_of_maps(plan.num_explicands, height, width) + plan.forwards_of_references())


def forwards_alone(plan: Plan, height: int, width: int) -> int:
    """The same with every cell computed on its own, each with its own maps, curves, corpora and foils; the linear head's apart."""
    return sum(forwards(cell, height, width) for cell in plan.cells())
