"""Law 9: a constant score gives a zero map, an all-zero representation zeros and not NaN, a random map no gap."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.perturbation import perturbation_curves
from cocoa_pl.registry import ATTRIBUTIONS, CONTROLS
from cocoa_pl.removal import Black, Blur
from cocoa_pl.targets import DirectionTarget, cocoa, contrastive_label_free, corpus_similarity, label_free
from cocoa_pl.types import Attribution

METHODS: dict[str, Attribution] = {"ig": IntegratedGradients(num_steps=5), "rise": Rise(num_masks=20, grid_size=3)}


def pictures(num: int) -> Tensor:
    return torch.rand(num, 3, 8, 8, generator=torch.Generator().manual_seed(num))


@pytest.mark.parametrize("name", METHODS)
def test_a_constant_score_gives_a_zero_map(name: str) -> None:
    def score(images: Tensor, rows: Tensor) -> Tensor:
        return images.flatten(1)[:, :2] * 0 + torch.tensor([3.7, -100.3])

    maps = METHODS[name](score, pictures(3), torch.zeros(3, 3, 8, 8), seed=0, chunk_size=7)
    assert maps.shape == (2, 3, 8, 8)
    assert not maps.any()


@pytest.mark.parametrize("name", METHODS)
def test_a_picture_equal_to_its_baseline_gives_a_zero_map(name: str) -> None:
    weight = torch.randn(3 * 64, 1, generator=torch.Generator().manual_seed(0))
    maps = METHODS[name](lambda x, rows: torch.sigmoid(x.flatten(1) @ weight), pictures(2), pictures(2), seed=0, chunk_size=40)
    torch.testing.assert_close(maps, torch.zeros_like(maps), atol=1e-7, rtol=0)


@pytest.mark.parametrize("removal", [Black(), Blur()])
def test_a_dead_encoder_gives_zeros_and_not_nan(removal: Black | Blur, every_method: Mapping[str, Attribution]) -> None:
    """Every representation is zero, of explicands, corpus and foil alike; through every method."""
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    nn.init.constant_(net[0].bias, -100)
    encoder = FrozenEncoder(net)
    reps, corpus, foil = (encoder.encode(pictures(n)) for n in (3, 4, 5))
    assert not reps.any()
    target = label_free(reps) + contrastive_label_free(reps, foil) + corpus_similarity(corpus) + cocoa(corpus, foil)
    target = target + DirectionTarget(torch.ones(1, 4), names=["any"])
    methods = {name: method for name, method in every_method.items() if name not in CONTROLS}
    assert {*methods} == {*ATTRIBUTIONS}
    given = Explainer(encoder, attributions=methods, removal=removal).explain(pictures(3), target)
    assert not given.scores.any()
    for name, maps in given.attributions.items():
        assert maps.shape == (5, 3, 8, 8)
        assert not maps.any(), name  # NaN would count as true
    for values in (*given.standard_errors.values(), *given.reliability.values()):
        assert torch.isfinite(values).all()
    nothing = torch.zeros(3, 8, 8)
    curves = perturbation_curves(lambda x, rows: target(encoder(x), rows), pictures(3), removal(pictures(3)), nothing)
    assert not curves.gap.any()


def test_random_maps_have_no_gap_within_their_confidence_interval() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3), nn.Softplus(), nn.Conv2d(6, 5, 3)))
    explicand, num = pictures(1), 120
    target = cocoa(encoder.encode(pictures(4)), encoder.encode(pictures(5)))
    maps = torch.randn(num, 8, 8, generator=torch.Generator().manual_seed(3))

    def gaps(maps: Tensor) -> Tensor:
        same, black = explicand.expand(num, -1, -1, -1), torch.zeros(num, 3, 8, 8)
        return perturbation_curves(lambda x, rows: target(encoder(x), rows), same, black, maps, num_steps=8).gap[0]

    random = gaps(maps)
    low, high = stats.t.interval(0.999, num - 1, loc=float(random.mean()), scale=float(random.std()) / num**0.5)
    assert low < 0 < high
    informed = IntegratedGradients(num_steps=8)(lambda x, rows: target(encoder(x), rows), explicand, torch.zeros_like(explicand))[0]
    assert float(gaps(informed.expand(num, -1, -1))[0]) > high  # the same interval does tell an informed map
