"""Law 3: a batch of N explicands equals N single runs, for every method, target and removal of the tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.registry import REMOVALS
from cocoa_pl.removal import Blur
from cocoa_pl.targets import stack
from cocoa_pl.types import Attribution, Removal, Scorer, Target


@pytest.mark.parametrize(("chunk_size", "num_targets"), [(13, 3), (256, 100)])
def test_a_batch_equals_single_runs(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]],
    every_method: Mapping[str, Attribution], chunk_size: int, num_targets: int,
) -> None:  # fmt: skip
    methods = dict(every_method) | {"petsiuk": Rise(num_masks=8, grid_size=3, estimator="petsiuk")}
    explainer = Explainer(tiny_encoder, attributions=methods, removal=Blur(), chunk_size=chunk_size)
    together = explainer.explain(tiny_explicands, stack(tiny_targets(tiny_explicands)[-num_targets:]), seed=4)
    for n in (0, 4):
        one = tiny_explicands[n : n + 1]
        alone = explainer.explain(one, stack(tiny_targets(one)[-num_targets:]), seed=4)
        torch.testing.assert_close(together.scores[:, n], alone.scores[:, 0], atol=1e-6, rtol=1e-5)
        for name, maps in together.attributions.items():
            size = maps[:, n].abs().amax(dim=(1, 2))
            torch.testing.assert_close(maps[:, n], alone.attributions[name][:, 0], atol=float(size.max()) * 1e-4, rtol=1e-3, msg=name)
            assert size.median() > 1e-4, name  # no row has another row's map by chance; at the explicand itself label-free has no slope


@pytest.mark.parametrize("name", REMOVALS)
def test_whatever_stands_for_absent_pixels(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]],
    every_removal: Mapping[str, Removal], name: str,
) -> None:  # fmt: skip
    explainer = Explainer(tiny_encoder, attributions={"rise": Rise(num_masks=8, grid_size=3)}, removal=every_removal[name])
    together = explainer.explain(tiny_explicands, tiny_targets(tiny_explicands)[0], seed=4)
    for n in (0, 4):
        one = tiny_explicands[n : n + 1]
        alone = explainer.explain(one, tiny_targets(one)[0], seed=4)
        torch.testing.assert_close(together.attributions["rise"][:, n], alone.attributions["rise"][:, 0], atol=2e-6, rtol=1e-4)


def test_insertion_and_deletion_of_a_batch_equal_single_runs(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]]
) -> None:
    maps = torch.randn(5, 8, 10, generator=torch.Generator().manual_seed(0))

    def gap(explicands: Tensor, maps: Tensor) -> Tensor:
        scorer = Scorer(tiny_encoder, stack(tiny_targets(explicands)))
        return perturbation_curves(scorer, explicands, Blur()(explicands), maps, num_steps=6, chunk_size=11).gap

    together = gap(tiny_explicands, maps)
    alone = torch.cat([gap(tiny_explicands[n : n + 1], maps[n : n + 1]) for n in range(5)], dim=1)
    torch.testing.assert_close(together, alone, atol=2e-6, rtol=1e-4)
    assert together.std(dim=1).min() > 1e-5
