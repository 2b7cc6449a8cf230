"""What RISE costs beside the encoder: one masked image against the bare forward pass, and many targets against one."""

from __future__ import annotations

import torch

from benchmarks.common import device, encoder, in_turns, machine, parse, pictures, table
from cocoa_pl.attributions import Rise
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free, stack
from cocoa_pl.types import Scorer


def main() -> None:
    """Print both tables."""
    smoke = parse(__doc__).smoke
    print(f"{machine()}\n")
    cases = [("small_resnet", 32, 16), ("resnet18", 64, 4)] if smoke else [("small_resnet", 32, 256), ("resnet18", 224, 32)]
    rows = [
        (name, size, batch, precision, *overhead(name, size, batch, precision, smoke=smoke))
        for name, size, batch in cases
        for precision in ("32", "bf16")
    ]
    table(["encoder", "px", "batch", "precision", "forward, ms an image", "RISE, ms a masked image", "ratio"], rows)
    table(
        ["encoder", "px", "targets", "ratio to one target"],
        [(name, size, 40, many_targets(name, size, batch, smoke=smoke)) for name, size, batch in cases],
    )


def overhead(name: str, size: int, batch: int, precision: str, *, smoke: bool) -> tuple[float, float, float]:
    """Milliseconds of a bare forward and of a masked image, same batches, precision and layout; and their ratio."""
    frozen, passes = encoder(name, size=size, precision=precision), 1 if smoke else 4
    images = pictures(1, size=size)
    target = DirectionTarget(torch.randn(1, _length(frozen, images), device=device()), names=["it"])
    bare = images.expand(batch, -1, -1, -1).contiguous(memory_format=torch.channels_last)
    method = Rise(num_masks=passes * batch, grid_size=4 if size <= 64 else 7)

    def forward() -> None:
        with torch.no_grad(), torch.autocast(device().type, torch.bfloat16, enabled=precision == "bf16"):
            for _ in range(passes):
                frozen.module(bare)

    def rise() -> None:
        method(Scorer(frozen, target), images, torch.zeros_like(images), seed=0, chunk_size=batch)

    seconds = in_turns(forward, rise, repeats=1 if smoke else 9)
    own, masked = (1000 * second / (passes * batch) for second in seconds)
    return own, masked, masked / own


def many_targets(name: str, size: int, batch: int, *, smoke: bool) -> float:
    """Time of one RISE pass for 40 targets, 4 of each of 10 corpora, over the time for one of them."""
    frozen, images = encoder(name, size=size), pictures(1 if size > 64 else 2, size=size)
    reps = frozen.encode(images)
    draw = torch.Generator().manual_seed(0)
    references = reps.mean(0) * (1 + torch.rand(400, reps.shape[1], generator=draw).to(reps))
    corpora, foil = references[:100].split(10), references[100:]  # type: ignore[no-untyped-call]
    made = [
        target
        for corpus in corpora
        for target in (cocoa(corpus, foil), corpus_similarity(corpus), contrastive_label_free(reps, foil), label_free(reps))
    ]
    scorers = [Scorer(frozen, made[0]), Scorer(frozen, stack(made))]
    method = Rise(num_masks=batch if smoke else 8 * batch, grid_size=4 if size <= 64 else 7)
    runs = [lambda s=s: method(s, images, torch.zeros_like(images), seed=0, chunk_size=batch) for s in scorers]
    seconds = in_turns(*runs, repeats=1 if smoke else 5)
    return seconds[1] / seconds[0]


def _length(frozen: object, images: torch.Tensor) -> int:
    return int(frozen.encode(images[:1]).shape[1])  # type: ignore[attr-defined]


if __name__ == "__main__":
    main()
