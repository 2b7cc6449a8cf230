"""Agreement of maps on some of their pixels against scipy and numpy on exactly these."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.errors import DataError
from cocoa_pl.metrics.agreement import cosine, spearman

DRAW = torch.Generator().manual_seed(0)
TIED, OTHER = (torch.randn(6, 5, 8, generator=DRAW).round(decimals=1) for _ in range(2))
SMOOTH = torch.randn(6, 5, 8, generator=DRAW)
VALID = torch.rand(6, 5, 8, generator=DRAW) > torch.linspace(0.1, 0.8, 6)[:, None, None]

Agreement = Callable[..., Tensor]
both = pytest.mark.parametrize("agreement", [spearman, cosine])


@pytest.mark.parametrize(("first", "second"), [(TIED, OTHER), (SMOOTH, TIED), (SMOOTH * 1e-30, OTHER * 1e15)])
def test_spearman_equals_scipy_on_the_selected_pixels(first: Tensor, second: Tensor) -> None:
    rows = zip(first.numpy(), second.numpy(), VALID.numpy(), strict=True)
    expected = [stats.spearmanr(a[kept], b[kept]).statistic for a, b, kept in rows]
    np.testing.assert_allclose(spearman(first, second, valid=VALID).numpy(), expected, atol=1e-6)
    assert not torch.allclose(spearman(first, second, valid=VALID), spearman(first, second))


def test_cosine_equals_numpy_on_the_selected_pixels() -> None:
    rows = [(a[kept], b[kept]) for a, b, kept in zip(SMOOTH.numpy(), OTHER.numpy(), VALID.numpy(), strict=True)]
    expected = [float(a @ b / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in rows]
    np.testing.assert_allclose(cosine(SMOOTH, OTHER, valid=VALID).numpy(), expected, atol=1e-6)


@both
@pytest.mark.parametrize("rubbish", [0.0, 1e30, -torch.inf, torch.nan])
def test_what_lies_elsewhere_does_not_matter(agreement: Agreement, rubbish: float) -> None:
    expected = agreement(SMOOTH, OTHER, valid=VALID)
    assert torch.equal(agreement(SMOOTH.where(VALID, rubbish), OTHER.where(VALID, -rubbish), valid=VALID), expected)
    assert torch.equal(
        torch.cat([agreement(*(each[i : i + 1] for each in (SMOOTH, OTHER)), valid=VALID[i : i + 1]) for i in range(6)]), expected
    )


@both
def test_all_pixels_are_the_whole_map(agreement: Agreement) -> None:
    assert torch.equal(agreement(SMOOTH, OTHER, valid=torch.ones(6, 5, 8, dtype=torch.bool)), agreement(SMOOTH, OTHER))


@both
def test_flat_maps_agree_with_flat_maps_only(agreement: Agreement) -> None:
    flat = torch.zeros(6, 5, 8)
    assert agreement(flat, flat, valid=VALID).tolist() == [1.0] * 6
    assert agreement(flat, SMOOTH, valid=VALID).tolist() == [0.0] * 6
    assert agreement(SMOOTH.masked_fill(VALID, 0), SMOOTH, valid=VALID).tolist() == [0.0] * 6, "flat where it counts"


@both
def test_fewer_than_four_pixels_or_a_broken_one_say_nothing(agreement: Agreement) -> None:
    num = torch.arange(6)  # valid pixels of each row
    few = torch.arange(40).view(5, 8) < num[:, None, None]
    assert agreement(SMOOTH, SMOOTH, valid=few).isnan().tolist() == [True] * 4 + [False] * 2
    broken = SMOOTH.clone()
    broken[2][VALID[2]] = broken[2][VALID[2]].index_fill(0, torch.tensor([1]), torch.nan)
    assert agreement(broken, SMOOTH, valid=VALID).isnan().tolist() == [i == 2 for i in range(6)]


@both
def test_valid_pixels_of_another_shape_are_refused(agreement: Agreement) -> None:
    with pytest.raises(DataError, match=r"attributions \(6, 5, 8\) and valid pixels \(1, 5, 8\): both must be"):
        agreement(SMOOTH, OTHER, valid=VALID[:1])
