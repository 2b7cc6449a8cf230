"""The engine's public door: what it returns, what it refuses, and what it leaves alone."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.removal import Black, Blur
from cocoa_pl.targets import bootstrap, cocoa, corpus_similarity, label_free, stack

METHODS = {"ig": IntegratedGradients(num_steps=4), "rise": Rise(num_masks=12, grid_size=3)}


def pictures(num: int, *, seed: int = 0) -> Tensor:
    return torch.rand(num, 3, 8, 10, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def encoder() -> FrozenEncoder:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU()))


def test_an_explanation_holds_what_was_asked(encoder: FrozenEncoder) -> None:
    explicands, reps = pictures(3), encoder.encode(pictures(3))
    target = label_free(reps) + cocoa(encoder.encode(pictures(4, seed=1)), encoder.encode(pictures(5, seed=2)))
    given = Explainer(encoder, attributions=METHODS, removal=Blur(), chunk_size=5).explain(explicands, target, seed=9)
    assert given.targets == ("label_free", "cocoa")
    assert given.seed == 9
    assert {name: tuple(maps.shape) for name, maps in given.attributions.items()} == {"ig": (2, 3, 8, 10), "rise": (2, 3, 8, 10)}
    torch.testing.assert_close(given.baseline, Blur()(explicands))
    torch.testing.assert_close(given.scores, target(reps, torch.arange(3)).T)
    torch.testing.assert_close(given.scores[0], torch.ones(3))


def test_the_seed_moves_random_methods_only_and_repeats(encoder: FrozenEncoder) -> None:
    explainer, target = Explainer(encoder, attributions=METHODS, removal=Black()), corpus_similarity(encoder.encode(pictures(4)))
    first, again, other = (explainer.explain(pictures(2), target, seed=seed).attributions for seed in (1, 1, 2))
    assert torch.equal(first["rise"], again["rise"])
    assert torch.equal(first["ig"], other["ig"])
    assert not torch.allclose(first["rise"], other["rise"])


def test_each_method_costs_the_forwards_it_should(encoder: FrozenEncoder) -> None:
    target = corpus_similarity(encoder.encode(pictures(4)))
    for name, passes in (("ig", 4), ("rise", 12 + 1)):
        encoder.num_forwards = 0
        Explainer(encoder, attributions={name: METHODS[name]}, removal=Black()).explain(pictures(3), target + target + target)
        assert encoder.num_forwards == 3 * (passes + 1)  # one more for the scores, whatever the number of targets


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_it_works_from_every_stage_of_lightning(encoder: FrozenEncoder, mode: type) -> None:
    """Validation inside fit runs under no_grad, trainer.validate, test and predict under inference_mode; shared directions included."""
    explicands = pictures(2)
    explainer = Explainer(encoder, attributions=METHODS, removal=Blur())
    expected = explainer.explain(explicands, cocoa(encoder.encode(pictures(4, seed=1)), encoder.encode(pictures(5, seed=2))))
    with mode():
        target = cocoa(encoder.encode(pictures(4, seed=1)), encoder.encode(pictures(5, seed=2)))
        given = explainer.explain(pictures(2), target)
        for name, maps in given.attributions.items():
            torch.testing.assert_close(maps, expected.attributions[name])


def test_it_leaves_the_global_generator_and_the_pictures_alone(encoder: FrozenEncoder) -> None:
    explicands, before = pictures(2), torch.get_rng_state()
    given = Explainer(encoder, attributions=METHODS, removal=Black()).explain(explicands, corpus_similarity(encoder.encode(pictures(4))))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(explicands, pictures(2))
    assert explicands.grad is None
    assert not any(tensor.requires_grad for tensor in (*given.attributions.values(), given.scores, given.baseline))


@pytest.mark.parametrize(
    ("explicands", "message"),
    [
        (torch.rand(8, 10), r"images \(8, 10\): must be \(N, C, H, W\)"),
        (torch.rand(0, 3, 8, 10), "with N at least 1"),
        (torch.full((1, 3, 8, 10), float("nan")), "NaN or infinite"),
        (torch.full((1, 3, 8, 10), float("inf")), "NaN or infinite"),
        (torch.zeros(1, 3, 8, 10, dtype=torch.int64), r"torch.int64: must be floats in \[0, 1\] or bytes"),
        (torch.full((1, 3, 8, 10), 255.0), r"values from 255 to 255: must lie in \[0, 1\]"),
    ],
)
def test_pictures_that_cannot_be_explained_are_refused(encoder: FrozenEncoder, explicands: Tensor, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Explainer(encoder, attributions=METHODS, removal=Black()).explain(explicands, corpus_similarity(torch.rand(2, 6)))


def test_a_grid_finer_than_the_picture_is_refused(encoder: FrozenEncoder) -> None:
    explainer = Explainer(encoder, attributions={"rise": Rise(num_masks=4, grid_size=9)}, removal=Black())
    with pytest.raises(DataError, match="grid_size=9 has more cells than images of 8 x 10 pixels have; take at most 8"):
        explainer.explain(pictures(1), corpus_similarity(torch.rand(2, 6)))


def test_a_target_of_another_encoder_is_refused(encoder: FrozenEncoder) -> None:
    with pytest.raises(DataError, match="representations of length 6 met a target of length 7"):
        Explainer(encoder, attributions=METHODS, removal=Black()).explain(pictures(1), corpus_similarity(torch.rand(2, 7)))


class Undifferentiable(nn.Module):
    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))


def test_gradients_of_an_encoder_without_gradients_are_refused_not_zero() -> None:
    explainer = Explainer(FrozenEncoder(Undifferentiable()), attributions={"ig": IntegratedGradients(2)}, removal=Black())
    with pytest.raises(DataError, match="the score carries no gradient"):
        explainer.explain(pictures(1), corpus_similarity(torch.rand(2, 3)))


def test_methods_and_removal_by_name(encoder: FrozenEncoder) -> None:
    target = corpus_similarity(encoder.encode(pictures(4)))
    by_name = Explainer(encoder, attributions=["integrated_gradients", "smooth_random"], removal="black").explain(pictures(2), target)
    by_hand = Explainer(encoder, attributions={"integrated_gradients": IntegratedGradients()}, removal=Black()).explain(pictures(2), target)
    assert torch.equal(by_name.attributions["integrated_gradients"], by_hand.attributions["integrated_gradients"])
    with pytest.raises(ConfigError, match=r"unknown attribution 'rize'; .*did you mean 'rise'"):
        Explainer(encoder, attributions=["rize"])
    with pytest.raises(ConfigError, match="unknown removal 'blurr'"):
        Explainer(encoder, attributions=["rise"], removal="blurr")
    with pytest.raises(ConfigError, match=r"removal=random_image: has no default for pool; pass RandomImage\(pool=...\)"):
        Explainer(encoder, attributions=["rise"], removal="random_image")
    with pytest.raises(ConfigError, match="must be a list of names"):
        Explainer(encoder, attributions="rise")
    with pytest.raises(ConfigError, match="chunk_size=0"):
        Explainer(encoder, attributions=["rise"], chunk_size=0)


def test_a_target_of_other_explicands_is_refused(encoder: FrozenEncoder) -> None:
    with pytest.raises(DataError, match="3 explicands met a target with references of 2"):
        Explainer(encoder, attributions=METHODS).explain(pictures(3), label_free(encoder.encode(pictures(2))))


def test_the_cost_is_known_beforehand_and_shown(encoder: FrozenEncoder, capsys: pytest.CaptureFixture[str]) -> None:
    explainer = Explainer(encoder, attributions=["integrated_gradients", "rise", "occlusion"], progress=True)
    target = corpus_similarity(encoder.encode(pictures(4)))
    encoder.num_forwards = 0
    explainer.explain(pictures(3), target)
    assert encoder.num_forwards == explainer.num_forwards(3, 8, 10)
    assert f"/{encoder.num_forwards} [" in capsys.readouterr().err
    assert encoder.on_forward is None


def test_replicates_give_intervals_from_the_same_encodings(encoder: FrozenEncoder) -> None:
    corpus, foil = encoder.encode(pictures(6, seed=1)), encoder.encode(pictures(9, seed=2))
    target = stack([cocoa(corpus, foil), label_free(encoder.encode(pictures(2))), corpus_similarity(corpus)])
    replicates = {"corpus": bootstrap(corpus, num_replicates=12, seed=0), "cocoa": bootstrap(corpus, foil, num_replicates=9, seed=0)}
    explainer = Explainer(encoder, attributions=METHODS)
    plain = explainer.explain(pictures(2), target)
    cost, encoder.num_forwards = encoder.num_forwards, 0
    given = explainer.explain(pictures(2), target, replicates=replicates, level=0.8)
    assert encoder.num_forwards == cost - 17
    assert given.targets == ("cocoa", "label_free", "corpus")
    for name, maps in given.attributions.items():
        torch.testing.assert_close(maps, plain.attributions[name], atol=1e-6, rtol=0)
        assert given.intervals[name].shape == (2, *maps.shape)
    drawn = explainer.explain(pictures(2), bootstrap(corpus, num_replicates=12, seed=0))
    expected = drawn.attributions["rise"].quantile(torch.tensor([0.1, 0.9]), dim=0)
    torch.testing.assert_close(given.intervals["rise"][:, 2], expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(given.score_intervals[:, 2], drawn.scores.quantile(torch.tensor([0.1, 0.9]), dim=0), atol=1e-6, rtol=0)
    assert given.intervals["rise"][:, 1].isnan().all()
    assert bool((given.intervals["ig"][0, 0] <= given.attributions["ig"][0]).float().mean() > 0.8)
    assert plain.score_intervals is None
    with pytest.raises(ConfigError, match=r"replicates of coca: no such target; .*did you mean 'cocoa'"):
        explainer.explain(pictures(2), target, replicates={"coca": replicates["cocoa"]})
    assert plain.intervals == {}


def test_an_encoder_that_cannot_take_the_pictures_is_one_line(encoder: FrozenEncoder) -> None:
    explainer, target = Explainer(encoder, attributions=METHODS), corpus_similarity(torch.rand(2, 6))
    with pytest.raises(DataError, match=r"images \(4, 8, 10\) on cpu cannot be scored"):
        explainer.explain(torch.rand(1, 4, 8, 10), target)
    with pytest.raises(DataError, match=r"images \(3, 2, 2\) on cpu cannot be scored"):
        explainer.explain(torch.rand(1, 3, 2, 2), target)


def test_an_encoder_that_gives_nan_is_one_line() -> None:
    target = corpus_similarity(torch.rand(2, 6))
    with pytest.raises(DataError, match="scores are NaN or infinite"):
        Explainer(lambda images: images.flatten(1)[:, :6] / 0, attributions=["rise"]).explain(torch.zeros(1, 3, 8, 8), target)


def test_a_corpus_of_one_image_and_a_bare_network() -> None:
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    frozen = FrozenEncoder(net)
    target = cocoa(frozen.encode(pictures(1, seed=1)), frozen.encode(pictures(5, seed=2)))
    found = Explainer(net, attributions=METHODS).explain(pictures(2), target)
    expected = Explainer(frozen, attributions=METHODS).explain(pictures(2), target)
    assert torch.equal(found.attributions["rise"], expected.attributions["rise"])
    with pytest.raises(DataError, match=r"corpus representations \(0, 6\): at least one image"):
        cocoa(torch.rand(0, 6), torch.rand(5, 6))
