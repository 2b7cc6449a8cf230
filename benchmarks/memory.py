"""Peak memory of explaining, images and maps included: with ten times the masks, and with ten times the explicands.

Each case is a process of its own, as a peak never falls within one; with --smoke only the first is. On a CPU the resident set is read, on a
GPU the allocator's peak.
"""

from __future__ import annotations

import resource
import subprocess
import sys

import torch

from benchmarks.common import device, encoder, machine, parse, pictures, table
from cocoa_pl.attributions import GradientShap, IntegratedGradients, Rise
from cocoa_pl.removal import Black
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution, Scorer

_SIZE, _CHUNK = 64, 64
_SMOKE = {"rise": (8, 1), "integrated_gradients": (8, 1), "gradient_shap": (8, 1)}
_CASES = {"rise": (256, 8), "integrated_gradients": (32, 8), "gradient_shap": (32, 8)}


def main() -> None:
    """Print the table, or with three words measure one case."""
    if len(sys.argv) == 4:
        print(measure(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
        return
    smoke = parse(__doc__).smoke
    print(f"{machine()}; small_resnet, {_SIZE} px, {_CHUNK} images a pass\n")
    rows: list[tuple[object, ...]] = []
    for name, (samples, num) in _SMOKE.items() if smoke else _CASES.items():
        for factor_samples, factor_num in ((1, 1),) if smoke else ((1, 1), (10, 1), (1, 10)):
            case = name, samples * factor_samples, num * factor_num
            rows.append((*case, measure(*case) if smoke and rows else _in_a_process(*case)))
    table(["method", "masks or steps", "explicands", "peak, MB beyond the start"], rows)


def _in_a_process(*case: object) -> float:
    command = [sys.executable, "-m", "benchmarks.memory", *map(str, case)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def measure(name: str, samples: int, num: int) -> float:
    """Megabytes at the peak beyond what there was after a warm-up of one small call, images and maps of the explicands included."""
    methods: dict[str, Attribution] = {
        "rise": Rise(num_masks=samples, grid_size=4), "integrated_gradients": IntegratedGradients(num_steps=samples),
        "gradient_shap": GradientShap(num_samples=samples),
    }  # fmt: skip
    torch.set_num_threads(2)
    frozen, images = encoder("small_resnet", size=_SIZE), pictures(num, size=_SIZE)
    target = DirectionTarget(torch.randn(1, frozen.encode(images[:1]).shape[1], device=device()), names=["it"])
    warm = {
        "rise": Rise(num_masks=_CHUNK, grid_size=4),
        "integrated_gradients": IntegratedGradients(num_steps=_CHUNK),
        "gradient_shap": GradientShap(num_samples=_CHUNK),
    }
    one = images[:1]
    for _ in range(3):
        warm[name](Scorer(frozen, target), one, Black()(one), seed=0, chunk_size=_CHUNK)
    before = _peak()
    methods[name](Scorer(frozen, target), images, Black()(images), seed=0, chunk_size=_CHUNK)
    return _peak() - before


def _peak() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10


if __name__ == "__main__":
    main()
