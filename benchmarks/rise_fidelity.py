"""How many masks RISE needs for the map that 16 384 masks give: the centred estimator against the plain one.

python -m benchmarks.rise_fidelity RUN [RUN ...]     RUN: folder of a finished run of train.py; EfficientNet-Lite0 (ImageNet) comes on top

The reference is the centred map of 16 384 other masks. Both estimators see the same masks; fidelity is the correlation over pixels.
The last columns: how near the plain estimator comes with the 5000 masks of the COCOA paper, or the next number tried, and how many
centred ones come as near.
"""

from __future__ import annotations

from torch import Tensor

from benchmarks.common import correlation, device, imagenet_encoder, machine, of_run, parse, photographs, table
from cocoa_pl.attributions import Rise, RiseSums
from cocoa_pl.build import load_encoder
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.removal import Blur
from cocoa_pl.streaming import automatic_chunk_size
from cocoa_pl.targets import contrastive_label_free
from cocoa_pl.types import Scorer

_FIDELITY = 0.95
_PAPER = 5000  # masks of the COCOA paper


def main() -> None:
    """Print the table."""
    args = parse(__doc__, of_runs=True)
    num_reference, num = (64, 1) if args.smoke else (16_384, 8)
    print(f"{machine()}; reference: {num_reference} masks\n")
    rows = []
    for run in args.runs:
        name, images, foil = of_run(run, num=num, num_foil=400)
        rows.append(compare(f"SimCLR, {name}", load_encoder(run, device=device()), images, foil, grid_size=4, num_reference=num_reference))
    images, foil = photographs(1, size=64 if args.smoke else 224)
    encoder = imagenet_encoder(precision="32" if args.smoke else "bf16")  # without instructions for it, bfloat16 takes minutes
    rows.append(compare("EfficientNet-Lite0, ImageNet", encoder, images, foil, grid_size=7, num_reference=num_reference))
    names = ["encoder", "px", "centred, masks", "plain, masks", "ratio", "centred at 64", "plain at 64", "centred at 256", "plain at 256"]
    table([*names, "plain at 5000", "centred as near"], rows)


def compare(
    name: str, encoder: FrozenEncoder, images: Tensor, foil: Tensor, *, grid_size: int, num_reference: int
) -> tuple[object, ...]:  # fmt: skip
    """Masks that each estimator needs for the fidelity, their ratio, the fidelity at 64 and 256 masks, and what 5000 plain ones reach."""
    target = contrastive_label_free(encoder.encode(images), encoder.encode(foil))
    scorer, baseline = Scorer(encoder, target), Blur()(images)

    def sums(first: int, num: int) -> RiseSums:
        method = Rise(num_masks=num, grid_size=grid_size)
        size = automatic_chunk_size(images.shape[-2], images.shape[-1], images.device)
        return method.sums(scorer, images, baseline, seed=0, first=first, chunk_size=size)

    truth = sums(1 << 20, num_reference).attribution()
    ends = sorted({int(16 * 2 ** (k / 4)) // 2 * 2 for k in range(45)} & set(range(3 * num_reference // 8 + 1)))
    fidelity: dict[bool, list[float]] = {True: [], False: []}
    total: RiseSums | None = None
    for start, end in zip([0, *ends], ends, strict=False):
        part = sums(start, end - start)
        total = part if total is None else total + part
        for centred, found in fidelity.items():
            found.append(float(correlation(total.attribution(centred=centred), truth).mean()))
    needed = [next((n for n, r in zip(ends, found, strict=True) if r >= _FIDELITY), None) for found in fidelity.values()]
    ratio = "" if needed[0] is None else f"{needed[0] / needed[1]:.3f}" if needed[1] else f"< {needed[0] / ends[-1]:.3f}"
    at = [fidelity[centred][ends.index(n)] for n in (64, 256) if n in ends for centred in (True, False)]
    plain = next((r for n, r in zip(ends, fidelity[False], strict=True) if n >= _PAPER), fidelity[False][-1])
    near = next((n for n, r in zip(ends, fidelity[True], strict=True) if r >= plain), f"> {ends[-1]}")
    return (name, images.shape[-1], *(n or f"> {ends[-1]}" for n in needed), ratio, *at, *[""] * (4 - len(at)), plain, near)


if __name__ == "__main__":
    main()
