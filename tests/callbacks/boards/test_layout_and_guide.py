"""The pages of charts and the guide: every tag is one that a run logs, and every chart is explained."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import pytest

from cocoa_pl.callbacks.boards import Logged, guide
from cocoa_pl.callbacks.boards.layout import UNCHARTED, pages

METHODS = ["rise", "integrated_gradients"]
TRACES = [*METHODS, "rise-class", "integrated_gradients-class"]
VIEWS = ["original", "flip", "crop", "crop_flip", "grayscale", "jitter", "erase", "rotate90"]
COMPONENTS = ["colour", "texture", "shape"]
TOWARDS_TEXTS = Logged([*METHODS, "rise-text", "integrated_gradients-text"], VIEWS, COMPONENTS, masks=True)
FULL = Logged(TRACES, VIEWS, COMPONENTS, labelled=True, masks=True, patch=True, region=True, reference=True, pairs=True)
ALONE = Logged(["rise"], VIEWS, COMPONENTS)


def logged_tags(logged: Logged) -> Iterator[str]:
    """Every tag of a run, as written down for it."""
    moving = [view for view in logged.views if view in ("flip", "crop", "crop_flip", "rotate90")]
    yield from ("train/loss_epoch", "train/loss_step", "train/lr", "val/alignment", "val/uniformity", "val/collapse_level")
    yield "val/effective_rank"
    if logged.labelled:
        yield from ("val/knn", "val/raw_pixel_knn", "val/linear_probe")
    if logged.to_text:
        yield from ("val/recall_at_1", "val/recall_at_5", "val/recall_at_1_of_images", "val/recall_at_5_of_images")
        yield from (f"explain/{trace}/absent_agreement" for trace in logged.to_text)
    if logged.pairs:
        yield from (f"explain/{method}/two_object_accuracy" for method in logged.to_original)
    for name in (
        "collapse_level",
        "effective_rank",
        "num_forwards",
        "num_masks",
        "seconds",
        "share_of_epoch",
        "budget_share",
        "border_area",
    ):
        yield f"explain/{name}"
    if logged.region:
        yield "explain/region_area"
    yield from (f"explain/moved/{view}" for view in logged.views[1:])
    for target in ["", *(["-class"] if logged.to_class else []), *(["-text"] if logged.to_text else [])]:
        yield from (f"explain/components{target}/{name}" for name in logged.components)
    for trace in logged.traces:
        yield from (f"explain/{trace}/{name}" for name in of_trace(logged))
    for trace in logged.to_original:
        names = [f"view_agreement/{view}" for view in logged.views[1:]] + [f"equivariance/{view}" for view in moving]
        names += [f"{name}/{kind}" for name in ("view_agreement", "change_ratio") for kind in ("seen", "held_out")]
        yield from (f"explain/{trace}/{name}" for name in names)


def of_trace(logged: Logged) -> Iterator[str]:
    yield from (f"score/{view}" for view in logged.views)
    yield from ("insertion_auc", "deletion_auc", "gap", "gap_low", "gap_high", "gap_random", "reliability", "border_share", "noise_floor")
    yield "gap_over_random_low"
    yield from ("drift_gated", "drift_encoder", "drift_direction")
    for name in ("drift_previous", "drift_start", *(["drift_reference"] if logged.reference else [])):
        yield from (name, f"{name}_low", f"{name}_high", f"{name}_corrected", f"{name}_noise", f"{name}_flagged")
    if logged.masks:
        yield from ("pointing_game", "energy_inside", "mask_auroc", "corloc")
    if logged.patch:
        yield "energy_on_patch"
    if logged.region:
        yield "energy_on_region"


@pytest.mark.parametrize("logged", [FULL, TOWARDS_TEXTS, ALONE, Logged([], [])], ids=["full", "texts", "alone", "nothing explained"])
def test_every_tag_of_a_chart_is_logged(logged: Logged) -> None:
    drawn = {tag for page in pages(logged) for chart in page.charts for tag in chart.tags}
    assert drawn <= set(logged_tags(logged))


def test_what_is_logged_for_a_trace_is_charted_or_in_words() -> None:
    drawn = {tag for page in pages(FULL) for chart in page.charts for tag in chart.tags}
    words = " ".join(UNCHARTED) + " ".join(UNCHARTED.values())
    missing = [name for name in of_trace(FULL) if f"explain/rise/{name}" not in drawn and name not in words]
    assert {name for name in missing if not name.startswith(("score/", "drift_start_", "drift_reference_", "drift_previous_"))} == set()


def test_pages_have_names_and_a_page_with_nothing_to_show_is_left_out() -> None:
    assert [page.title for page in pages(FULL)] == ["Learning", "Explanations", "Drift", "Augmentations", "Localisation", "Cost"]
    assert [page.title for page in pages(ALONE)] == ["Learning", "Explanations", "Drift", "Augmentations", "Cost"]
    assert [page.title for page in pages(Logged(["rise"], ["original"]))] == ["Learning", "Explanations", "Drift", "Cost"]


def test_charts_are_few_and_of_few_lines_with_titles_of_their_own() -> None:
    for page in [*pages(FULL), *pages(TOWARDS_TEXTS)]:
        assert len({chart.title for chart in page.charts}) == len(page.charts) <= 9
        for chart in page.charts:
            assert len(chart.lines) + len(chart.bands) <= 5, chart.title
            assert len(chart.title) <= 48
        with_bands = [bool(chart.bands) for chart in page.charts]
        assert with_bands == sorted(with_bands)


def test_the_guide_explains_every_chart_that_there_is_and_no_other() -> None:
    for logged, other in combinations([FULL, TOWARDS_TEXTS, ALONE, Logged([], [])], 2):
        text = guide(other, seen=["crop"], facts=["A fact."])
        assert all(f"**{chart.title}**" in text for page in pages(other) for chart in page.charts)
        gone = {chart.title for page in pages(logged) for chart in page.charts}
        gone -= {chart.title for page in pages(other) for chart in page.charts}
        assert gone
        assert not [title for title in gone if f"**{title}**" in text]
        assert "\n- A fact.\n" in text


def test_the_guide_says_which_views_training_makes() -> None:
    text = guide(ALONE, seen=["original", "crop"], facts=[])
    assert "| `original` | the picture itself | - |" in text
    assert "| `crop` | a part of 20 to 50 % of the area, enlarged | yes |" in text
    assert "| `rotate90` | a quarter turn | no, it is held out |" in text
