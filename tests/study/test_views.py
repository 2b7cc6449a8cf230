"""The augmentation study, on encoders whose answers to a view are known."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr, t
from torch import Tensor, nn

from cocoa_pl.attributions.gradients import Gradient
from cocoa_pl.attributions.integrated_gradients import IntegratedGradients
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.augmentations.held_out import make_view
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.registry import VIEW_NAMES
from cocoa_pl.removal.constant import Black
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.study.views import ViewsStudy, study_views
from cocoa_pl.study.views_kept import as_tensors, of_tensors
from cocoa_pl.study.views_page import views_html
from cocoa_pl.study.views_pdf import views_pdf
from cocoa_pl.study.views_tables import follows, short_lines, views_csv, views_markdown
from cocoa_pl.targets import cocoa

METHODS = {"integrated_gradients": IntegratedGradients(num_steps=4), "rise": Rise(num_masks=64, grid_size=3)}
VIEWS = ("original", "flip", "erase")


class Symmetric(nn.Module):
    """Products of colours, summed over all pixels: no flip and no quarter turn changes its output, and each map moves along."""

    def forward(self, images: Tensor) -> Tensor:
        red, green, blue = (images[:, channel] + 0.1 for channel in range(3))
        return torch.stack([(red * green).sum((1, 2)), (green * blue).sum((1, 2)), (red**3).sum((1, 2)), blue.sum((1, 2))], dim=1)


def random_encoder() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1), nn.ReLU(), nn.Conv2d(6, 5, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    )


def pictures(num: int, *, seed: int) -> Tensor:
    return torch.randint(256, (num, 3, 12, 12), generator=generator(seed, "pictures")).byte()


def study(
    module: nn.Module, *, head: Callable[[Tensor], Tensor] = lambda reps: reps[:, :2], title: str = "toy", **changes: object
) -> ViewsStudy:
    given = {
        "images": pictures(4, seed=1), "ids": torch.tensor([3, 8, 11, 20]), "labels": torch.tensor([0, 1, 0, 1]),
        "class_names": ("cat", "dog"), "foil": pictures(9, seed=2), "attributions": METHODS, "removal": Black(), "views": VIEWS, "seed": 5,
    }  # fmt: skip
    return study_views(FrozenEncoder(module, pool=True), title=title, head=head, **(given | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def found() -> ViewsStudy:
    return study(random_encoder())


def test_views_of_a_symmetric_encoder_agree_fully_and_do_not_move() -> None:
    done = study(Symmetric(), attributions={"gradient": Gradient(), **METHODS}, views=("original", "flip", "rotate90", "erase"))
    for method in ("gradient", "integrated_gradients"):
        assert torch.allclose(done.agreement[method][1:3], torch.ones(2, 4), atol=1e-4)
        assert torch.allclose(done.equivariance[method][1:3], torch.ones(2, 4), atol=1e-4)
        assert bool(done.agreement[method][0].isnan().all())
    assert torch.allclose(done.moved[:3], torch.zeros(3, 4), atol=1e-5)
    assert bool((done.moved[3] > 1e-5).all())
    assert torch.allclose(done.score[1:3], done.score[0].expand(2, 4), atol=1e-5)
    assert not bool(done.changed[:3].any())


def test_numbers_are_those_of_pictures_explained_one_by_one(found: ViewsStudy) -> None:
    encoder, images = FrozenEncoder(random_encoder()), pictures(4, seed=1).float() / 255
    foil = encoder.encode(pictures(9, seed=2))
    for v, n in ((1, 0), (2, 3)):
        view = make_view(VIEWS[v], images[n : n + 1], ids=found.ids[n : n + 1], seed=derive_seed(5, "views"))
        own, rep = encoder.encode(images[n : n + 1]), encoder.encode(view.images)
        alone = Explainer(encoder, attributions=METHODS, removal=Black()).explain(
            view.images, cocoa(own[:, None], foil), seed=derive_seed(5, "masks")
        )
        a, b = (each[0].double().numpy() for each in (own, rep))
        assert float(found.moved[v, n]) == pytest.approx(1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-5)
        units = (foil / foil.norm(dim=1, keepdim=True)).double().numpy()
        score = (b / np.linalg.norm(b)) @ (a / np.linalg.norm(a) - units.mean(0))
        assert float(found.score[v, n]) == pytest.approx(score, abs=1e-5)
        logits = rep[0, :2].double().numpy()
        assert int(found.predicted[v, n]) == int(logits.argmax())
        assert float(found.probability[v, n]) == pytest.approx(float(np.exp(logits.max()) / np.exp(logits).sum()), abs=1e-5)
        for method in METHODS:
            assert torch.allclose(found.maps[method][v, n], alone.attributions[method][0, 0], atol=1e-6)


def test_agreement_is_scipy_s_on_pixels_that_both_views_show(found: ViewsStudy) -> None:
    for method, n in (("integrated_gradients", 0), ("rise", 2)):
        maps = found.maps[method].double().numpy()
        flipped, expected = maps[1, n, :, ::-1], maps[0, n]
        assert float(found.agreement[method][1, n]) == pytest.approx(spearmanr(flipped.ravel(), expected.ravel()).statistic, abs=1e-5)
        cosine = (flipped * expected).sum() / np.linalg.norm(flipped) / np.linalg.norm(expected)
        assert float(found.equivariance[method][1, n]) == pytest.approx(cosine, abs=1e-5)
        images = pictures(4, seed=1).float() / 255
        there = make_view("erase", images, ids=found.ids, seed=derive_seed(5, "views")).valid[n].numpy()
        assert 0 < (~there).sum() < there.size
        assert float(found.agreement[method][2, n]) == pytest.approx(spearmanr(maps[2, n][there], expected[there]).statistic, abs=1e-5)


def test_every_view_can_be_studied_and_progress_counts_them() -> None:
    told: list[int] = []
    done = study(random_encoder(), views=VIEW_NAMES, attributions={"gradient": Gradient()}, progress=told.append)
    assert done.images.shape == (8, 4, 3, 12, 12)
    assert done.images[0].equal(pictures(4, seed=1))
    assert bool(done.agreement["gradient"][1:].isfinite().any(1).all())
    assert told[-1] == 32
    assert all(a < b for a, b in pairwise(told))


def test_blocks_do_not_change_what_is_found(found: ViewsStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cocoa_pl.study.views._AT_ONCE", 5)
    told: list[int] = []
    again = study(random_encoder(), progress=told.append)
    assert told == [5, 10, 12]
    for method in METHODS:
        assert torch.allclose(again.maps[method], found.maps[method], atol=1e-6)
    assert torch.allclose(again.reliability["rise"], found.reliability["rise"], atol=1e-4)
    assert set(again.reliability) == {"rise"}


@pytest.mark.parametrize(
    ("changes", "error", "words"),
    [
        ({"views": ("flip", "original")}, ConfigError, "begin with original"),
        ({"views": ("original", "flip", "flip")}, ConfigError, "once"),
        ({"views": ("original", "flop")}, ConfigError, "flop"),
        ({"labels": torch.tensor([0, 1])}, DataError, "2 labels"),
        ({"labels": torch.tensor([0, 1, 2, 0])}, DataError, "2 names"),
    ],
)
def test_what_cannot_be_studied_is_refused(changes: dict[str, object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        study(random_encoder(), **changes)


def test_tables_hold_the_means_and_their_intervals(found: ViewsStudy) -> None:
    predicted = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 1], [1, 1, 0, 1]])
    given = replace(found, predicted=predicted)
    rows = list(csv.DictReader(io.StringIO(views_csv(given))))
    assert len(rows) == 4 * 3 * 2
    assert [row["changed"] for row in rows if row["view"] == "flip" and row["method"] == "rise"] == ["0", "1", "0", "0"]
    assert all((row["agreement"] == "") == (row["view"] == "original") for row in rows)
    flips = [row for row in rows if row["view"] == "flip" and row["method"] == "rise"]
    assert [row["picture"] for row in flips] == ["3", "8", "11", "20"]
    assert [row["class"] for row in flips] == ["cat", "dog", "cat", "dog"]
    values = np.array([float(row["agreement"]) for row in flips])
    assert [float(row["drift"]) for row in flips] == pytest.approx(list(1 - values), abs=1e-5)
    low, high = t.interval(0.95, 3, values.mean(), values.std(ddof=1) / 2)
    page = views_markdown(given)
    line = next(line for line in page.splitlines() if line.startswith("| flip |"))
    assert line.endswith(f"{values.mean():.3f} [{low:.3f}, {high:.3f}] |")
    assert "| 0.250 [" in line  # a changed prediction in four
    short = {(each.quantity, each.encoder): each.cells for each in short_lines([given])}
    assert short["prediction changed", "toy"] == ["25 %", "25 %"]
    assert short["map agreement: RISE", "toy"][0] == f"{values.mean():.2f} \u00b1 {high - values.mean():.2f}"


def test_a_map_that_drifts_as_the_representation_moves_follows_it(found: ViewsStudy) -> None:
    assert bool(follows(found, "rise").isnan().all())  # two views are no trend
    moved = torch.tensor([[0.0, 0, 0, 0], [0.1, 0.1, 0.4, 0.2], [0.2, 0.3, 0.2, 0.2], [0.3, 0.2, 0.1, 0.2]])
    agreement = {"rise": torch.tensor([[torch.nan] * 4, [0.9, 0.9, 0.9, 0.9], [0.8, 0.8, 0.8, 0.8], [0.7, 0.7, 0.7, 0.7]])}
    values = follows(replace(found, views=("original", "flip", "crop", "erase"), moved=moved, agreement=agreement), "rise")
    expected = [spearmanr([0.1, 0.2, 0.3], moved[1:, n].tolist()).statistic for n in range(3)]
    assert values[:3].tolist() == pytest.approx(expected, abs=1e-6)
    assert bool(values[3].isnan())


def test_a_study_comes_back_from_its_cell(found: ViewsStudy) -> None:
    again = of_tensors(as_tensors(found))
    assert views_csv(again) == views_csv(found)
    assert views_html([again]) == views_html([found])
    assert "Seed 5." in views_markdown(again)


def test_only_the_original_leaves_nothing_to_compare() -> None:
    alone = study(random_encoder(), views=("original",), attributions={"gradient": Gradient()})
    assert "nothing to compare" in views_markdown(alone)
    assert "picture 3" in views_html([alone])


def test_page_shows_every_picture_and_map_and_escapes_names(found: ViewsStudy) -> None:
    named = replace(
        found, title="<b>net</b>", class_names=("<script>", 'a"dog'), predicted=found.predicted * 0 + torch.tensor([[0], [1], [0]])
    )
    named = replace(named, labels=torch.tensor([0, 1, 0, 0]))  # the head, which says 0, is wrong on the second original
    page = views_html([named, found])
    assert "<script" not in page
    assert "<b>net" not in page
    assert "&lt;b&gt;net&lt;/b&gt;" in page
    assert "&lt;script&gt;" in page
    assert page.count('class="map"') == 2 * 4 * 3 * 2
    assert page.count("integrated gradients with 4 steps; RISE with 64 centred masks of 3 cells a side; removal by black") == 2
    assert "moved 0." in page
    assert len(re.findall(r'<em class="flag">', page)) == 4 + 1 + int(found.changed.sum() + found.mistaken.sum())
    assert page.count("true: a&#34;dog") + page.count("true: a&quot;dog") == 1
    assert not re.findall(r'(?:src|href)="(?!data:|#)', page)
    assert "2 pictures" not in page  # all are shown
    assert "1 of 2 pictures" in views_html([found], max_pictures=1)
    assert views_html([named, found]) == page
    with pytest.raises(ValueError, match="different views"):
        views_html([found, replace(found, views=("original", "flip", "crop"))])
    with pytest.raises(ValueError, match="at least one"):
        views_html([])


def test_pdf_has_a_page_for_each_class_and_encoder_and_is_the_same_again() -> None:
    found = study(
        random_encoder(),
        images=pictures(2, seed=1),
        ids=torch.arange(2),
        labels=torch.tensor([0, 1]),
        attributions={"gradient": Gradient()},
    )
    named = replace(found, title="$x_1^", class_names=("\u732b %", "a very long name of a dog that fits no column whatever it is"))
    made = views_pdf([found, named])
    assert len(re.findall(rb"/Type /Page\b(?!s)", made)) == 1 + 2 * 2
    assert made.startswith(b"%PDF-")
    assert b"CreationDate" not in made
    assert views_pdf([found, named]) == made
