"""Laws of the colours: signed, symmetric, one scale for all, harmless where a map is flat or broken."""

from __future__ import annotations

import numpy as np
import pytest

from cocoa_pl.viz import overlay, robust_scale, signed_colours

VALUES = np.linspace(0.0, 1.0, 41)


def _lightness(colours: np.ndarray) -> np.ndarray:
    """CIE L* of sRGB colours (..., 3), from the standard's own formula."""
    share = colours / 255.0
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.asarray(np.where(luminance > 0.008856, 116.0 * np.cbrt(luminance) - 16.0, 903.3 * luminance))


def _line(values: np.ndarray) -> np.ndarray:
    return np.asarray(signed_colours(values[None], scale=1.0)[0], dtype=float)


def test_zero_is_neutral_and_the_lightest() -> None:
    zero = _line(np.zeros(1))[0]
    assert zero.min() == zero.max()
    assert _lightness(zero) == pytest.approx(_lightness(_line(np.linspace(-1, 1, 201))).max(), abs=0.5)


def test_positive_is_warm_and_negative_is_cold() -> None:
    warm, cold = _line(VALUES[1:]), _line(-VALUES[1:])
    assert (warm[:, 0] > warm[:, 2]).all()
    assert (cold[:, 0] < cold[:, 2]).all()


def test_both_signs_look_equally_strong_and_stronger_with_size() -> None:
    warm, cold = _lightness(_line(VALUES)), _lightness(_line(-VALUES))
    np.testing.assert_allclose(warm, cold, atol=2.5)
    assert (np.diff(warm) < 0).all()
    assert (np.diff(cold) < 0).all()


def test_a_colour_depends_on_its_own_value_and_the_scale_only(rng: np.random.Generator) -> None:
    quiet, loud = rng.normal(size=(8, 8)), 50.0 * rng.normal(size=(8, 8))
    quiet[3, 4] = loud[3, 4] = 0.7
    a, b = signed_colours(quiet, scale=2.0), signed_colours(loud, scale=2.0)
    np.testing.assert_array_equal(a[3, 4], b[3, 4])
    np.testing.assert_array_equal(a, signed_colours(quiet * 1e-6, scale=2e-6))
    np.testing.assert_array_equal(signed_colours(np.stack([quiet, loud]), scale=2.0), np.stack([a, b]))


def test_beyond_the_scale_colours_stay_at_their_end() -> None:
    ends = signed_colours(np.array([[-1.0, -7.0, -np.inf, 1.0, 7.0, np.inf]]), scale=1.0)[0]
    assert len(np.unique(ends[:3], axis=0)) == len(np.unique(ends[3:], axis=0)) == 1


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("broken", [np.zeros((4, 4)), np.full((4, 4), np.nan), np.full((4, 4), 3.0)])
def test_flat_or_broken_maps_with_no_scale_are_neutral(broken: np.ndarray) -> None:
    neutral = signed_colours(np.zeros((4, 4)), scale=1.0)
    np.testing.assert_array_equal(signed_colours(broken, scale=0.0), neutral)


@pytest.mark.filterwarnings("error")
def test_nan_is_drawn_as_zero_and_leaves_its_neighbours_alone(rng: np.random.Generator) -> None:
    attribution = rng.normal(size=(5, 5))
    holed, filled = attribution.copy(), attribution.copy()
    holed[2, 2], filled[2, 2] = np.nan, 0.0
    np.testing.assert_array_equal(signed_colours(holed, scale=1.0), signed_colours(filled, scale=1.0))
    picture = rng.integers(0, 256, (5, 5, 3), dtype=np.uint8)
    np.testing.assert_array_equal(overlay(picture, holed, scale=1.0), overlay(picture, filled, scale=1.0))


@pytest.mark.parametrize("scale", [-1.0, np.nan, np.inf])
def test_an_impossible_scale_is_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale"):
        signed_colours(np.zeros((2, 2)), scale=scale)


def test_robust_scale_is_the_quantile_of_sizes(rng: np.random.Generator) -> None:
    values = rng.permutation(np.arange(101.0)) * rng.choice([-1.0, 1.0], 101)
    assert robust_scale(values, quantile=0.98) == pytest.approx(98.0)
    assert robust_scale(-values, quantile=0.98) == robust_scale(values, quantile=0.98)
    assert robust_scale(np.append(values, [np.nan, np.inf, -np.inf])) == robust_scale(values)
    assert robust_scale(1e-3 * values) == pytest.approx(1e-3 * robust_scale(values))


def test_robust_scale_of_nothing_is_zero_but_a_sparse_map_is_not_nothing() -> None:
    for nothing in (np.zeros((3, 3)), np.full((3, 3), np.nan), np.empty((0, 3))):
        assert robust_scale(nothing) == 0.0
    sparse = np.zeros((32, 32))
    sparse[5, 5] = -4.0
    assert robust_scale(sparse) == 4.0


def test_one_wild_pixel_hardly_moves_the_robust_scale(rng: np.random.Generator) -> None:
    calm = rng.normal(size=(32, 32))
    wild = calm.copy()
    wild[0, 0] = 1e6
    assert robust_scale(wild) < 1.1 * robust_scale(calm)


def test_overlay_shows_the_picture_alone_where_the_map_is_zero(rng: np.random.Generator) -> None:
    picture = rng.integers(0, 256, (6, 7, 3), dtype=np.uint8)
    shown = overlay(picture, np.zeros((6, 7)), scale=1.0).astype(int)
    assert (shown[..., 0] == shown[..., 1]).all()
    assert (shown[..., 1] == shown[..., 2]).all()
    brightness = (picture @ np.array([0.299, 0.587, 0.114])).ravel()
    assert (np.diff(shown[..., 0].ravel()[np.argsort(brightness)]) >= 0).all()


def test_overlay_grows_more_opaque_with_size_and_never_hides_the_picture() -> None:
    values = np.concatenate([-VALUES[::-1], VALUES[1:]])[None]
    dark, bright = (overlay(np.full((1, 81, 3), level, dtype=np.uint8), values, scale=1.0).astype(float) for level in (0, 255))
    shows_through = (bright - dark).sum(axis=-1)[0]
    assert (np.diff(shows_through[:41]) > -4).all()  # 3 channels, each rounded to a whole number
    assert shows_through[40] > 2 * shows_through[20] > 2 * shows_through[0] > 0
    np.testing.assert_allclose(shows_through, shows_through[::-1], atol=3)


def test_overlay_keeps_the_sign_readable_on_any_grey() -> None:
    for level in (0, 128, 255):
        picture = np.full((1, 2, 3), level, dtype=np.uint8)
        warm, cold = overlay(picture, np.array([[0.4, -0.4]]), scale=1.0)[0].astype(int)
        assert warm[0] - warm[2] > 40
        assert cold[2] - cold[0] > 40


def test_overlay_refuses_shapes_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match=r"\(4, 4, 3\).*\(5, 4\)"):
        overlay(np.zeros((4, 4, 3), dtype=np.uint8), np.zeros((5, 4)), scale=1.0)
