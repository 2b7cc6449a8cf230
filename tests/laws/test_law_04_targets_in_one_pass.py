"""Law 4: K targets in one pass equal K passes, and cost the encoder no more than one."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add

import torch
from torch import Tensor

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.removal import Blur
from cocoa_pl.targets import DirectionTarget


def test_targets_together_equal_targets_apart_at_the_cost_of_one(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[DirectionTarget]]
) -> None:
    methods = {"ig": IntegratedGradients(num_steps=4), "rise": Rise(num_masks=10, grid_size=3)}
    explainer = Explainer(tiny_encoder, attributions=methods, removal=Blur(), chunk_size=16)
    targets = tiny_targets(tiny_explicands)
    tiny_encoder.num_forwards = 0
    apart = [explainer.explain(tiny_explicands, target, seed=2) for target in targets]
    cost_apart, tiny_encoder.num_forwards = tiny_encoder.num_forwards, 0
    together = explainer.explain(tiny_explicands, reduce(add, targets), seed=2)
    assert tiny_encoder.num_forwards * len(targets) == cost_apart
    assert together.targets == sum((given.targets for given in apart), ())
    torch.testing.assert_close(together.scores, torch.cat([given.scores for given in apart]), atol=1e-6, rtol=0)
    for name in methods:
        expected = torch.cat([given.attributions[name] for given in apart])
        torch.testing.assert_close(together.attributions[name], expected, atol=1e-6, rtol=0)
        assert torch.pdist(expected.flatten(1)).min() > 1e-3  # the targets' maps do differ
