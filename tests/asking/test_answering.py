"""A block's answer: the engine's own maps and scores, whatever block a picture is in, and what is known of each."""

from __future__ import annotations

import pytest
import torch

from cocoa_pl.asking.answering import boxes_and_shares
from cocoa_pl.augmentations.held_out import make_view
from cocoa_pl.explainer import Explainer
from cocoa_pl.rng import derive_seed
from cocoa_pl.targets import cocoa, contrastive_label_free, stack
from tests.asking.conftest import answering, pictures

TRACES = [f"{method}{suffix}" for suffix in ("", "-dog", "-near") for method in ("integrated_gradients", "rise")]


def test_maps_and_scores_are_those_of_the_engine() -> None:
    how, given = answering(0), pictures(3, seed=9)
    rows = how.answer(given, torch.tensor([4, 5, 6]))
    images, (_, dog, _) = given.float() / 255, how.asked
    reps = how.encoder.encode(images)
    target = stack([contrastive_label_free(reps, dog.foil), cocoa(dog.corpus, dog.foil)])
    engine = Explainer(how.encoder, attributions=how.attributions, removal=how.removal).explain(
        images, target, seed=derive_seed(0, "masks")
    )
    for k, suffix in enumerate(("", "-dog")):
        torch.testing.assert_close(rows[f"score/{suffix}"], engine.scores[k], rtol=1e-4, atol=1e-6)
        for method in how.attributions:
            torch.testing.assert_close(rows[f"map/{method}{suffix}"], engine.attributions[method][k], rtol=1e-3, atol=1e-6)


def test_an_answer_depends_on_nothing_but_the_picture() -> None:
    """Law 3, of all that is stored."""
    how, given = answering(0, views=("original", "crop"), keep_draws=True), pictures(3, seed=9)
    together = how.answer(given, torch.tensor([4, 5, 6]))
    alone = how.answer(given[1:2], torch.tensor([5]))
    row = torch.tensor([1, 4])  # view-major: both views of the second picture
    for name, values in alone.items():
        if not name.startswith(("dims/", "num_samples/", "box/", "mask_share/")):  # of a block; and what a rounding may tip over
            torch.testing.assert_close(together[name][row], values, rtol=2e-3, atol=2e-5, msg=lambda text, name=name: f"{name}: {text}")


def test_views_are_explained_as_such() -> None:
    how, given, ids = answering(0, views=("original", "flip")), pictures(2, seed=9), torch.tensor([0, 1])
    rows = how.answer(given, ids)
    assert rows["view"].tolist() == [0, 0, 1, 1]
    assert rows["picture"].tolist() == [0, 1, 0, 1]
    flipped = make_view("flip", given.float() / 255, ids=ids, seed=derive_seed(0, "views")).images
    assert torch.equal(rows["image"][2:], (flipped * 255).round().byte().permute(0, 2, 3, 1))
    assert rows["map/rise-dog"].shape == (4, 24, 24)


@pytest.mark.parametrize("trace", TRACES)
def test_every_map_comes_with_what_is_known_of_it(trace: str) -> None:
    rows = answering(0).answer(pictures(2, seed=9), torch.tensor([0, 1]))
    for name in ("reliability", "standard_error", "insertion_auc", "deletion_auc", "gap", "mask_share"):
        assert rows[f"{name}/{trace}"].shape == (2,)
        assert rows[f"{name}/{trace}"].isfinite().all()
    assert rows[f"box/{trace}"].shape == (2, 4)
    suffix = trace[trace.index("-") :] if "-" in trace else ""
    for name in ("score", "score_error", "auroc", "auroc_error", "gap_random"):
        assert rows[f"{name}/{suffix}"].isfinite().all(), name


def test_draws_are_kept_only_where_maps_will_be_compared() -> None:
    few, many = (answering(0, keep_draws=keep).answer(pictures(1, seed=1), torch.tensor([0])) for keep in (False, True))
    assert {name for name in many if name not in few} == {
        *(f"{kind}/{trace}" for trace in TRACES for kind in ("draw", "monte_carlo", "references", "spread")),
        "dims/rise", "num_samples/rise",
    }  # fmt: skip


def test_a_box_surrounds_the_largest_part_of_the_positive_values() -> None:
    dent = torch.full((1, 8, 8), -0.1)
    dent[0, 2:5, 3:7], dent[0, 6, :3] = -9, 1
    boxes, shares = boxes_and_shares(torch.cat([dent, -dent.abs()]), None)
    assert boxes[0].tolist() == [0, 6, 3, 7]
    assert boxes[1].isnan().all()
    assert shares.tolist() == [3 / 64, 0]
