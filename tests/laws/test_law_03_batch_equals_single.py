"""Law 3: a batch of N explicands equals N single runs, for every method and target."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.removal import Black, Blur, ChannelMean
from cocoa_pl.targets import DirectionTarget
from cocoa_pl.types import Attribution, Removal

METHODS: dict[str, Attribution] = {
    "ig": IntegratedGradients(num_steps=3), "rise": Rise(num_masks=8, grid_size=3),
    "petsiuk": Rise(num_masks=8, grid_size=3, estimator="petsiuk"),
}  # fmt: skip


@pytest.mark.parametrize(("removal", "chunk_size"), [(Black(), 13), (Blur(), 23), (ChannelMean(), 256)])
def test_a_batch_equals_single_runs(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[DirectionTarget]], removal: Removal,
    chunk_size: int,
) -> None:  # fmt: skip
    explainer = Explainer(tiny_encoder, attributions=METHODS, removal=removal, chunk_size=chunk_size)
    together = explainer.explain(tiny_explicands, reduce(add, tiny_targets(tiny_explicands)), seed=4)
    for n in (0, 3, 4):
        one = tiny_explicands[n : n + 1]
        alone = explainer.explain(one, reduce(add, tiny_targets(one)), seed=4)
        torch.testing.assert_close(together.scores[:, n], alone.scores[:, 0], atol=1e-6, rtol=0)
        torch.testing.assert_close(together.baseline[n], alone.baseline[0], atol=1e-6, rtol=0)
        for name, maps in together.attributions.items():
            torch.testing.assert_close(maps[:, n], alone.attributions[name][:, 0], atol=2e-6, rtol=1e-4)
            assert maps[:, n].abs().amax(dim=(1, 2)).min() > 1e-4  # far above the tolerance: no row has another row's map by chance


def test_insertion_and_deletion_of_a_batch_equal_single_runs(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[DirectionTarget]]
) -> None:
    maps = torch.randn(5, 8, 10, generator=torch.Generator().manual_seed(0))

    def gap(explicands: Tensor, maps: Tensor) -> Tensor:
        target = reduce(add, tiny_targets(explicands))
        return perturbation_curves(
            lambda x, rows: target(tiny_encoder(x), rows), explicands, Blur()(explicands), maps, num_steps=6, chunk_size=11
        ).gap

    together = gap(tiny_explicands, maps)
    alone = torch.cat([gap(tiny_explicands[n : n + 1], maps[n : n + 1]) for n in range(5)], dim=1)
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)
    assert together.std(dim=1).min() > 1e-4
