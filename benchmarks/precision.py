"""Maps in bf16 against maps in fp32, and the time of each: is the faster one still the same map?

python -m benchmarks.precision RUN [RUN ...]     RUN: folder of a finished run of train.py; EfficientNet-Lite0 (ImageNet) comes on top
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from torch import Tensor

from benchmarks.common import correlation, device, imagenet_encoder, in_turns, machine, of_run, parse, photographs, table
from cocoa_pl.build import load_encoder
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import ATTRIBUTIONS
from cocoa_pl.targets import cocoa, contrastive_label_free, stack

_OPTIONS: dict[str, dict[str, int]] = {
    "gradient": {}, "integrated_gradients": {"num_steps": 8}, "gradient_shap": {"num_samples": 8}, "grad_cam": {},
    "rise": {"num_masks": 256}, "kernel_shap": {"num_samples": 64, "grid_size": 4},
}  # fmt: skip
_SMOKE_MASKS = 8  # bfloat16 without instructions for it takes seconds an image


def main() -> None:
    """Print the table."""
    args = parse(__doc__, of_runs=True)
    print(f"{machine()}\n")
    rows = []
    for run in args.runs:
        name, images, foil = of_run(run, num=1 if args.smoke else 8, num_foil=200)
        make = partial(load_encoder, run, device=device())
        rows += compare(f"SimCLR, {name}", lambda precision, make=make: make(precision=precision), images, foil, smoke=args.smoke)  # type: ignore[misc]
    images, foil = (each[:2] for each in photographs(1, size=64)) if args.smoke else photographs(1)
    rows += compare("EfficientNet-Lite0, ImageNet", lambda p: imagenet_encoder(precision=p), images, foil, smoke=args.smoke)
    table(["encoder", "px", "method", "correlation, least", "correlation, mean", "time bf16 / fp32"], rows)


def compare(
    name: str, make: Callable[[str], FrozenEncoder], images: Tensor, foil: Tensor, *, smoke: bool
) -> list[tuple[object, ...]]:  # fmt: skip
    """A row a method: correlation of its maps in both precisions over explicands and targets, and the ratio of times."""
    rows: list[tuple[object, ...]] = []
    for method in ("gradient", "rise") if smoke else _OPTIONS:
        options = dict(_OPTIONS[method]) | ({"grid_size": 4} if method == "rise" and images.shape[-1] <= 64 else {})
        options |= {"num_masks": _SMOKE_MASKS} if smoke and method == "rise" else {}
        explain = []
        for precision in ("32", "bf16"):
            encoder = make(precision)
            reps, foils = encoder.encode(images), encoder.encode(foil)
            half = min(20, len(foils) // 2)
            target = stack([contrastive_label_free(reps, foils), cocoa(foils[:half], foils[half:])])
            explainer = Explainer(encoder, attributions={method: ATTRIBUTIONS.load(method)(**options)})
            explain.append(lambda e=explainer, t=target, m=method: e.explain(images, t, seed=0).attributions[m])  # type: ignore[misc]
        exact, rounded = (run() for run in explain)
        each = correlation(exact, rounded)
        seconds = in_turns(*explain, repeats=1)
        rows.append((name, images.shape[-1], method, f"{float(each.min()):.5f}", f"{float(each.mean()):.5f}", seconds[1] / seconds[0]))
    return rows


if __name__ == "__main__":
    main()
