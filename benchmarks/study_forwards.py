"""A study's grid computed at once, against each of its cells computed on its own: images through the encoder, and time.

python -m benchmarks.study_forwards [RUN]     RUN: folder of a finished run of train.py; else an untrained small_resnet on scenes

Measured on a grid of few explicands with a tenth of all steps, by the very engine of ``python -m cocoa_pl.study``, whose cells are plans of
one method, target, setting and measure each. What the paper's sizes would cost is counted, by the same rules, below it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.common import IMAGENET, device, machine, network, parse, table
from cocoa_pl.build import AskedEncoder, build_splits, config_of_run, open_encoder
from cocoa_pl.build.encoders import EncoderOptions
from cocoa_pl.config import StudyConfig, load_as, to_dict
from cocoa_pl.data.splits import Splits, scenes_splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.study.cells import Cells
from cocoa_pl.study.drawing import draw
from cocoa_pl.study.grid import Seed
from cocoa_pl.study.opening import plan_of
from cocoa_pl.study.plan import Plan, forwards, forwards_alone
from cocoa_pl.study.subject import LinearHead, Subject

_CLASSES = 3
_SMALL = [
    "study.seeds=[1]", "study.per_class=2", "study.num_bank=500", "explain.num_masks=51", "explain.num_steps=5", "explain.num_samples=5",
    "explain.curve_steps=5", "explain.corpus_size=10", "explain.foil_size=150",
]  # fmt: skip
_SMOKE = [
    "study.per_class=1", "explain.num_masks=4", "explain.num_steps=2", "explain.num_samples=2", "explain.curve_steps=2",
    "explain.corpus_size=2", "explain.foil_size=4", "study.measures=[corpus_majority,representation_shift]",
    "explain.attributions=[integrated_gradients,rise]",
]  # fmt: skip


def main() -> None:
    """Print the tables."""
    args = parse(__doc__, of_runs=True)
    options = [*_SMALL, *(_SMOKE if args.smoke else [])]
    title, asked, splits, config = _of_run(args.runs[0], options) if args.runs else _untrained(options, smoke=args.smoke)
    subject = Subject(title, asked, asked.on(device()), splits, Cells(None))
    plan = plan_of(config, splits, num_classes=_CLASSES)
    head = subject.head(num_bank=config.study.num_bank)
    size = (splits.image_size, splits.image_size)
    print(f"{machine()}; {title}, {size[0]} px, {plan.num_explicands} explicands, {len(list(plan.cells()))} cells of the grid\n")
    _measure(subject, plan, config, head)  # warm
    at_once, seconds = _measure(subject, plan, config, head)
    each = [_measure(subject, cell, config, head) for cell in plan.cells()]
    alone, longer = sum(num for num, _ in each), sum(spent for _, spent in each)
    table(
        ["grid", "images, at once", "images, cell by cell", "ratio", "counted beforehand", "time, cell by cell / at once"],
        [("measured", at_once, alone, f"{alone / at_once:.1f}", f"{forwards_alone(plan, *size) / forwards(plan, *size):.1f}",
          f"{longer / seconds:.1f}")],
    )  # fmt: skip
    table(["the paper's grid, counted", "images, at once", "images, cell by cell", "ratio"], list(_counted(splits)))


def _measure(subject: Subject, plan: Plan, config: StudyConfig, head: LinearHead) -> tuple[int, float]:
    """Images encoded for a plan, corpora and foils included, and seconds."""
    drawn = draw(
        subject.splits.train, subject.splits.val, labels=torch.arange(_CLASSES), seed=config.study.seeds[0], per_class=plan.per_class,
        corpus_size=plan.corpus_size, foil_size=plan.foil_size, judge_corpus_size=plan.corpus_size, judge_foil_size=plan.foil_size,
    )  # fmt: skip
    seed = Seed(subject, plan, drawn, head)
    with _counting() as counted:
        began = time.perf_counter()
        for rows in seed.blocks():
            seed.compute(rows)
        return counted[0], time.perf_counter() - began


@contextmanager
def _counting() -> Iterator[list[int]]:
    """Images that go through any encoder, copies with redrawn parameters included."""
    counted, ask = [0], FrozenEncoder.__call__

    def asked(encoder: FrozenEncoder, images: Tensor) -> Tensor:
        counted[0] += len(images)
        return ask(encoder, images)

    FrozenEncoder.__call__ = asked  # type: ignore[method-assign]
    try:
        yield counted
    finally:
        FrozenEncoder.__call__ = ask  # type: ignore[method-assign]


def _counted(splits: Splits) -> Iterator[tuple[object, ...]]:
    for title, options in (
        ("RISE of 512 centred masks, the default", []),
        ("RISE alone", ["explain.attributions=[rise]"]),
        ("RISE of 64 masks", ["explain.num_masks=64"]),
        ("RISE of 5000, as in the paper", ["explain.num_masks=5000"]),
    ):
        plan = plan_of(load_as(StudyConfig, overrides=options), splits, num_classes=10)
        once, alone = (count(plan, splits.image_size, splits.image_size) for count in (forwards, forwards_alone))
        yield title, f"{once:,}", f"{alone:,}", f"{alone / once:.1f}"


def _of_run(run: Path, options: list[str]) -> tuple[str, AskedEncoder, Splits, StudyConfig]:
    path = run / "last.ckpt"
    own = to_dict(config_of_run(path, ()))
    config = load_as(StudyConfig, {name: own[name] for name in ("model", "data", "run")}, overrides=options)
    return f"{own['model']['method']} of {own['data']['name']}", open_encoder(path, config, EncoderOptions()), build_splits(config), config


def _untrained(options: list[str], *, smoke: bool) -> tuple[str, AskedEncoder, Splits, StudyConfig]:
    splits = scenes_splits(num_train=400 if smoke else 2000, num_val=100)
    bare = network("small_resnet", size=splits.image_size)

    def on(device: torch.device, *, change: object = None) -> FrozenEncoder:
        return FrozenEncoder(change(bare) if callable(change) else bare, device=device, **IMAGENET)

    asked = AskedEncoder("untrained", {}, splits.image_size, "", (), on)
    return "untrained small_resnet, scenes", asked, splits, load_as(StudyConfig, overrides=options)


if __name__ == "__main__":
    main()
