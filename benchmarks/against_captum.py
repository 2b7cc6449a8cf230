"""Integrated gradients and GradientSHAP against captum's, the same steps and batch, side by side; and what further targets cost."""

from __future__ import annotations

from collections.abc import Callable

import torch
from captum.attr import GradientShap as CaptumGradientShap
from captum.attr import IntegratedGradients as CaptumIntegratedGradients
from torch import Tensor

from benchmarks.common import device, encoder, in_turns, machine, parse, pictures, table
from cocoa_pl.attributions import GradientShap, IntegratedGradients
from cocoa_pl.removal import Blur
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution, Scorer

_STEPS = 50


def main() -> None:
    """Print both tables."""
    smoke = parse(__doc__).smoke
    print(f"{machine()}\n")
    cases = [("small_resnet", 32, 200, 16), ("resnet18", 64 if smoke else 224, 50, 2)]
    table(
        ["encoder", "px", "explicands", "batch", "method", "ours / captum"],
        [
            (name, size, 1 if smoke else num, batch, method, ratio(name, size, batch, 1 if smoke else num, method, smoke=smoke))
            for name, size, batch, num in cases
            for method in ("integrated gradients", "GradientSHAP")
        ],
    )
    table(
        ["encoder", "px", "targets", "time of IG over one target's"],
        [(name, size, k, targets(name, size, batch, k, smoke=smoke)) for name, size, batch, _ in cases for k in (2, 4)],
    )


def ratio(name: str, size: int, batch: int, num: int, method: str, *, smoke: bool) -> float:
    """Seconds of ours over seconds of captum's, one target."""
    frozen, images = encoder(name, size=size), pictures(num, size=size)
    target = _target(frozen, images, 1)
    baseline, steps = Blur()(images), 5 if smoke else _STEPS

    def score(batch_of: Tensor) -> Tensor:
        return target(frozen(batch_of), torch.zeros(len(batch_of), dtype=torch.long, device=device()))[:, 0]

    ours: Attribution
    theirs: Callable[[], object]
    if method == "GradientSHAP":
        ours, captum = GradientShap(num_samples=steps, noise=0.2), CaptumGradientShap(score)
        per_call = max(1, batch // num)  # captum takes all samples of a call in one batch

        def theirs() -> None:
            for first in range(0, steps, per_call):
                captum.attribute(images, baselines=baseline, n_samples=min(per_call, steps - first), stdevs=0.2)

    else:
        ours, reference = IntegratedGradients(num_steps=steps), CaptumIntegratedGradients(score)

        def theirs() -> None:
            reference.attribute(images, baselines=baseline, n_steps=steps, method="gausslegendre", internal_batch_size=batch)

    seconds = in_turns(lambda: ours(Scorer(frozen, target), images, baseline, seed=0, chunk_size=batch), theirs, repeats=1 if smoke else 7)
    return seconds[0] / seconds[1]


def targets(name: str, size: int, batch: int, num_targets: int, *, smoke: bool) -> float:
    """Seconds of integrated gradients of several targets over those of one: the forward pass is shared."""
    frozen, images = encoder(name, size=size), pictures(1 if smoke else 4, size=size)
    method, baseline = IntegratedGradients(num_steps=4 if smoke else 16), Blur()(images)
    one, several = (Scorer(frozen, _target(frozen, images, k)) for k in (1, num_targets))
    runs = [lambda s=s: method(s, images, baseline, seed=0, chunk_size=batch) for s in (one, several)]
    seconds = in_turns(*runs, repeats=1 if smoke else 7)
    return seconds[1] / seconds[0]


def _target(frozen: object, images: Tensor, num: int) -> DirectionTarget:
    length = frozen.encode(images[:1]).shape[1]  # type: ignore[attr-defined]
    return DirectionTarget(torch.randn(num, length, device=device()), names=[f"t{i}" for i in range(num)])


if __name__ == "__main__":
    main()
