"""Numbers out of parts: each at its place, compared as looks are, and warned of."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from cocoa_pl.asking import assembling
from cocoa_pl.asking.assembling import Layout, gather_numbers
from cocoa_pl.asking.parts import Parts
from cocoa_pl.metrics.drift import change
from cocoa_pl.monitor.noise import noisy_maps
from cocoa_pl.viz import robust_scale
from tests.asking.conftest import NUM, answering, pictures

Make = Callable[..., Layout]


def test_every_number_is_at_its_place(two_frames: Make) -> None:
    layout = two_frames(0)
    numbers = gather_numbers(layout)
    assert numbers.finished.all()
    assert "drift" not in numbers.columns
    whole = answering(0, views=("original", "flip")).answer(pictures(NUM, seed=50), torch.arange(NUM))
    for t, trace in enumerate(layout.traces):
        expected = whole[f"gap/{trace}"].view(2, NUM).T.double().numpy()
        np.testing.assert_allclose(numbers.columns["gap"][0, t], expected, atol=2e-5)
        maps = np.concatenate([layout.parts.read(0, b, [f"map/{trace}"])[f"map/{trace}"].numpy().ravel() for b in layout.blocks])
        assert numbers.scales[trace] == robust_scale(maps)


def test_a_picture_without_an_answer_has_no_numbers(two_frames: Make) -> None:
    layout = two_frames(0)
    layout.parts.path(0, 1).unlink()
    numbers = gather_numbers(layout)
    assert numbers.finished.tolist() == [True, True, False, False, True, True, True]
    assert np.isnan(numbers.columns["score"][:, :, 2:4]).all()
    assert not np.isnan(numbers.columns["score"][:, :, [0, 1, 4, 5, 6]]).any()


@pytest.mark.parametrize("pixels", [2**22, 24 * 24 * 8], ids=["in one go", "group by group"])
def test_frames_are_compared_as_looks_are(two_frames: Make, monkeypatch: pytest.MonkeyPatch, pixels: int) -> None:
    monkeypatch.setattr(assembling, "_PIXELS_COMPARED", pixels)
    layout = two_frames(0, 1)
    numbers = gather_numbers(layout)
    wholes = [
        answering(seed, views=("original", "flip"), keep_draws=True).answer(pictures(NUM, seed=50), torch.arange(NUM)) for seed in (0, 1)
    ]
    for t, trace in enumerate(layout.traces):
        a, b = (
            noisy_maps(
                rows[f"map/{trace}"], rows[f"draw/{trace}"],
                monte_carlo=rows[f"monte_carlo/{trace}"], references=rows[f"references/{trace}"],
                spread=rows[f"spread/{trace}"], dims=float(rows["dims/rise"]) if trace.startswith("rise") else None,
                num_samples=32 if trace.startswith("rise") else None,
            )
            for rows in wholes
        )  # fmt: skip
        made = change(b, a)
        np.testing.assert_allclose(numbers.columns["drift"][1, t], made.drift.view(2, NUM).T.numpy(), atol=5e-3)
        assert np.isnan(numbers.columns["drift"][0, t]).all()
        if pixels > 10**6:  # in groups the share of common noise is estimated from fewer rows
            np.testing.assert_allclose(numbers.columns["drift_noise"][1, t], made.noise.view(2, NUM).T.numpy(), rtol=0.02)


def test_equal_encoders_do_not_differ(two_frames: Make) -> None:
    numbers = gather_numbers(two_frames(3, 3))
    assert float(np.abs(numbers.columns["drift"][1]).max()) < 1e-9
    assert not numbers.columns["drift_flagged"][1].any()


def test_flags_say_what_is_wrong(two_frames: Make) -> None:
    healthy, collapsed = (gather_numbers(two_frames(0, health=health)) for health in ((0.2, 9.0), (0.99, 1.1)))
    assert set(np.unique(collapsed.flags)) == {"collapsed"}
    assert "collapsed" not in " ".join(np.unique(healthy.flags))
    columns = healthy.columns
    poor = columns["auroc"] - 1.96 * columns["auroc_error"] <= 0.5
    assert poor.any()
    np.testing.assert_array_equal(np.char.find(healthy.flags, "unreliable target") >= 0, poor)
    np.testing.assert_array_equal(np.char.find(healthy.flags, "noisy") >= 0, columns["reliability"] < 0.5)


def test_parts_of_another_question_are_never_taken(two_frames: Make) -> None:
    layout = two_frames(0)
    other = Parts(layout.parts.root, "f" * 64)
    assert other.finished(0) == set()
    other.drop_others()
    assert not layout.parts.folder.exists()


def test_a_damaged_part_is_done_again(two_frames: Make) -> None:
    parts = two_frames(0).parts
    parts.path(0, 2).write_bytes(parts.path(0, 2).read_bytes()[:300])
    damaged = parts.damaged(0)
    assert len(damaged) == 1
    parts.drop([damaged])
    assert parts.finished(0) == {0, 1, 3}
