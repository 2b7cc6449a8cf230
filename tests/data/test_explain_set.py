"""The explain set: what is drawn, that nothing is drawn twice, and the way of maps back to their originals."""

from __future__ import annotations

import sys
import warnings
from dataclasses import fields, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cocoa_pl.augmentations.held_out import VIEWS, warp
from cocoa_pl.data.explain_parts import fit
from cocoa_pl.data.explain_set import ExplainSet, draw_explain_set
from cocoa_pl.data.source import MemorySource
from cocoa_pl.errors import DataError
from cocoa_pl.removal import Cartoon, Grayscale, ShuffledPatches
from tests.coloured import NAMES, PHRASES, ColouredSquares

SIDE = 16
CLASSES = ("cat", "dog", "horse")


def source(num: int, *, first: int = 0, labels: Tensor | None = None) -> MemorySource:
    """Noise in which the first pixel says which image it is."""
    images = torch.randint(256, (num, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(first), dtype=torch.uint8)
    numbers = torch.arange(first, first + num)
    images[:, 0, 0, 0], images[:, 1, 0, 0] = (numbers // 256).to(torch.uint8), (numbers % 256).to(torch.uint8)
    return MemorySource(images, labels=labels, class_names=() if labels is None else CLASSES)


def numbers(images: Tensor) -> list[int]:
    """Which images these are, (..., 3, H, W) bytes."""
    pixel = images[..., :2, 0, 0].reshape(-1, 2).int()
    return (pixel[:, 0] * 256 + pixel[:, 1]).tolist()


TRAIN = source(300, labels=torch.arange(300) % 3)
VAL = source(60, first=1000, labels=torch.arange(60) % 4 - 1)  # a quarter without a label
UNLABELLED = source(300), source(60, first=1000)


def draw(train: MemorySource = TRAIN, val: MemorySource = VAL, **changed: Any) -> ExplainSet:
    options: dict[str, Any] = {
        "num_explicands": 4, "views": ["original", "flip"], "seen": ["original"], "corpus_size": 10, "foil_size": 30, "num_pairs": 5,
        "seed": 0,
    }  # fmt: skip
    return draw_explain_set(train, val, **options | changed)


# what is drawn


def test_references_have_their_sizes_and_share_no_image() -> None:
    given = draw(measure_corpus_size=4, measure_foil_size=7)
    assert given.classes == (0, 1, 2)
    assert (given.corpora.shape[:2], given.measure_corpora.shape[:2]) == ((3, 10), (3, 4))
    assert (len(given.foil), len(given.measure_foil)) == (30, 7)
    for corpora in (given.corpora, given.measure_corpora):
        for label, images in zip(given.classes, corpora, strict=True):
            assert {number % 3 for number in numbers(images)} == {label}
    drawn = [*numbers(given.corpora), *numbers(given.measure_corpora), *numbers(given.foil), *numbers(given.measure_foil)]
    assert len(set(drawn)) == len(drawn) == 3 * 14 + 37
    assert max(drawn) < 300, "training images"
    assert [number - 1000 for number in numbers((given.explicands[:4] * 255).round().byte())] == given.ids.tolist()


def test_the_measure_is_half_of_the_corpora_and_a_third_of_the_foil() -> None:
    given = draw()
    assert (given.measure_corpora.shape[1], len(given.measure_foil)) == (5, 10)
    least = draw(corpus_size=1, foil_size=2)
    assert (least.measure_corpora.shape[1], len(least.measure_foil)) == (1, 1)


def test_small_data_shrinks_both_parts_in_proportion_and_says_so() -> None:
    train = source(36, labels=torch.arange(36) % 3)  # six of twelve stay for the foil
    with pytest.warns(UserWarning, match="images instead of") as met:
        given = draw(train, corpus_size=20, foil_size=30, measure_foil_size=15)
    assert [str(each.message) for each in met] == [
        "corpora have 4 images instead of 20, 2 instead of 10 that measure: a class has no more training images",
        "the foil has 12 images instead of 30, 6 instead of 15 that measure: there are no more training images",
    ]
    parts = (given.corpora, given.measure_corpora, given.foil, given.measure_foil)
    assert [tuple(part.shape[:-3]) for part in parts] == [(3, 4), (3, 2), (12,), (6,)]
    drawn = [number for part in parts for number in numbers(part)]
    assert sorted(drawn) == list(range(36))


@pytest.mark.parametrize("available", range(2, 40))
@pytest.mark.parametrize("sizes", [(1, 1), (10, 5), (30, 1), (1, 30), (7, 9)])
def test_parts_that_fit_are_never_larger_than_asked_for_and_use_all_there_is(sizes: tuple[int, int], available: int) -> None:
    found = fit(sizes, available=available)
    assert sum(found) == min(sum(sizes), available)
    assert all(1 <= part <= size for part, size in zip(found, sizes, strict=True))
    exact = [size * sum(found) / sum(sizes) for size in sizes]
    assert all(abs(part - share) <= 0.5 or 1 in found for part, share in zip(found, exact, strict=True))


def test_too_few_training_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"1 training images leave none for the foil and its measure; at least two are needed"):
        draw(source(1), UNLABELLED[1])
    with pytest.raises(DataError, match="the validation split is empty"):
        draw(val=source(0))


def test_a_class_of_three_training_images_is_not_explained() -> None:
    labels = torch.cat([torch.arange(40) % 2, torch.full((3,), 2)])
    given = draw(source(43, labels=labels), corpus_size=2, foil_size=5, num_explicands=6)
    assert given.classes == (0, 1)
    assert given.labels is not None
    assert sorted(given.labels.tolist()) == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("labels", [torch.tensor([0, 1, 2]), torch.full((3,), -1)], ids=["one image a class", "no label known"])
def test_labels_without_classes_to_compare_are_left_out(labels: Tensor) -> None:
    train = source(30, labels=torch.cat([labels, torch.full((27,), -1)]))
    with pytest.warns(UserWarning, match="no class has 4 training images: explained without labels"):
        given = draw(train, source(9, first=1000, labels=labels.repeat(3)), foil_size=9, num_gallery=9)
    assert given.labels is None
    assert given.classes == ()
    assert sorted(given.gallery_labels.tolist()) == sorted(labels.repeat(3).tolist())


def test_without_labels_there_are_no_classes_and_all_else_is_there() -> None:
    given = draw(*UNLABELLED, num_gallery=20)
    assert given.labels is None
    assert given.classes == ()
    assert given.corpora.shape == given.measure_corpora.shape == (0, 0, 3, SIDE, SIDE)
    assert len(given.pairs) == 0
    assert (len(given.foil), len(given.measure_foil)) == (30, 10)
    assert not set(numbers(given.foil)) & set(numbers(given.measure_foil))
    assert given.gallery_labels.tolist() == [-1] * 20
    assert sorted(given.components) == ["colour", "shape", "texture"]
    assert given.masks is given.patches is given.region is None


def test_every_part_is_a_function_of_the_seed_and_of_its_own_size_only() -> None:
    base, again, other = draw(num_gallery=8), draw(num_gallery=8), draw(num_gallery=8, seed=1)
    drawn = ("explicands", "corpora", "foil", "measure_corpora", "measure_foil", "pairs", "gallery")
    assert all(torch.equal(getattr(base, name), getattr(again, name)) for name in drawn)
    assert not any(torch.equal(getattr(base, name), getattr(other, name)) for name in drawn)
    without = draw()
    assert all(torch.equal(getattr(base, name), getattr(without, name)) for name in drawn[:-1])
    smaller = draw(measure_corpus_size=1, measure_foil_size=2)
    assert all(torch.equal(getattr(base, name), getattr(smaller, name)) for name in ("explicands", "corpora", "pairs"))


# the gallery


def test_the_gallery_is_spread_over_the_classes_of_validation_images() -> None:
    given = draw(num_gallery=15)
    assert given.gallery.shape == (15, 3, SIDE, SIDE)
    assert given.gallery.dtype == torch.uint8
    assert given.gallery_labels.bincount().tolist() == [5, 5, 5], "images without a label are left out"
    found = [number - 1000 for number in numbers(given.gallery)]
    assert len(set(found)) == 15
    assert VAL.labels is not None
    assert torch.equal(VAL.labels[found], given.gallery_labels)


def test_the_gallery_shows_every_class_however_many_there_are() -> None:
    labels = torch.arange(400) % 100
    given = draw(
        source(400, labels=labels), source(400, first=1000, labels=labels), num_gallery=200, corpus_size=1, foil_size=9, num_pairs=0
    )
    assert given.gallery_labels.bincount().tolist() == [2] * 100


@pytest.mark.parametrize(("num", "expected"), [(0, 0), (1000, 45)])
def test_the_gallery_has_no_more_images_than_there_are(num: int, expected: int) -> None:
    given = draw(num_gallery=num)
    assert given.gallery.shape == (expected, 3, SIDE, SIDE)
    assert given.gallery_labels.shape == (expected,)


# texts


def described(num: int = 24, **options: Any) -> ExplainSet:
    return draw(ColouredSquares(300), ColouredSquares(num), **options)


def test_texts_are_those_of_the_explicands_and_a_vocabulary_in_two_parts() -> None:
    val = ColouredSquares(24)
    given = described()
    assert list(given.phrases) == val.phrases(given.ids.tolist())
    assert sorted([*given.text_foil, *given.measure_text_foil]) == sorted(PHRASES)
    assert (len(given.text_foil), len(given.measure_text_foil)) == (4, 2)


def test_of_a_large_vocabulary_a_quarter_measures() -> None:
    vocabulary = tuple(f"{colour} {number}" for colour in NAMES for number in range(10))
    given = draw(ColouredSquares(300), ColouredSquares(24, vocabulary=vocabulary * 2))
    assert (len(given.text_foil), len(given.measure_text_foil)) == (45, 15)
    assert len({*given.text_foil, *given.measure_text_foil}) == 60


def test_an_absent_phrase_names_nothing_in_the_image() -> None:
    val = ColouredSquares(24)
    given = described(num_explicands=24)
    for caption, absent in zip(val.captions(given.ids.tolist(), epoch=None), given.absent_phrases, strict=True):
        assert absent in PHRASES
        assert not [name for name in NAMES if name in absent and name in caption]
    assert len(set(given.absent_phrases)) > 3, "not the same one for all"


def test_texts_are_a_function_of_the_seed_and_move_nothing_else() -> None:
    names = ("phrases", "absent_phrases", "text_foil", "measure_text_foil")
    one, again, other = described(), described(), described(seed=1)
    assert all(getattr(one, name) == getattr(again, name) for name in names)
    assert one.text_foil != other.text_foil
    train, val = (MemorySource(each.images, masks=each.masks(range(len(each)))) for each in (ColouredSquares(300), ColouredSquares(24)))
    bare = draw(train, val)
    assert [getattr(bare, name) for name in names] == [()] * 4
    for field in fields(ExplainSet):
        first, second = getattr(one, field.name), getattr(bare, field.name)
        if isinstance(first, Tensor):
            assert torch.equal(first, second), field.name
        elif isinstance(first, dict):
            assert all(torch.equal(first[name], second[name]) for name in first), field.name
        elif field.name not in names:
            assert first == second, field.name


def test_too_few_words_are_told_and_leave_texts_out() -> None:
    with pytest.warns(UserWarning, match="the vocabulary has 3 phrases, not 4: explained without texts"):
        given = draw(ColouredSquares(300), ColouredSquares(24, vocabulary=PHRASES[:3]))
    assert given.phrases == given.absent_phrases == given.text_foil == given.measure_text_foil == ()


# components


def test_components_are_the_originals_without_them() -> None:
    given = draw()
    originals = given.explicands[:4]
    for name, removal in (("colour", Grayscale()), ("texture", Cartoon()), ("shape", ShuffledPatches())):
        assert given.components[name].dtype == torch.uint8
        torch.testing.assert_close(given.components[name].float() / 255, removal(originals), atol=0.501 / 255, rtol=0)
        assert not torch.equal(given.components[name].float() / 255, originals)


def test_without_scikit_image_texture_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage.restoration", None)
    with pytest.warns(
        UserWarning, match="explained without texture: removing texture needs scikit-image.*: pip install scikit-image"
    ) as met:
        given = draw()
    assert len(met) == 1
    assert list(given.components) == ["colour", "shape"]


# the watched region


def test_a_region_moves_with_every_view() -> None:
    region = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    region[2:5, 1:4] = True
    given = draw(views=list(VIEWS), region=region)
    assert given.region is not None
    under = given.region.unflatten(0, (len(VIEWS), 4))
    for name, found in zip(given.views, under, strict=True):
        if name in ("original", "grayscale", "jitter", "erase"):
            assert torch.equal(found, region.expand(4, -1, -1)), name
    assert torch.equal(under[given.views.index("flip")], region.flip(-1).expand(4, -1, -1))
    assert torch.equal(under[given.views.index("rotate90")], torch.rot90(region, 1, (-2, -1)).expand(4, -1, -1))
    crop = slice(4 * given.views.index("crop"), 4 * given.views.index("crop") + 4)
    assert torch.equal(given.region[crop], warp(region.expand(4, -1, -1), given.theta[crop]))


def test_a_region_of_another_size_is_refused() -> None:
    with pytest.raises(DataError, match=r"the watched region has \(8, 8\) pixels, the images have \(16, 16\)"):
        draw(region=torch.ones(8, 8, dtype=torch.bool))


# back to the originals


@pytest.fixture(scope="module")
def every_view() -> ExplainSet:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return draw(views=list(VIEWS))


def test_only_erased_pixels_do_not_show_the_picture(every_view: ExplainSet) -> None:
    assert every_view.valid.shape == (len(VIEWS) * 4, SIDE, SIDE)
    for name, valid in zip(every_view.views, every_view.valid.unflatten(0, (len(VIEWS), 4)), strict=True):
        assert bool(valid.all()) == (name != "erase")


def test_flips_and_quarter_turns_come_back_exactly(every_view: ExplainSet) -> None:
    maps = torch.randn(4, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    restored, shown = every_view.unwarped(warp(maps.repeat(len(VIEWS), 1, 1), every_view.theta))
    for v, name in enumerate(every_view.views):
        rows = slice(4 * v, 4 * v + 4)
        if name in ("original", "flip", "grayscale", "jitter", "rotate90"):
            assert torch.equal(restored[rows], maps), name
            assert shown[rows].all(), name


@pytest.mark.parametrize("name", ["crop", "crop_flip"])
def test_a_crop_comes_back_into_its_window(every_view: ExplainSet, name: str) -> None:
    axis = torch.linspace(-1, 1, SIDE)
    plane = (0.3 * axis[None, :] - 0.5 * axis[:, None]).expand(len(every_view.theta), SIDE, SIDE).contiguous()
    restored, shown = every_view.unwarped(warp(plane, every_view.theta))
    centre = (torch.arange(SIDE) + 0.5) / SIDE * 2 - 1
    for row in range(4 * every_view.views.index(name), 4 * every_view.views.index(name) + 4):
        scale_x, scale_y, x, y = (float(every_view.theta[row, i, j]) for i, j in ((0, 0), (1, 1), (0, 2), (1, 2)))
        window = ((centre - y).abs() <= abs(scale_y))[:, None] & ((centre - x).abs() <= abs(scale_x))
        assert torch.equal(shown[row], window)
        assert 0.1 < window.float().mean() < 0.6
        assert (restored[row][~window] == 0).all()
        inside = ((centre - y).abs() <= abs(scale_y) - 2 / SIDE)[:, None] & ((centre - x).abs() <= abs(scale_x) - 2 / SIDE)
        inside[[0, -1]] = inside[:, [0, -1]] = False  # sampled beyond the picture's edge, where the plane does not go on
        torch.testing.assert_close(restored[row][inside], plane[row][inside], atol=1e-5, rtol=0)


def test_what_was_erased_has_nothing_to_say(every_view: ExplainSet) -> None:
    maps = torch.ones(len(every_view.theta), SIDE, SIDE).masked_fill(~every_view.valid, torch.nan)
    restored, shown = every_view.unwarped(maps)
    assert restored.isfinite().all()
    erased = slice(4 * every_view.views.index("erase"), 4 * every_view.views.index("erase") + 4)
    assert torch.equal(shown[erased], every_view.valid[erased])
    assert torch.equal(restored[erased], every_view.valid[erased].float())
    assert not shown[erased].all()


def test_a_pixel_that_is_partly_erased_does_not_count(every_view: ExplainSet) -> None:
    """Under a crop, where every pixel of the original is a mean of four of the view's."""
    row = 4 * every_view.views.index("crop")
    valid = every_view.valid.clone()
    valid[row, 6, 9] = False
    shown, before = replace(every_view, valid=valid).unwarped(torch.zeros(valid.shape))[1], every_view.unwarped(torch.zeros(valid.shape))[1]
    back = (before & ~shown).nonzero()
    assert len(back) > 0
    assert set(back[:, 0].tolist()) == {row}
    theta = every_view.theta[row].double()
    for y, x in back[:, 1:].tolist():  # where its centre lies on the view, in the view's pixels
        centre = torch.tensor([(x + 0.5) / SIDE * 2 - 1, (y + 0.5) / SIDE * 2 - 1], dtype=torch.float64)
        place = (torch.linalg.solve(theta[:, :2], centre - theta[:, 2]) + 1) / 2 * SIDE - 0.5
        assert (place - torch.tensor([9.0, 6.0])).abs().max() < 1
