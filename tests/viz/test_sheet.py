"""Laws of the contact sheet: every panel is there, exactly enlarged, in its row and column, with one scale."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from cocoa_pl.viz import Panel, contact_sheet, overlay
from cocoa_pl.viz.panel import resize, tile_width


def _panel(rng: np.random.Generator, *, height: int = 32, width: int = 32, **options: Any) -> Panel:
    return Panel(rng.integers(0, 256, (height, width, 3), dtype=np.uint8), rng.normal(size=(height, width)), **options)


def _rows(rng: np.random.Generator, explicands: int, views: int) -> list[list[Panel]]:
    return [[_panel(rng, caption=f"view {view}", score=0.1 * view) for view in range(views)] for _ in range(explicands)]


def _tops_and_lefts(sheet: Image.Image, rows: list[list[Panel]], factor: int, finder: Any) -> np.ndarray:
    places = [[finder.places(sheet, finder.enlarged(panel.image, factor)) for panel in row] for row in rows]
    assert all(len(found) == 1 for row in places for found in row)
    return np.array([[found[0] for found in row] for row in places])


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_enlarging_repeats_every_pixel_exactly(rng: np.random.Generator, factor: int) -> None:
    pixels = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    large = np.asarray(resize(pixels, width=4 * factor + 3))
    assert large.shape == (3 * factor, 4 * factor, 3)
    for y, x in np.ndindex(large.shape[:2]):
        assert (large[y, x] == pixels[y // factor, x // factor]).all()


def test_pictures_up_to_twice_the_room_never_shrink_and_larger_ones_stay_near_it() -> None:
    for native in range(8, 321):
        assert tile_width(native, room=160) % native == 0
    for native in range(321, 3000, 7):
        assert 106 <= tile_width(native, room=160) <= 320


def test_explicands_are_rows_and_views_are_columns(rng: np.random.Generator, finder: Any) -> None:
    rows = _rows(rng, 2, 4)
    places = _tops_and_lefts(contact_sheet(rows, scale=1.0, title="t"), rows, 5, finder)
    assert (places[:, :, 0] == places[:, :1, 0]).all()
    assert (places[:, :, 1] == places[:1, :, 1]).all()
    assert places[0, 0, 0] < places[1, 0, 0]
    assert (np.diff(places[0, :, 1]) >= 160).all()


@pytest.mark.parametrize(("views", "lines"), [(4, [4]), (5, [3, 2]), (6, [3, 3]), (7, [4, 3]), (8, [4, 4])])
def test_many_views_wrap_into_balanced_lines(rng: np.random.Generator, finder: Any, views: int, lines: list[int]) -> None:
    rows = _rows(rng, 1, views)
    places = _tops_and_lefts(contact_sheet(rows, scale=1.0, title="t"), rows, 5 if max(lines) == 4 else 7, finder)
    tops, counts = np.unique(places[0, :, 0], return_counts=True)
    assert counts.tolist() == lines
    assert (np.diff(tops) > 2 * 160).all()


def test_explicands_with_one_view_stand_side_by_side(rng: np.random.Generator, finder: Any) -> None:
    rows = _rows(rng, 6, 1)
    places = _tops_and_lefts(contact_sheet(rows, scale=1.0, title="t"), rows, 5, finder)
    assert np.unique(places[:, 0, 0], return_counts=True)[1].tolist() == [4, 2]


def test_all_maps_are_drawn_with_the_sheet_s_scale(rng: np.random.Generator, finder: Any) -> None:
    rows = _rows(rng, 1, 4)
    rows[0][1] = Panel(rows[0][1].image, 100.0 * rows[0][1].attribution)
    sheet = contact_sheet(rows, scale=2.5, title="t")
    for panel in rows[0]:
        expected = finder.enlarged(overlay(panel.image, panel.attribution, scale=2.5), 5)
        assert len(finder.places(sheet, expected)) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [np.zeros((32, 32)), np.full((32, 32), np.nan)])
def test_a_flat_or_broken_map_shows_the_grey_picture(rng: np.random.Generator, finder: Any, broken: np.ndarray) -> None:
    panel = Panel(_panel(rng).image, broken, score=float("nan"), flag="flat")
    grey = finder.enlarged(overlay(panel.image, np.zeros((32, 32)), scale=1.0), 5)
    for scale in (0.0, 1.0):
        assert len(finder.places(contact_sheet([[panel] * 4], scale=scale, title="t"), grey)) == 4


def test_a_held_out_view_looks_different_and_the_legend_says_so(rng: np.random.Generator) -> None:
    seen = _panel(rng, caption="flip")
    held_out = Panel(seen.image, seen.attribution, caption="flip", held_out=True)
    sheets = {
        name: np.asarray(contact_sheet([row], scale=1.0, title="t")).astype(int)
        for name, row in {"seen": [seen] * 4, "mixed": [seen, seen, held_out, held_out]}.items()
    }
    changed = np.argwhere((sheets["seen"] != sheets["mixed"]).any(axis=-1))
    legend, captions = changed[changed[:, 0] < 145], changed[changed[:, 0] >= 145]
    assert len(legend) > 500  # the legend gained an entry
    assert captions[:, 1].min() > 340  # only the two right panels changed
    assert len(captions) > 2 * 160 * 25  # the whole of their caption bands


@pytest.mark.parametrize("told", [{"caption": "flip"}, {"score": 0.42}, {"flag": "flat"}])
def test_caption_score_and_flag_are_drawn(rng: np.random.Generator, told: dict[str, Any]) -> None:
    bare = _panel(rng)
    panels = (bare, Panel(bare.image, bare.attribution, **told))
    without, with_it = (np.asarray(contact_sheet([[panel] * 4], scale=1.0, title="t")) for panel in panels)
    assert without.shape == with_it.shape
    assert (without != with_it).any(axis=-1).sum() > 4 * 50


@pytest.mark.parametrize(("height", "width"), [(28, 28), (32, 64), (64, 32), (33, 47), (96, 96), (224, 224), (400, 300)])
@pytest.mark.parametrize(("explicands", "views"), [(1, 1), (3, 2), (2, 3), (2, 8)])
def test_any_size_and_count_gives_a_page_of_about_the_same_width(
    rng: np.random.Generator, height: int, width: int, explicands: int, views: int
) -> None:
    rows = [[_panel(rng, height=height, width=width)] * views] * explicands
    sheet = contact_sheet(rows, scale=1.0, title="t", subtitle="s", row_labels=["label"] * explicands)
    assert 460 <= sheet.width <= 1400
    assert sheet.mode == "RGB"


def test_twelve_explicands_and_ragged_rows_of_mixed_sizes_are_drawn(rng: np.random.Generator, finder: Any) -> None:
    rows = [[_panel(rng, height=16 + row, width=32) for _ in range(1 + row % 4)] for row in range(12)]
    places = [
        finder.places(contact_sheet(rows, scale=1.0, title="t"), finder.enlarged(panel.image, 5)) for panel in (rows[0][0], rows[11][3])
    ]
    assert [len(found) for found in places] == [1, 1]


def test_a_long_title_takes_two_lines_and_never_more(rng: np.random.Generator) -> None:
    heights = [contact_sheet(_rows(rng, 1, 4), scale=1.0, title="word " * count).height for count in (1, 20, 400)]
    assert heights[0] < heights[1] == heights[2]
    assert contact_sheet(_rows(rng, 1, 4), scale=1.0, title="x" * 1000).height == heights[0]


def test_what_cannot_be_drawn_is_refused(rng: np.random.Generator) -> None:
    panel = _panel(rng)
    nothing: list[list[list[Panel]]] = [[], [[]]]
    for panels in nothing:
        with pytest.raises(ValueError, match="at least one panel"):
            contact_sheet(panels, scale=1.0, title="t")
    with pytest.raises(ValueError, match=r"expected 1 row labels.*got 2"):
        contact_sheet([[panel]], scale=1.0, title="t", row_labels=["a", "b"])
    with pytest.raises(ValueError, match="columns"):
        contact_sheet([[panel]], scale=1.0, title="t", columns=0)
    with pytest.raises(ValueError, match="uint8"):
        Panel(panel.image.astype(float), panel.attribution)
    with pytest.raises(ValueError, match="attribution"):
        Panel(panel.image, panel.attribution[:5])
