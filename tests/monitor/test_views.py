"""Augmentation drift: an encoder that cannot tell views apart has maps that move with the picture, another one has not."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.splits import scenes_splits
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.metrics.agreement import cosine, spearman
from cocoa_pl.monitor import Look, Monitor
from cocoa_pl.monitor.views import view_agreement
from cocoa_pl.removal import Black

VIEWS = ("original", "flip", "rotate90", "erase", "grayscale")


class Pixelwise(nn.Module):
    """The mean over all pixels of features of single pixels; with ``sided`` those on the left count for more."""

    def __init__(self, *, sided: bool = False) -> None:
        super().__init__()
        self.features, self.sided = nn.Conv2d(3, 8, 1, bias=False), sided
        draw = torch.Generator().manual_seed(0)
        with torch.no_grad():
            self.features.weight.copy_(torch.randn(8, 3, 1, 1, generator=draw))

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(images).relu()
        made: Tensor = (maps * torch.linspace(2, 0, images.shape[-1]) if self.sided else maps).mean((2, 3))
        return made


@pytest.fixture(scope="module")
def given() -> ExplainSet:
    splits = scenes_splits(num_train=100, num_val=20)
    return draw_explain_set(
        splits.train, splits.val, num_explicands=3, views=VIEWS, seen=["original", "flip", "grayscale"], corpus_size=2, foil_size=20,
        num_pairs=0, seed=0,
    )  # fmt: skip


def look(given: ExplainSet, *, sided: bool = False) -> Look:
    monitor = Monitor(given, attributions={"ig": IntegratedGradients(num_steps=4)}, removal=Black(), curve_steps=2)
    return monitor.look(FrozenEncoder(Pixelwise(sided=sided)))


def test_maps_of_an_equivariant_encoder_move_with_the_picture(given: ExplainSet) -> None:
    made = view_agreement(given, look(given), "ig")
    assert made.agreement.shape == made.equivariance.shape == made.moved.shape == (len(VIEWS) - 1, 3)
    for view in ("flip", "rotate90"):
        v = VIEWS.index(view) - 1
        assert float(made.moved[v].abs().max()) < 1e-5
        assert float((1 - made.agreement[v]).abs().max()) < 1e-4, view
        assert float((1 - made.equivariance[v]).abs().max()) < 1e-4
    assert float(made.moved[VIEWS.index("grayscale") - 1].min()) > 1e-4
    assert float(made.agreement[VIEWS.index("grayscale") - 1].max()) < 0.999


def test_those_of_a_sided_one_do_not(given: ExplainSet) -> None:
    made = view_agreement(given, look(given, sided=True), "ig")
    assert float(made.agreement[VIEWS.index("flip") - 1].max()) < 0.95
    assert float(made.equivariance[VIEWS.index("flip") - 1].max()) < 0.95


def test_only_pixels_that_both_show_are_compared(given: ExplainSet) -> None:
    seen = look(given)
    maps = seen.attributions["ig"].clone()
    erased = slice(VIEWS.index("erase") * 3, (VIEWS.index("erase") + 1) * 3)
    assert not bool(given.valid[erased].all())
    maps[erased] = maps[:3].where(given.valid[erased], -100.0)
    made = view_agreement(given, replace(seen, attributions={"ig": maps}), "ig")
    v = VIEWS.index("erase") - 1
    assert torch.allclose(made.agreement[v], torch.ones(3), atol=1e-5)
    assert torch.allclose(made.equivariance[v], torch.ones(3), atol=1e-5)


def test_agreement_is_that_of_maps_brought_back(given: ExplainSet) -> None:
    seen = look(given, sided=True)
    made, v = view_agreement(given, seen, "ig"), VIEWS.index("flip") - 1
    maps = seen.attributions["ig"]
    back = maps[3:6].flip(-1)
    assert torch.allclose(made.agreement[v], spearman(back, maps[:3]), atol=1e-5)
    assert torch.allclose(made.equivariance[v], cosine(back, maps[:3]), atol=1e-5)
    assert torch.equal(made.moved[v], seen.rows["moved"][3:6])


def test_scalars_are_means_of_views_and_of_seen_and_held_out_ones(given: ExplainSet) -> None:
    made = view_agreement(given, look(given, sided=True), "ig")
    made = replace(made, moved=0.1 + made.moved)  # far enough to tell
    values = dict(made.scalars(given))
    of = {view: made.agreement[v] for v, view in enumerate(VIEWS[1:])}
    moved = {view: made.moved[v] for v, view in enumerate(VIEWS[1:])}
    for view in VIEWS[1:]:
        assert values[f"view_agreement/{view}"] == pytest.approx(float(of[view].mean()))
    assert {name for name in values if name.startswith("equivariance")} == {
        "equivariance/flip",
        "equivariance/rotate90",
    }  # they move pixels
    for name, views in (("seen", ("flip", "grayscale")), ("held_out", ("rotate90", "erase"))):
        agreement, far = torch.cat([of[view] for view in views]), torch.cat([moved[view] for view in views])
        assert values[f"view_agreement/{name}"] == pytest.approx(float(agreement.mean()))
        assert values[f"change_ratio/{name}"] == pytest.approx(float((1 - agreement).mean() / far.mean()), rel=1e-5)


def test_a_representation_that_stands_still_has_no_change_ratio(given: ExplainSet) -> None:
    made = view_agreement(given, look(given), "ig")
    still = replace(made, moved=torch.zeros_like(made.moved))
    assert not [name for name, _ in still.scalars(given) if name.startswith("change_ratio")]
    unknown = replace(made, agreement=torch.full_like(made.agreement, torch.nan))
    assert "view_agreement/seen" not in dict(unknown.scalars(given))
