"""Laws of the film strip: the right epochs, each map once, a scale a row."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cocoa_pl.viz import StripRow, film_strip, overlay
from cocoa_pl.viz.strip import spaced


@pytest.mark.parametrize("count", range(1, 60))
@pytest.mark.parametrize("at_most", [2, 3, 6, 9])
def test_the_first_the_last_and_even_steps_between(count: int, at_most: int) -> None:
    chosen = spaced(count, at_most=at_most)
    assert (chosen[0], chosen[-1], len(chosen)) == (0, count - 1, min(count, at_most))
    if len(chosen) > 1:
        steps = np.diff(chosen)
        assert steps.min() >= 1
        assert steps.max() - steps.min() <= 1


def _row(rng: np.random.Generator, epochs: int, *, label: str = "IG", scale: float = 1.0) -> StripRow:
    return StripRow(label, rng.normal(size=(epochs, 32, 32)), scale=scale, scores=rng.normal(size=epochs).tolist())


def test_only_chosen_epochs_are_drawn_in_order_beside_the_picture(rng: np.random.Generator, finder: Any) -> None:
    image = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    rows = [_row(rng, 11), _row(rng, 11, label="RISE", scale=3.0)]
    strip = film_strip(image, rows, epochs=range(0, 22, 2), title="t")
    pictures = finder.places(strip, finder.enlarged(image, 3))
    assert len(pictures) == 2
    for row, (top, left) in zip(rows, sorted(pictures), strict=True):
        found = [finder.places(strip, finder.enlarged(overlay(image, map_, scale=row.scale), 3)) for map_ in row.attributions]
        assert [len(places) for places in found] == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1]
        lefts = [left, *(places[0][1] for places in found if places)]
        assert {places[0][0] for places in found if places} == {top}
        assert (np.diff(lefts) >= 96).all()


def test_rows_of_one_scale_share_the_bar_s_numbers_and_others_name_their_own() -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    maps = np.zeros((3, 32, 32))
    drawn = [
        np.asarray(film_strip(image, [StripRow("IG", maps, scale=1.0), StripRow("RISE", maps, scale=other)], epochs=[0, 1, 2], title="t"))
        for other in (1.0, 2.0)
    ]
    changed = np.unique(np.argwhere((drawn[0] != drawn[1]).any(axis=-1))[:, 0])
    assert (np.diff(changed) > 30).sum() == 2  # three places apart: the bar, and the label of either row


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 64), (64, 32), (224, 224), (500, 500)])
@pytest.mark.parametrize("epochs", [1, 2, 6, 30])
def test_any_size_and_number_of_epochs_works(height: int, width: int, epochs: int) -> None:
    maps = np.zeros((epochs, height, width))
    maps[-1] = np.nan
    row = StripRow("a target with a name that is much longer than the strip is wide " * 3, maps, scale=0.0, flags=["flat"] * epochs)
    strip = film_strip(np.zeros((height, width, 3), dtype=np.uint8), [row], epochs=range(epochs), title="long title " * 30)
    assert 450 <= strip.width <= 1700


def test_what_cannot_be_drawn_is_refused(rng: np.random.Generator) -> None:
    image = np.zeros((32, 32, 3), dtype=np.uint8)
    row = _row(rng, 3)
    for rows, epochs, message in (
        ([], [0, 1, 2], "at least one row"),
        ([row], [], "at least one row"),
        ([row], [0, 1], "expected 2 attributions.*got 3"),
        ([StripRow("IG", row.attributions, scale=1.0, scores=[1.0])], [0, 1, 2], "expected 3 scores.*got 1"),
        ([row], [0, 2, 1], "must rise"),
        ([StripRow("IG", row.attributions[:, :5], scale=1.0)], [0, 1, 2], "attribution"),
    ):
        with pytest.raises(ValueError, match=message):
            film_strip(image, rows, epochs=epochs, title="t")
    with pytest.raises(ValueError, match="max_columns"):
        film_strip(image, [row], epochs=[0, 1, 2], title="t", max_columns=1)
