"""Law 8: n masks and the next n masks are 2 n masks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cocoa_pl.attributions import Rise, RiseSums
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.targets import stack
from cocoa_pl.types import Target


@pytest.mark.parametrize(("chunk_size", "centred"), [(13, True), (512, True), (512, False)])
def test_adjacent_runs_add_up_to_the_run_of_both(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]], centred: bool,
    chunk_size: int,
) -> None:  # fmt: skip
    target = stack(tiny_targets(tiny_explicands))

    def sums(first: int, num_masks: int) -> RiseSums:
        return Rise(num_masks=num_masks, grid_size=3).sums(
            lambda x, rows: target(tiny_encoder(x), rows), tiny_explicands, torch.zeros_like(tiny_explicands), seed=3, first=first,
            chunk_size=chunk_size,
        )  # fmt: skip

    both, merged = sums(0, 24), sums(0, 12) + sums(12, 12)
    assert both.num_masks == merged.num_masks == 24
    torch.testing.assert_close(merged.attribution(centred=centred), both.attribution(centred=centred), atol=1e-6, rtol=0)
    torch.testing.assert_close(merged.standard_error(), both.standard_error(), atol=1e-6, rtol=0)
    torch.testing.assert_close(merged.reliability(), both.reliability(), atol=1e-5, rtol=0)
    odd = sums(0, 7) + sums(7, 17)
    torch.testing.assert_close(odd.halves(), both.halves(), atol=1e-6, rtol=0)
    thirds = sums(16, 8) + sums(0, 8) + sums(8, 8)
    torch.testing.assert_close(thirds.attribution(centred=centred), both.attribution(centred=centred), atol=1e-6, rtol=0)
    assert (sums(0, 12) + sums(0, 12)).attribution().sub(both.attribution()).abs().max() > 1e-3
