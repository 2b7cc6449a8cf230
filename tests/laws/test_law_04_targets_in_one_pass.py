"""Law 4: K targets in one pass equal K passes, for every method and target of the tables, and cost the encoder no more than one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import CONTROLS
from cocoa_pl.removal import Blur
from cocoa_pl.targets import stack
from cocoa_pl.types import Attribution, Target


def test_targets_together_equal_targets_apart_at_the_cost_of_one(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]],
    every_method: Mapping[str, Attribution],
) -> None:  # fmt: skip
    methods = {name: method for name, method in every_method.items() if name not in CONTROLS}
    explainer = Explainer(tiny_encoder, attributions=methods, removal=Blur(), chunk_size=64)
    targets = tiny_targets(tiny_explicands)
    tiny_encoder.num_forwards = 0
    apart = [explainer.explain(tiny_explicands, target, seed=2) for target in targets]
    cost_apart, tiny_encoder.num_forwards = tiny_encoder.num_forwards, 0
    together = explainer.explain(tiny_explicands, stack(targets), seed=2)
    assert tiny_encoder.num_forwards * len(targets) == cost_apart
    assert together.targets == sum((given.targets for given in apart), ())
    torch.testing.assert_close(together.scores, torch.cat([given.scores for given in apart]), atol=1e-6, rtol=1e-6)
    for name in methods:
        expected = torch.cat([given.attributions[name] for given in apart])
        for k in range(len(expected)):
            size = float(expected[k].abs().max())
            torch.testing.assert_close(together.attributions[name][k], expected[k], atol=1e-6 * max(1.0, size) + 1e-5 * size, rtol=0)
        assert torch.pdist(expected.flatten(1)).median() > 1e-3, name  # the targets' maps do differ
