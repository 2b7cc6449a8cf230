"""Splits and their channel statistics."""

from __future__ import annotations

import pytest
import torch

from cocoa_pl.data.scenes import ScenesOptions
from cocoa_pl.data.source import MemorySource
from cocoa_pl.data.splits import channel_statistics, make_splits, scenes_splits, subset
from cocoa_pl.errors import DataError


def test_statistics_equal_those_of_all_pixels() -> None:
    images = torch.randint(0, 256, (250, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    images[:, 1] //= 4
    mean, std = channel_statistics(MemorySource(images))
    pixels = images.double().div(255).transpose(0, 1).flatten(1)
    assert mean == pytest.approx(pixels.mean(1).tolist(), abs=1e-9)
    assert std == pytest.approx(pixels.std(1, correction=0).tolist(), abs=1e-9)


def test_statistics_look_at_a_fixed_part_of_a_large_source() -> None:
    images = torch.randint(0, 256, (300, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert channel_statistics(MemorySource(images), num=50) == channel_statistics(MemorySource(images), num=50)
    assert channel_statistics(MemorySource(images), num=50)[0] == pytest.approx(channel_statistics(MemorySource(images))[0], abs=0.05)


def test_scenes() -> None:
    splits = scenes_splits(num_train=40, num_val=20, seed=3, options=ScenesOptions(image_size=24))
    assert (len(splits.train), len(splits.val), splits.image_size, splits.in_memory) == (40, 20, 24, True)
    assert splits.train.masks([0]) is not None
    again = scenes_splits(num_train=40, num_val=20, seed=3, options=ScenesOptions(image_size=24))
    assert torch.equal(splits.train.load(range(40)), again.train.load(range(40)))
    assert not torch.equal(splits.train.load(range(20)), splits.val.load(range(20)))
    with pytest.raises(DataError, match="num_val is 0"):
        scenes_splits(num_val=0)


def test_empty_sources_are_refused() -> None:
    one, none = (MemorySource(torch.zeros(num, 3, 4, 4, dtype=torch.uint8)) for num in (1, 0))
    with pytest.raises(DataError, match="toy has no validation images"):
        make_splits(one, none, image_size=4, name="toy")


def test_subsets_are_distinct_ascending_and_seeded() -> None:
    first = subset(100, 20, seed=0, purpose="bank")
    assert torch.equal(first, subset(100, 20, seed=0, purpose="bank"))
    assert not torch.equal(first, subset(100, 20, seed=1, purpose="bank"))
    assert first.tolist() == sorted(set(first.tolist()))
    assert torch.equal(subset(5, 9, seed=0, purpose="bank"), torch.arange(5))
