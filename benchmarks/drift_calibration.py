"""How often a map is said to have drifted: between two looks at one encoder, and between encoders of two epochs.

python -m benchmarks.drift_calibration EARLY LATE     EARLY, LATE: two checkpoints of one run of train.py

A look takes masks, a foil and, for every explicand, a corpus of its class. Both looks at the one encoder draw all of them anew, the
references without overlap, so that whatever differs is noise. Two epochs are looked at with the masks and references in common, as in
training, and with others. Every explicand has a foil of its own: in one look they would share one, and be flagged together or not at all.

The interval is Clopper and Pearson's (1934). Cases of one pair of looks share masks; where they are flagged together more often than by
chance, they count for fewer (Korn & Graubard, "Confidence intervals for proportions with small expected number of positive counts", Survey
Methodology 24, 1998).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from scipy.stats import beta
from torch import Tensor

from benchmarks.common import device, encoder, machine, parse, table
from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.build import build_splits, load_encoder
from cocoa_pl.config import load_config
from cocoa_pl.data.source import Source
from cocoa_pl.data.splits import Splits, scenes_splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.drift import NoisyMaps, change, signal_share
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.monitor.budget import Stopwatch
from cocoa_pl.monitor.explaining import explain_with_noise
from cocoa_pl.monitor.noise import NUM_CONTRASTS, noisy_maps
from cocoa_pl.monitor.references import References
from cocoa_pl.removal import Blur
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution

_EXPLICANDS = 16  # of a look
_CASES, _OF_EPOCHS = 1024, 256  # cases of one encoder, and of two
_SIZES = (50, 750), (100, 1500)  # corpus and foil: the defaults, the paper's
_MASKS = (64, 128, 256, 512)
_KINDS = "one encoder", "two epochs, masks and references in common", "two epochs, others"
_TARGETS = {"": "original image", "-class": "class"}

Look = dict[str, NoisyMaps]
Drawn = dict[str, list[tuple[Tensor, Tensor]]]
"""Name of a size to the corpus and the foil of each explicand, as positions in the training split."""


class Encoded(NamedTuple):
    """An encoder with everything a look compares: representations of the training split and of the explicands."""

    encoder: FrozenEncoder
    train: Tensor
    val: Tensor


@dataclass(frozen=True)
class OwnReferences:
    """References of N explicands, each with a foil and a corpus of its own, in several sizes; in place of one ``References`` for all.

    Args:
        of_sizes: name of a size to the references of each explicand.
    """

    of_sizes: dict[str, Sequence[References]]

    def directions(self) -> dict[str, Tensor]:
        """Directions (N, D) of each size and target."""
        made = {name: [one.directions() for one in each] for name, each in self.of_sizes.items()}
        return {f"{suffix}/{name}": torch.cat([one[suffix] for one in each]) for name, each in made.items() for suffix in _TARGETS}

    def contrasts(self, rows: Tensor, images: Tensor, *, seed: int) -> DirectionTarget:
        """Contrasts of every explicand: G x K targets, K those of all sizes."""
        zero = torch.zeros(1, dtype=torch.long)

        def of_size(each: Sequence[References]) -> Tensor:
            made = [one.contrasts(rows[n : n + 1], zero, seed=seed).directions for n, one in enumerate(each)]
            return torch.cat(made, dim=1).view(NUM_CONTRASTS, -1, len(made), made[0].shape[-1])

        directions = torch.cat([of_size(each) for each in self.of_sizes.values()], dim=1).flatten(0, 1)
        return DirectionTarget(directions, names=[f"contrast {number}" for number in range(len(directions))])


def main() -> None:
    """Print the table."""
    args = parse(__doc__, of_runs=True)
    splits, early, late = _smoke() if args.smoke else _of_checkpoints(*args.runs)
    masks, sizes, cases = ((16,), ((4, 20),), _EXPLICANDS) if args.smoke else (_MASKS, _SIZES, _CASES)
    print(f"{machine()}; {cases} cases of one encoder, {min(cases, _OF_EPOCHS)} of two epochs\n")
    methods = {"integrated_gradients": IntegratedGradients(num_steps=8)} | {f"rise{num}": Rise(num_masks=num, grid_size=4) for num in masks}
    rows = judge(splits, _encoded(early, splits), _encoded(late, splits), methods, sizes=sizes, pairs=cases // _EXPLICANDS)
    table(["method", "towards", "corpus, foil", "reliability", *(f"flagged: {kind}" for kind in _KINDS)], rows)


def judge(
    splits: Splits, early: Encoded, late: Encoded, methods: Mapping[str, Attribution], *, sizes: Sequence[tuple[int, int]], pairs: int
) -> list[tuple[object, ...]]:
    """A row a trace: reliability of late maps, and the share of maps flagged of each kind with its interval."""
    flags: dict[str, dict[str, list[Tensor]]] = {}
    reliability: dict[str, list[Tensor]] = {}
    for pair in range(pairs):
        ids, one, other = draw(splits, sizes, seed=pair)
        look = partial(look_at, splits.val, methods, ids)
        first, second = look(late, one, seed=2 * pair), look(late, other, seed=2 * pair + 1)
        before = look(early, one, seed=2 * pair) if pair * _EXPLICANDS < _OF_EPOCHS else {}
        for trace, maps in first.items():
            found = flags.setdefault(trace, {kind: [] for kind in _KINDS})
            reliability.setdefault(trace, []).append(signal_share(maps))
            found[_KINDS[0]].append(change(second[trace], maps).flagged)
            if trace in before:
                found[_KINDS[1]].append(change(maps, before[trace]).flagged)
                found[_KINDS[2]].append(change(second[trace], before[trace]).flagged)
    rows: list[tuple[object, ...]] = []
    for trace, of_kinds in flags.items():
        (trace_of, size), shares = trace.split("/"), [_share(torch.stack(of_kinds[kind])) for kind in _KINDS]
        method, dash, target = trace_of.partition("-")
        rows.append((method, _TARGETS[dash + target], size, f"{float(torch.cat(reliability[trace]).mean()):.2f}", *shares))
    return rows


def draw(splits: Splits, sizes: Sequence[tuple[int, int]], *, seed: int) -> tuple[Tensor, Drawn, Drawn]:
    """Explicands, as positions in the validation split, and two draws of references for each that have no image in common."""
    labels, of_val = splits.train.labels, splits.val.labels
    assert labels is not None, "corpora need labels"
    assert of_val is not None, "corpora need labels"
    ids = torch.randperm(len(of_val), generator=generator(seed, "explicands"))[:_EXPLICANDS]
    halves: tuple[Drawn, Drawn] = {}, {}
    most_corpus, most_foil = (max(column) for column in zip(*sizes, strict=True))
    for number, label in enumerate(of_val[ids].tolist()):
        order, again = (torch.randperm(len(labels), generator=generator(seed, what, number)) for what in ("corpus", "foil"))
        corpora = order[labels[order] == label][: 2 * most_corpus].chunk(2)
        foils = again[~torch.isin(again, torch.cat(corpora))][: 2 * most_foil].chunk(2)
        for drawn, corpus, foil in zip(halves, corpora, foils, strict=True):
            for num_corpus, num_foil in sizes:
                drawn.setdefault(f"{num_corpus}, {num_foil}", []).append((corpus[:num_corpus], foil[:num_foil]))
    return ids, *halves


def look_at(val: Source, methods: Mapping[str, Attribution], ids: Tensor, encoded: Encoded, drawn: Drawn, *, seed: int) -> Look:
    """The maps of every trace with what is known of their noise, as ``Monitor.look`` makes them."""
    zero, (train, of_val) = torch.zeros(1, dtype=torch.long), encoded[1:]

    def references(row: int, corpus: Tensor, foil: Tensor) -> References:
        return References(of_val[row : row + 1], zero, (0,), (train[foil],) * 2, (train[corpus][None],) * 2)

    reference = OwnReferences(
        {name: [references(row, *own) for row, own in zip(ids.tolist(), each, strict=True)] for name, each in drawn.items()}
    )
    rows = torch.arange(len(ids))
    explained = explain_with_noise(
        Explainer(encoded.encoder, attributions=methods, removal=Blur()), val.load(ids.tolist()).float().to(train.device) / 255,
        rows=rows, originals=rows, num_originals=len(rows), reference=reference, previous={},  # type: ignore[arg-type]
        seed=derive_seed(seed, "calibration"), stopwatch=Stopwatch(),
    )  # fmt: skip
    own = explained.rows
    return {
        f"{method}{suffix}": noisy_maps(
            own[f"map/{method}{suffix}"], own[f"draw/{method}{suffix}"], monte_carlo=own[f"monte_carlo/{method}{suffix}"],
            references=own[f"references/{method}{suffix}"], spread=own[f"spread/{method}{suffix}"], dims=explained.dims.get(method),
            num_samples=explained.num_samples.get(method),
        )
        for suffix in reference.directions() for method in methods
    }  # fmt: skip


def interval(flags: Tensor, *, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson's interval of the share flagged, from flags (pairs, cases), with Korn and Graubard's number of cases."""
    num, share, tail = float(flags.numel()), float(flags.double().mean()), (1 - confidence) / 2
    spread = float(flags.double().mean(1).var()) / len(flags) if len(flags) > 1 else 0.0
    num = min(num, share * (1 - share) / spread) if spread > 0 else num
    hits = share * num
    low = float(beta.ppf(tail, hits, num - hits + 1)) if hits > 0 else 0.0
    high = float(beta.ppf(1 - tail, hits + 1, num - hits)) if hits < num else 1.0
    return low, high


def _share(flags: Tensor) -> str:
    low, high = interval(flags)
    return f"{100 * float(flags.float().mean()):.1f} % [{100 * low:.1f}, {100 * high:.1f}]"


def _of_checkpoints(early: Path, late: Path) -> tuple[Splits, FrozenEncoder, FrozenEncoder]:
    splits = build_splits(load_config(read_checkpoint(late)["cocoa_pl"]["config"], overrides=[]))
    return splits, load_encoder(early, device=device()), load_encoder(late, device=device())


def _smoke() -> tuple[Splits, FrozenEncoder, FrozenEncoder]:
    return scenes_splits(num_train=200, num_val=40), encoder("resnet18", size=32), encoder("small_resnet", size=32)


def _encoded(encoder: FrozenEncoder, splits: Splits) -> Encoded:
    train, val = (encoder.encode(source.load(list(range(len(source))))) for source in (splits.train, splits.val))
    return Encoded(encoder, train, val)


if __name__ == "__main__":
    main()
