"""Means over samples against numpy, and normal draws against scipy's normal distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from cocoa_pl.attributions.sampling import counter_normal, mean_of_moments, moments_over_samples, sum_over_samples
from cocoa_pl.types import Attributed

CPU = torch.device("cpu")


def mean_over_samples(part: Any, *, num_samples: int, **options: Any) -> Attributed:
    return mean_of_moments(moments_over_samples(part, samples=range(num_samples), **options), num_samples=num_samples)


@pytest.mark.parametrize("chunk_size", [1, 4, 1000])
def test_sums_and_means_equal_numpy(chunk_size: int) -> None:
    values = torch.randn(2, 2, 7, 4, 5, generator=torch.Generator().manual_seed(0)) + 100  # target, explicand, sample, height, width
    sizes = []

    def part(rows: Tensor, samples: Tensor) -> Tensor:
        sizes.append(len(rows))
        return values[:, rows, samples]

    options: dict[str, Any] = {"num": 2, "chunk_size": chunk_size, "device": CPU}
    np.testing.assert_allclose(sum_over_samples(part, samples=range(7), **options).numpy(), values.numpy().sum(2), rtol=1e-6)
    got = mean_over_samples(part, num_samples=7, **options)
    assert max(sizes) <= chunk_size
    slow = values.double().numpy()
    np.testing.assert_allclose(got.maps.numpy(), slow.mean(2), rtol=1e-6)
    np.testing.assert_allclose(got.standard_error.numpy(), stats.sem(slow, axis=2), rtol=1e-5)
    for k in range(2):
        for n in range(2):
            r = np.corrcoef(slow[k, n, ::2].mean(0).ravel(), slow[k, n, 1::2].mean(0).ravel())[0, 1]
            assert float(got.reliability[k, n]) == pytest.approx(np.clip(2 * r / (1 + r), -1, 1), abs=1e-5)
    assert got.num_samples == 7


def test_reliability_is_the_correlation_with_another_run() -> None:
    signal = torch.randn(40, 40, generator=torch.Generator().manual_seed(0))

    def run(seed: int) -> tuple[Tensor, float]:
        noise = 4 * torch.randn(30, 40, 40, generator=torch.Generator().manual_seed(seed))
        got = mean_over_samples(lambda rows, samples: (signal + noise[samples])[None], num=1, num_samples=30, chunk_size=8, device=CPU)
        return got.maps.flatten(), float(got.reliability)

    (first, said), (second, _) = run(1), run(2)
    assert 0.4 < said < 0.9
    assert said == pytest.approx(float(torch.corrcoef(torch.stack([first, second]))[0, 1]), abs=0.05)


def test_one_sample_knows_no_error_and_a_constant_map_is_reliable() -> None:
    constant = torch.ones(1, 1, 2, 2)
    one = mean_over_samples(lambda rows, samples: constant, num=1, num_samples=1, chunk_size=1, device=CPU)
    assert (one.standard_error, one.reliability) == (None, None)
    two = mean_over_samples(lambda rows, samples: constant, num=1, num_samples=2, chunk_size=1, device=CPU)
    assert (two.standard_error.max(), two.reliability) == (0, 1)


def test_draws_are_standard_normal_and_independent() -> None:
    draws = counter_normal(11, torch.arange(400), (3, 5, 5)).flatten(1).numpy()
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
    assert abs(np.corrcoef(draws.T)[~np.eye(75, dtype=bool)]).max() < 0.25
    assert np.abs(np.corrcoef(draws)[~np.eye(400, dtype=bool)]).mean() < 0.11  # 75 independent numbers: .092
    assert np.isfinite(counter_normal(0, torch.arange(3000), (333,)).numpy()).all()


def test_a_draw_is_a_function_of_seed_and_sample() -> None:
    draws = counter_normal(5, torch.arange(10), (3, 3))  # an odd number of pixels
    for samples, copies in (([4, 4, 5, 6, 6], 1), ([4, 5, 5, 6], 2), ([4, 5, 5, 5, 6, 6, 6], 3), ([7], 5), ([2, 2, 3], 9)):
        assert torch.equal(counter_normal(5, torch.tensor(samples), (3, 3), copies=copies), draws[samples])
    assert not (counter_normal(6, torch.arange(10), (3, 3)) == draws).any()
    assert len(torch.unique(draws)) == 90


def test_no_sample_is_read_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU would be waited for."""
    samples, expected = torch.tensor([4, 4, 5]), counter_normal(0, torch.tensor([4, 4, 5]), (3, 4))

    def read(tensor: Tensor, *_: object) -> None:
        raise AssertionError("a tensor was read")

    with monkeypatch.context() as patch:
        for way in ("__int__", "__index__", "__bool__", "__float__", "item", "tolist", "cpu", "numpy"):
            patch.setattr(Tensor, way, read)
        with pytest.raises(AssertionError, match="a tensor was read"):
            int(samples[0])
        draws = counter_normal(0, samples, (3, 4), copies=2)
    assert torch.equal(draws, expected)
