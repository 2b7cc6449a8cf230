"""What training and explaining send between GPUs, and what each of 2 to 512 of them does: counted by the code that does it, without a GPU.

Images encoded: one process of so many takes its share of a look, by the explain options of ``configs/imagenet.yaml`` and the code that
shares out; what the others would answer is made up, as the count does not depend on it. Bytes: by the sizes of parameters, projections
and rows. Speed-ups are an estimate from the rates below, which nobody measured here: what they assume is printed above the tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from benchmarks.common import parse, table
from cocoa_pl.build import build_explain_set, build_monitor, build_splits
from cocoa_pl.config import Config, load_config, read_yaml
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.models.backbones import build_backbone
from cocoa_pl.monitor import Monitor
from cocoa_pl.sharing import Team
from cocoa_pl.types import Rows

_SIZES = (1, 2, 8, 64, 512)
_GPUS_A_NODE = 8
_VIEWS_A_SECOND, _IMAGES_A_SECOND = 2500.0, 8000.0  # of one GPU: training on views, encoding (ResNet-50, 224 px, bf16)
_BANDWIDTH = {"node": 200e9, "network": 25e9}  # bytes a second and GPU
_LATENCY = {"node": 20e-6, "network": 50e-6}  # seconds a round
_SIDE, _STAND_IN_SIDE = 224, 32


def main() -> None:
    """Print the tables."""
    smoke = parse(__doc__).smoke
    config = load_config(read_yaml("configs/imagenet.yaml"))
    print(
        f"Assumed of a GPU: {_VIEWS_A_SECOND:.0f} views a second in training, {_IMAGES_A_SECOND:.0f} images a second encoded; between the "
        f"{_GPUS_A_NODE} of a machine {_BANDWIDTH['node'] / 1e9:.0f} GB/s, between machines {_BANDWIDTH['network'] / 1e9:.0f} GB/s each.\n"
    )
    size, length = config.data.batch_size, config.model.projection_dim
    print(f"A step of training: {config.model.backbone}, {size} images over all GPUs, projections of {length}\n")
    table(
        ["GPUs", "images each", "gradients, MB", "projections, MB", "batch statistics, MB", "similarities, MB", "speed-up"],
        [_step(size, config) for size in _SIZES if config.data.batch_size % size == 0],
    )
    monitor, encoder = _monitor(config, smoke=smoke)
    print(f"A look: {len(monitor.explain_set.explicands)} rows (explicands x views), {monitor.max_masks} masks\n")
    head = [
        "GPUs",
        "rows of its own",
        "rows shared",
        "masks of a shared row",
        "images encoded by each",
        "sums of shared rows, MB",
        "rows gathered, MB",
    ]
    table([*head, "speed-up"], _looks(monitor, encoder))


def _step(size: int, config: Config) -> tuple[object, ...]:
    """What one GPU sends in a step, and how much faster the step is."""
    network, dim = build_backbone(config.model.backbone, image_size=_SIDE, width=24, stem="auto")
    hidden, out, batch = config.model.hidden_dim or dim, config.model.projection_dim, config.data.batch_size
    num_params = sum(p.numel() for p in network.parameters()) + dim * hidden + hidden * out
    norms = [part.num_features for part in network.modules() if isinstance(part, nn.BatchNorm2d)] + [hidden, out]
    channels = sum(norms)
    ring = (size - 1) / size
    gradients = 2 * ring * num_params * 4
    projections = (ring + 2 * ring) * 2 * batch * out * 4  # gathered, and their gradients added up
    statistics = ring * size * (2 * channels + 1) * 4 + 2 * ring * 2 * channels * 4
    similarities = 2 * batch / size * 2 * batch * 4
    working, alone = 2 * batch / size / _VIEWS_A_SECOND, 2 * batch / _VIEWS_A_SECOND
    sending = _seconds(gradients, size, rounds=1) / 2 + _seconds(
        projections + statistics, size, rounds=2 * 54
    )  # half of the gradients meanwhile
    mega = [f"{value / 1e6:.1f}" for value in (gradients, projections, statistics, similarities)]
    return size, batch // size, *mega, f"{alone / (working + sending):.1f}"


def _looks(monitor: Monitor, encoder: FrozenEncoder) -> list[tuple[object, ...]]:
    rows, num_masks = len(monitor.explain_set.explicands), monitor.max_masks or 0
    out: list[tuple[object, ...]] = []
    alone = 0.0
    larger = (_SIDE / _STAND_IN_SIDE) ** 2
    for size in _SIZES:
        counted = [_count(monitor, encoder, rank, size) for rank in {0, size - 1}]
        images = max(each.images for each in counted)
        sums, gathered = max(each.sums for each in counted) * larger, sum(counted[0].rows for _ in range(size)) * larger
        seconds = images / _IMAGES_A_SECOND + _seconds(2 * sums + gathered, size, rounds=3)
        alone = alone or seconds
        left = rows % size
        shared = math.ceil(num_masks / size) if left else "-"
        out.append((size, rows // size, left, shared, images, f"{sums / 1e6:.0f}", f"{gathered / 1e6:.0f}", f"{alone / seconds:.1f}"))
    return out


def _seconds(num_bytes: float, size: int, *, rounds: int) -> float:
    """To send so many bytes from each GPU to others in so many rounds."""
    if size == 1:
        return 0.0
    where = "node" if size <= _GPUS_A_NODE else "network"
    return num_bytes / _BANDWIDTH[where] + rounds * _LATENCY[where] * math.ceil(math.log2(size))


class _Met(BaseException):
    """The process has come to the last meeting: its share is done."""


@dataclass
class _Count:
    """What a process did until then."""

    images: int = 0
    sums: int = 0
    rows: int = 0
    reps: Tensor = field(default_factory=lambda: torch.empty(0))

    def gather(self, rows: Rows) -> list[Rows]:
        if "reps" in rows or not rows:
            return [{"reps": self.reps}]
        self.rows = sum(values.nbytes for values in rows.values())
        raise _Met

    def add(self, values: Tensor) -> Tensor:
        self.sums += values.nbytes
        return values


def _count(monitor: Monitor, encoder: FrozenEncoder, rank: int, size: int) -> _Count:
    given, counted = monitor.explain_set, _Count()
    num = (
        given.num_images
        + len(given.foil)
        + len(given.measure_foil)
        + given.corpora.shape[:2].numel()
        + given.measure_corpora.shape[:2].numel()
    )
    counted.reps = torch.randn(num, encoder.encode(given.foil[:1]).shape[1], generator=torch.Generator().manual_seed(0))
    before = encoder.num_forwards
    try:
        monitor.look(encoder, team=Team(rank, size, counted.gather, counted.add))
    except _Met:
        counted.images = encoder.num_forwards - before
    return counted


def _monitor(config: Config, *, smoke: bool) -> tuple[Monitor, FrozenEncoder]:
    """The config's explain options on embedded pictures that are smaller, and an encoder that costs next to nothing."""
    small = ["data.name=scenes", f"data.image_size={_STAND_IN_SIDE}", "data.batch_size=64", "explain.grid_size=4", "trainer.precision=32"]
    few = ["explain.num_masks=40", "explain.foil_size=30", "explain.corpus_size=2"] if smoke else []
    sections = {name: section for name, section in read_yaml("configs/imagenet.yaml").items() if name == "explain"}
    stand_in = load_config(sections, overrides=[*small, *few, f"run.seed={config.run.seed}"])
    return build_monitor(stand_in, build_explain_set(stand_in, build_splits(stand_in))), FrozenEncoder(nn.Conv2d(3, 8, 1), pool=True)


if __name__ == "__main__":
    main()
