"""What every metric of maps must keep: shape, NaN where there is nothing to say, and independence of scale and batch."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.metrics import METRICS, measure

DRAW = torch.Generator().manual_seed(0)
MAPS, OTHERS = (torch.randn(4, 12, 14, generator=DRAW) for _ in range(2))
MASKS = torch.zeros(4, 12, 14, dtype=torch.bool)
MASKS[:, 3:9, 4:10] = True


def values_of(name: str, maps: Tensor, masks: Tensor = MASKS, others: Tensor = OTHERS) -> Tensor:
    return measure([name], maps, masks=masks, others=others)[name]


@pytest.mark.parametrize("name", METRICS)
def test_one_finite_value_an_explicand_whatever_the_batch_and_the_scale(name: str) -> None:
    values = values_of(name, MAPS)
    assert values.shape == (4,)
    assert values.dtype == torch.float32
    assert torch.isfinite(values).all()
    alone = torch.cat([values_of(name, MAPS[n : n + 1], MASKS[n : n + 1], OTHERS[n : n + 1]) for n in range(4)])
    torch.testing.assert_close(alone, values, atol=1e-6, rtol=0)
    torch.testing.assert_close(values_of(name, MAPS * 1e-12), values, atol=1e-4, rtol=0)
    torch.testing.assert_close(values_of(name, MAPS * 1e12), values, atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("fault", [torch.nan, torch.inf, -torch.inf])
def test_a_map_that_is_not_finite_has_no_value_and_the_others_keep_theirs(name: str, fault: float) -> None:
    broken = MAPS.clone()
    broken[1, 5, 5] = fault
    values = values_of(name, broken)
    assert values.isnan().tolist() == [False, True, False, False]
    torch.testing.assert_close(values[[0, 2, 3]], values_of(name, MAPS)[[0, 2, 3]])
    if METRICS[name].beside == "maps":
        assert values_of(name, OTHERS, others=broken).isnan().tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.beside in ("masks", "boxes")])
def test_an_empty_mask_has_no_value(name: str) -> None:
    masks = MASKS.clone()
    masks[2] = False
    assert values_of(name, MAPS, masks).isnan().tolist() == [False, False, True, False]


@pytest.mark.parametrize("name", METRICS)
def test_flat_maps_have_finite_values(name: str) -> None:
    for level in (0.0, 1.5, -1.5):
        assert torch.isfinite(values_of(name, torch.full((4, 12, 14), level))).all()


@pytest.mark.parametrize("name", [name for name, metric in METRICS.items() if metric.higher_is_better is not None])
def test_the_better_direction_is_the_one_said(name: str) -> None:
    if METRICS[name].beside == "maps":
        better, worse = values_of(name, OTHERS + 0.3 * MAPS), values_of(name, MAPS)
    else:
        better, worse = values_of(name, MASKS + 0.01 * MAPS), values_of(name, 0.01 * MAPS - MASKS.float())
    sign = 1 if METRICS[name].higher_is_better else -1
    assert (sign * (better - worse) > 0.1).all()


def test_what_is_missing_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown metric 'ginny'; choose from: .* \(did you mean 'gini'\?\)"):
        measure(["ginny"], MAPS)
    with pytest.raises(ConfigError, match="metric 'corloc' needs masks=, which was not given"):
        measure(["gini", "corloc"], MAPS)
    with pytest.raises(ConfigError, match="metric 'ssim' needs others=, which was not given"):
        measure(["ssim"], MAPS, masks=MASKS)
