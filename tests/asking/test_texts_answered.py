"""Answers to questions in words: maps on what is asked, agreement with the maps of other texts, and where all of it ends up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from cocoa_pl.asking.answering import Answering
from cocoa_pl.asking.assembling import Layout, Numbers, gather_numbers
from cocoa_pl.asking.parts import Parts
from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.attributions.controls import SmoothRandom
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.prompts import TOO_ALIKE
from cocoa_pl.removal import Blur
from cocoa_pl.rng import derive_seed
from cocoa_pl.targets import DirectionTarget, cocoa, normalize, stack
from cocoa_pl.texts.specs import parse_concepts
from cocoa_pl.texts.templates import NONSENSE
from cocoa_pl.types import Rows
from tests.asking.colours import NAMES, encoder, picture, share_on, text_encoder
from tests.asking.test_texts import asked, chosen, encoded
from tests.teams import in_team

PICTURES = torch.stack([picture("red", "blue"), picture("green", "yellow"), picture("lime", "red")])
FOIL = NAMES[3:11]


def answering(question: object = None, **more: object) -> Answering:
    question = question or asked("red", "blue", foil=FOIL, bank=parse_concepts(NAMES, None), top=2, words=True)
    methods = {"integrated_gradients": IntegratedGradients(num_steps=8), "rise": Rise(num_masks=64, grid_size=6)}
    asked_of = encoded(chosen(question)).asked  # type: ignore[arg-type]
    options = {"views": ("original", "flip"), "curve_steps": 2} | more
    return Answering(encoder(), asked_of, methods, Blur(), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def rows() -> Rows:
    return answering().answer(PICTURES, torch.arange(3))


def of(name: str, *others: str) -> Tensor:
    reps = [text_encoder().encode([f"a photo of {'an' if n[0] in 'aeiou' else 'a'} {n}"]) for n in (name, *others)]
    return normalize(torch.cat(reps))


def test_maps_and_scores_are_those_of_cocoa_asked_directly(rows: Rows) -> None:
    foil, how = of(*FOIL), answering()
    target = stack([cocoa(of(name), foil) for name in ("red", "blue")])
    images = PICTURES.float() / 255
    engine = Explainer(how.encoder, attributions=how.attributions, removal=how.removal).explain(
        images, target, seed=derive_seed(0, "masks")
    )
    for k, name in enumerate(("red", "blue")):
        torch.testing.assert_close(rows[f"score/-{name}"][:3], engine.scores[k], rtol=1e-4, atol=1e-6)
        for method in how.attributions:
            torch.testing.assert_close(rows[f"map/{method}-{name}"][:3], engine.attributions[method][k], rtol=1e-3, atol=1e-6)


def test_the_map_lies_on_what_the_text_names(rows: Rows) -> None:
    for name, square in (("red", "left"), ("blue", "right"), ("concept 1", "left"), ("concept 2", "right")):
        other = {"left": "right", "right": "left"}[square]
        maps = rows[f"map/integrated_gradients-{name}"]
        if name.startswith("concept"):  # whichever of both is the first
            square, other = (
                (square, other) if NAMES[int(rows[f"label/-{name}"][0])] == {"left": "red", "right": "blue"}[square] else (other, square)
            )
        assert share_on(maps[0], square) > 0.8
        assert share_on(maps[0], other) < 0.05


def test_agreement_is_that_of_maps_made_one_by_one(rows: Rows) -> None:
    """Of nonsense, of the least likely text of the foil, and of the other text that is in the picture."""
    how, images = answering(), PICTURES.float() / 255
    reps, everything = normalize(how.encoder.encode(images)), of("red", *FOIL)
    nonsense = of(*NONSENSE).mean(0)
    least = of(*FOIL)[(reps @ of(*FOIL).T).argmin(1)]
    engine = Explainer(how.encoder, attributions=how.attributions, removal=how.removal)

    def maps(directions: Tensor, method: str) -> Tensor:
        target = DirectionTarget(directions[None], names=["it"])
        return engine.explain(images, target, seed=derive_seed(0, "masks")).attributions[method][0]

    for method in how.attributions:
        own = rows[f"map/{method}-red"][:3]
        with_nonsense = spearman(own, maps((nonsense - everything.mean(0)).expand(3, -1), method))
        torch.testing.assert_close(rows[f"prompt_agreement/{method}-red"][:3], with_nonsense, atol=2e-3, rtol=0)
        with_absent = spearman(own, maps(least - everything.mean(0), method))
        assert not rows["missing/-red"][[0, 2]].any()
        torch.testing.assert_close(rows[f"absent_agreement/{method}-red"][[0, 2]], with_absent[[0, 2]], atol=2e-3, rtol=0)
        assert rows[f"absent_agreement/{method}-red"][1].isnan()  # red is not in the picture either


def test_other_texts_count_where_they_are_there(rows: Rows) -> None:
    own = {name: rows[f"map/rise-{name}"][:3] for name in ("red", "blue", "concept 1", "concept 2")}
    there = {name: ~rows[f"missing/-{name}"][:3] for name in own}
    for name, maps in own.items():
        for n in range(3):
            others = [spearman(maps[n : n + 1], own[other][n : n + 1]) for other in own if other != name and there[other][n]]
            expected = torch.cat(others).mean() if others and there[name][n] else torch.tensor(torch.nan)
            torch.testing.assert_close(rows[f"present_agreement/rise-{name}"][n], expected, equal_nan=True, atol=1e-4, rtol=0)


def test_ranks_tell_what_is_there(rows: Rows) -> None:
    assert rows["rank/-red"][:3].tolist() == pytest.approx([1, 0, 1], abs=0.2)
    assert rows["missing/-red"].tolist() == [False, True, False] * 2
    assert rows["missing/-blue"].tolist() == [False, True, True] * 2


def test_other_views_have_ranks_and_no_agreement(rows: Rows) -> None:
    assert rows["rank/-red"].isfinite().all()
    for kind in ("prompt_agreement", "absent_agreement", "present_agreement"):
        assert rows[f"{kind}/rise-red"].shape == (6,)
        assert rows[f"{kind}/rise-red"][3:].isnan().all()


def test_agreement_is_known_of_every_picture_whatever_its_number() -> None:
    found = answering().answer(PICTURES[:1], torch.tensor([123_456]))
    assert found["prompt_agreement/rise-red"].isfinite().tolist() == [True, False]


def test_what_texts_are_compared_with_costs_masking_no_picture() -> None:
    methods = {"rise": Rise(num_masks=64, grid_size=6)}
    plain, company = (replace(answering(asked("red", "blue", foil=FOIL)), attributions=methods, views=("original",)) for _ in range(2))
    plain = replace(plain, asked=tuple(replace(target, prompted=None) for target in plain.asked))
    for how in (plain, company):
        how.answer(PICTURES, torch.arange(3))
    assert plain.encoder.num_forwards == company.encoder.num_forwards


def test_a_control_knows_of_no_text() -> None:
    how = replace(answering(), attributions={"smooth_random": SmoothRandom(grid_size=4), "rise": Rise(num_masks=8, grid_size=4)})
    found = how.answer(PICTURES, torch.arange(3))
    assert "prompt_agreement/rise-red" in found
    assert "prompt_agreement/smooth_random-red" not in found


def test_an_answer_depends_on_nothing_but_the_picture(rows: Rows) -> None:
    alone = answering().answer(PICTURES[1:2], torch.tensor([1]))
    for name, values in alone.items():
        if not name.startswith(("box/", "mask_share/")):  # what a rounding may tip over
            torch.testing.assert_close(
                rows[name][[1, 4]], values, rtol=2e-3, atol=2e-4, equal_nan=True, msg=lambda text, name=name: f"{name}: {text}"
            )


def test_a_team_answers_as_one_process(rows: Rows) -> None:
    own = answering(), answering()  # before the threads: torch.fx, which prepares encoders, knows none
    first, second = in_team(2, lambda team: own[team.rank].answer(PICTURES, torch.arange(3), team=team))
    for found in (first, second):
        assert isinstance(found, dict)
        for name in ("prompt_agreement/rise-red", "absent_agreement/integrated_gradients-blue", "rank/-red", "words/-red", "map/rise-blue"):
            torch.testing.assert_close(found[name], rows[name], rtol=1e-3, atol=1e-4, equal_nan=True)


class TestAssembled:
    def numbers(self, folder: Path, *frames: Answering) -> tuple[Numbers, Layout]:
        parts = Parts(folder / ".parts", "0123456789abcdef" * 4)
        for frame, how in enumerate(frames):
            for block, ids in enumerate(torch.arange(3).split(2)):
                parts.write(frame, block, how.answer(PICTURES[ids], ids))
        layout = Layout(parts, len(frames), 3, 2, frames[0].traces, ((0.2, 9.0),) * len(frames))
        return gather_numbers(layout), layout

    def test_every_number_is_at_its_place(self, tmp_path: Path, rows: Rows) -> None:
        numbers, layout = self.numbers(tmp_path, answering())
        for t, trace in enumerate(layout.traces):
            suffix = trace[trace.index("-") :]
            np.testing.assert_allclose(numbers.columns["rank"][0, t], rows[f"rank/{suffix}"].view(2, 3).T, atol=1e-6)
            np.testing.assert_allclose(numbers.columns["prompt_agreement"][0, t, :, 0], rows[f"prompt_agreement/{trace}"][:3], atol=1e-4)
            labels = rows[f"label/{suffix}"].view(2, 3).T if "concept" in trace else torch.full((3, 2), -1)
            np.testing.assert_array_equal(numbers.labels[0, t], labels)
        assert set(numbers.words) == {f"{method}-{name}" for method in ("integrated_gradients", "rise") for name in ("red", "blue")}
        np.testing.assert_allclose(numbers.words["rise-red"][0], rows["words/-red"].view(2, 3, -1).transpose(0, 1), atol=1e-6)
        assert not {"missing", "absent_agreement", "present_agreement"} & numbers.columns.keys()

    def test_flags_say_what_is_not_there_and_which_maps_are_those_of_any_text(self, tmp_path: Path) -> None:
        numbers, layout = self.numbers(tmp_path, answering())
        assert "unreliable target" not in " ".join(np.unique(numbers.flags))
        agreement = numbers.columns["prompt_agreement"]
        np.testing.assert_array_equal(np.char.find(numbers.flags, "same for any text") >= 0, np.nan_to_num(agreement) > TOO_ALIKE)
        red = layout.traces.index("rise-red")
        assert (np.char.find(numbers.flags[0, red], "not in the picture?") >= 0).tolist() == [[False] * 2, [True] * 2, [False] * 2]
        assert numbers.is_there[0, red].tolist() == [[True] * 2, [False] * 2, [True] * 2]

    def test_maps_of_different_concepts_have_not_changed_into_each_other(self, tmp_path: Path) -> None:
        first = answering(asked(bank=parse_concepts(NAMES, None), top=1), keep_draws=True)
        swapped = parse_concepts(NAMES[1:], None)  # without red, which no picture can then be like
        second = answering(asked(bank=replace(swapped, concepts=(NAMES[1], *NAMES[1:])), top=1), keep_draws=True)
        numbers, _ = self.numbers(tmp_path, first, second)
        same = numbers.labels[0] == numbers.labels[1]
        assert same.any()
        assert not same.all()
        np.testing.assert_array_equal(np.isnan(numbers.columns["drift"][1]), ~same)

    def test_questions_in_pictures_have_no_columns_of_texts(self, tmp_path: Path) -> None:
        how = answering(asked("red", "blue"))
        how = replace(how, asked=tuple(replace(target, prompted=None) for target in how.asked))
        numbers, _ = self.numbers(tmp_path, how)
        assert not {"rank", "prompt_agreement"} & numbers.columns.keys()
        assert (numbers.labels == -1).all()
        assert numbers.words == {}
