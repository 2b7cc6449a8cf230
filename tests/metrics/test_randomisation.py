"""Randomised networks against scipy's truncated normal distribution."""

from __future__ import annotations

import copy

import pytest
import torch
from scipy import stats
from torch import nn

from cocoa_pl.metrics.randomisation import cascade, randomised


def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8, 40), nn.Linear(40, 40))
        nn.init.uniform_(net[4].weight, -1, 3)
        net[5].weight.data.exponential_()
    return net


def test_a_parameter_is_redrawn_from_its_own_truncated_normal_distribution() -> None:
    net = network()
    made = randomised(net, seed=3)
    for layer in (4, 5):
        old, new = net[layer].weight.detach().double().flatten().numpy(), made[layer].weight.detach().double().flatten().numpy()
        mean, sd = old.mean(), old.std()
        assert old.min() <= new.min()
        assert new.max() <= old.max()
        told = stats.truncnorm((old.min() - mean) / sd, (old.max() - mean) / sd, loc=mean, scale=sd)
        assert stats.kstest(new, told.cdf).pvalue > 0.01
        assert abs(stats.pearsonr(old, new).statistic) < 0.15
    skewed = net[5].weight.detach().flatten().numpy()
    assert stats.kstest(made[5].weight.detach().flatten().numpy(), lambda x: stats.expon.cdf(x)).pvalue < 1e-6
    assert stats.kstest(skewed, stats.expon.cdf).pvalue > 0.01  # the test tells the two laws apart


def test_the_module_and_the_global_generator_stay_untouched() -> None:
    net = network().train()
    before, rng = copy.deepcopy(net.state_dict()), torch.get_rng_state()
    made = randomised(net, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)
    assert made.training
    assert all(parameter.requires_grad and parameter.is_leaf for parameter in made.parameters())


def test_constants_and_buffers_stay() -> None:
    net = network()
    net[1].running_var.fill_(2.5)
    made = randomised(net, seed=0)
    assert torch.equal(made[1].weight, torch.ones(8))
    assert torch.equal(made[1].running_var, torch.full((8,), 2.5))
    assert not torch.equal(made[0].bias, net[0].bias)


def test_a_function_of_the_seed_from_every_mode_and_type() -> None:
    net = network()
    made = [randomised(net, seed=seed)[0].weight for seed in (1, 1, 2)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    with torch.inference_mode():
        inside = randomised(net, seed=1)
    assert torch.equal(inside[0].weight, made[0])
    inside(torch.rand(2, 3, 3, 3)).sum().backward()
    half = randomised(copy.deepcopy(net).to(torch.bfloat16), seed=1)
    assert half[0].weight.dtype == torch.bfloat16
    assert [name for name, _ in cascade(nn.Linear(2, 2), seed=0)] == [""]


def test_the_cascade_loses_layers_from_the_top_and_ends_at_the_randomised_network() -> None:
    net, full = network(), randomised(network(), seed=5)
    before = copy.deepcopy(net.state_dict())
    steps = list(cascade(net, seed=5))
    assert [name for name, _ in steps] == ["5", "4", "1", "0"]
    for num, (_, made) in enumerate(steps, start=1):
        lost = {name for name, _ in steps[:num]}
        for name, parameter in made.named_parameters():
            source = full if name.split(".")[0] in lost else net
            assert torch.equal(parameter, source.get_parameter(name)), name
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_shared_parameters_stay_shared_and_are_lost_once() -> None:
    net = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    net[1].weight = net[0].weight
    last = [made for _, made in cascade(net, seed=0)]
    assert last[0][0].weight is last[0][1].weight
    assert torch.equal(last[1][0].weight, last[0][0].weight)
    assert torch.equal(last[1][0].weight, randomised(net, seed=0)[0].weight)


@pytest.mark.parametrize("dim", [(), (1,)])
def test_a_single_number_stays(dim: tuple[int, ...]) -> None:
    net = nn.Module()
    net.scale = nn.Parameter(torch.full(dim, 0.3))
    assert torch.equal(randomised(net, seed=0).scale, net.scale)
