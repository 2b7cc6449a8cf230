"""Likeness to texts: directions, their noise, the numbers of a look, and that nothing else is touched by them."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.attributions import IntegratedGradients, Rise
from cocoa_pl.attributions.controls import Random
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, DataError, DivergedError
from cocoa_pl.explainer import Explainer
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.metrics.boxes import boxes_of_masks, corloc
from cocoa_pl.monitor import Look, Monitor, Reading, read
from cocoa_pl.monitor.noise import NUM_CONTRASTS
from cocoa_pl.monitor.references import References
from cocoa_pl.removal import Black
from cocoa_pl.rng import derive_seed
from cocoa_pl.targets import cocoa
from tests.coloured import NAMES, PHRASES, NamedColour, encoder, explain_set, text_encoder, without_texts
from tests.teams import in_team

pytestmark = pytest.mark.filterwarnings("ignore:.*foil images are in the corpus too")  # cocoa, which is compared with, warns of it
METHODS: dict[str, Any] = {"ig": IntegratedGradients(num_steps=4), "rise": Rise(num_masks=48, grid_size=4), "random": Random()}


def monitor(given: ExplainSet, *, texts: bool = True) -> Monitor:
    return Monitor(given, attributions=METHODS, removal=Black(), curve_steps=4, texts=texts)


def references(given: ExplainSet, *, seen: FrozenEncoder | None = None) -> References:
    seen = seen or encoder()
    return References.encode(given, seen, None, text=seen.text)


@pytest.fixture(scope="module")
def given() -> ExplainSet:
    return explain_set()


@pytest.fixture(scope="module")
def reading(given: ExplainSet) -> Reading:
    before = monitor(given).look(encoder(weight=(1.0, 0.3, 0.1)))
    return read(given, monitor(given).look(encoder(), previous=before), previous=before, start=before)


# directions


@pytest.mark.parametrize("measure", [False, True])
def test_a_direction_is_cocoa_of_the_phrase_and_the_foil_of_texts(given: ExplainSet, measure: bool) -> None:
    found, texts = references(given).directions(measure=measure)["-text"], text_encoder()
    foil = texts.encode(given.measure_text_foil if measure else given.text_foil)
    for e, phrase in enumerate(given.phrases):
        assert torch.allclose(found[e], cocoa(texts.encode([phrase]), foil).directions[0]), phrase
        unit = nn.functional.normalize(texts.encode([phrase])[0], dim=0) - nn.functional.normalize(foil, dim=1).mean(0)
        assert torch.allclose(found[e], unit, atol=1e-6)


def test_what_is_absent_has_a_direction_of_its_own(given: ExplainSet) -> None:
    found, texts = references(given).absent()["-text"], text_encoder()
    expected = [cocoa(texts.encode([phrase]), texts.encode(given.text_foil)).directions[0] for phrase in given.absent_phrases]
    assert torch.allclose(found, torch.stack(expected))


def test_other_directions_are_what_they_are_without_texts() -> None:
    given = explain_set(labelled=True)
    rows = torch.arange(3)
    whole, bare = references(given), References.encode(given, encoder(with_texts=False), None)
    assert list(whole.directions()) == ["", "-class", "-text"]
    assert list(bare.directions()) == ["", "-class"]
    assert not bare.absent()
    for suffix, directions in bare.directions().items():
        assert torch.equal(whole.directions()[suffix], directions)
    one, two = (each.contrasts(rows, rows, seed=3).directions for each in (whole, bare))
    assert (len(one), len(two)) == (3 * NUM_CONTRASTS, 2 * NUM_CONTRASTS)
    assert torch.equal(one.unflatten(0, (NUM_CONTRASTS, 3))[:, :2], two.unflatten(0, (NUM_CONTRASTS, 2)))


def test_a_text_direction_errs_as_its_foil_does_and_the_prompt_does_not(given: ExplainSet) -> None:
    rows = torch.arange(4000)
    known = references(given)
    errors = known.contrasts(rows, rows % len(given.phrases), seed=0).directions.unflatten(0, (NUM_CONTRASTS, 2))[:, 1]
    foil = nn.functional.normalize(text_encoder().encode(given.text_foil), dim=1)
    assert len(foil) % 2 == 0, "halves of one size leave no text over"
    assert float(errors.square().sum(-1).mean()) == pytest.approx(float(foil.var(0).sum() / len(foil)), rel=0.02)
    assert float(errors.mean((0, 1)).abs().max()) < 0.01


def test_all_processes_have_the_texts_of_the_first(given: ExplainSet) -> None:
    """One whose text side rounds otherwise, as another device would."""
    other = NamedColour()
    other.table.data *= 1 + 1e-3 * torch.arange(3)
    encoders, sides = [encoder(), encoder()], [text_encoder(), text_encoder(other)]
    first, second = in_team(2, lambda team: References.encode(given, encoders[team.rank], None, team, text=sides[team.rank]))
    assert isinstance(first, References)
    assert isinstance(second, References)
    assert torch.equal(first.directions()["-text"], second.directions()["-text"])


# what a look says


def test_texts_have_the_numbers_that_originals_have(reading: Reading) -> None:
    for method in METHODS:
        of_original, of_text = (
            {tag.removeprefix(f"explain/{method}{suffix}/") for tag in reading.scalars if tag.startswith(f"explain/{method}{suffix}/")}
            for suffix in ("", "-text")
        )
        views = {name for name in of_original if name.startswith(("view_agreement", "equivariance", "change_ratio"))}
        of_original, of_text = of_original - {"drift_gated"}, of_text - {"drift_gated"}  # known only where scores stayed
        asked = set() if method == "random" else {"absent_agreement"}
        assert of_text == (of_original - views) | asked
        assert {"corloc", "gap_over_random_low", "mask_auroc", "drift_encoder"} <= of_text
    assert "explain/components-text/colour" in reading.scalars


def test_scores_are_likeness_to_the_text_beyond_the_foil(given: ExplainSet, reading: Reading) -> None:
    unit, texts = nn.functional.normalize(given.explicands.mean((2, 3)), dim=1), text_encoder()
    foil = nn.functional.normalize(texts.encode(given.text_foil), dim=1)
    for row, score in enumerate(reading.look.scores["-text"].tolist()):
        phrase = nn.functional.normalize(texts.encode([given.phrases[row % given.num_images]]), dim=1)
        assert score == pytest.approx(float(unit[row] @ (phrase[0] - foil.mean(0))), abs=1e-5)


def test_the_named_square_is_found_and_boxes_are_of_originals(given: ExplainSet, reading: Reading) -> None:
    assert given.masks is not None
    for trace in ("ig-text", "rise-text"):
        assert reading.scalars[f"explain/{trace}/mask_auroc"] > 0.8, trace
        assert reading.scalars[f"explain/{trace}/mask_auroc"] > reading.scalars["explain/random-text/mask_auroc"] + 0.2
    num = given.num_images
    expected = corloc(reading.look.attributions["rise-text"][:num].clamp_min(0), boxes_of_masks(given.masks[:num])).mean()
    assert reading.scalars["explain/rise-text/corloc"] == pytest.approx(float(expected))


@pytest.mark.parametrize("name", ["ig", "rise"])
def test_agreement_is_that_with_the_map_of_an_absent_text(given: ExplainSet, reading: Reading, name: str) -> None:
    """The maps that somebody would get who asked for the absent text of each picture."""
    num, texts = given.num_images, text_encoder()
    explainer = Explainer(encoder(), attributions={name: METHODS[name]}, removal=Black())
    target = cocoa(torch.stack([texts.encode([text]) for text in given.absent_phrases]), texts.encode(given.text_foil))
    asked = explainer.explain(given.explicands[:num], target, seed=derive_seed(0, "masks"))
    expected = spearman(reading.look.attributions[f"{name}-text"][:num], asked.attributions[name][0])
    assert torch.allclose(reading.look.rows[f"absent_agreement/{name}-text"], expected, atol=1e-3)
    assert reading.scalars[f"explain/{name}-text/absent_agreement"] == pytest.approx(float(expected.mean()), abs=1e-3)
    assert float(expected.mean()) < 0.5


def test_texts_that_say_the_same_give_maps_that_agree(given: ExplainSet) -> None:
    """A text side to which all colours but cyan are red, where cyan is the foil."""
    given = replace(given, text_foil=PHRASES[-1:], absent_phrases=tuple(p.replace("cyan", "pink") for p in given.absent_phrases))
    assert PHRASES[-1] not in given.phrases
    deaf = NamedColour()
    deaf.table.data[-len(NAMES) : -1] = torch.tensor([1.0, 0.0, 0.0])
    seen = FrozenEncoder(encoder().module, text=text_encoder(deaf))
    scalars = read(given, monitor(given).look(seen)).scalars
    assert scalars["explain/ig-text/absent_agreement"] == pytest.approx(1)


def test_the_absent_text_costs_one_pass_of_originals_for_gradients_and_none_for_masks(given: ExplainSet) -> None:
    curves = []
    for name, passes in (("rise", 0), ("ig", METHODS["ig"].num_steps + 1)):
        few = {name: METHODS[name]}
        with_texts, without = (
            Monitor(given, attributions=few, removal=Black(), curve_steps=4, texts=texts).look(encoder()).num_forwards
            for texts in (True, False)
        )
        curves.append(with_texts - without - passes * given.num_images)
    assert curves[0] == curves[1] <= 2 * 5 * given.num_images


# nothing else is touched


def test_a_monitor_without_texts_sees_what_it_would_see_without_phrases(given: ExplainSet) -> None:
    one, two = monitor(given, texts=False).look(encoder()), monitor(without_texts(given), texts=False).look(encoder(with_texts=False))
    assert monitor(given, texts=False).suffixes == ("",)
    assert _same(one.pack(), two.pack())


@pytest.mark.parametrize("size", [2, 3, 9], ids=["even", "some rows left over", "more processes than rows"])
def test_a_look_shared_by_processes_is_the_look_of_one(given: ExplainSet, size: int) -> None:
    before = monitor(given).look(encoder(weight=(1.0, 0.3, 0.1)))
    encoders = [encoder() for _ in range(size)]
    whole = monitor(given).look(encoder(), previous=before)
    looks = in_team(size, lambda team: monitor(given).look(encoders[team.rank], previous=before, team=team))
    for look in looks:
        assert isinstance(look, Look), look
        assert look.rows.keys() == whole.rows.keys()
        for part in ("attributions", "scores", "draws", "fixed", "directions", "rows"):
            for name, values in getattr(whole, part).items():
                assert torch.allclose(values, getattr(look, part)[name], rtol=1e-3, atol=1e-5, equal_nan=True), (part, name)


def test_a_look_with_texts_survives_a_checkpoint(given: ExplainSet, reading: Reading) -> None:
    file = io.BytesIO()
    torch.save(reading.look.pack(), file)
    file.seek(0)
    again = Look.unpack(torch.load(file, weights_only=True))
    assert _same(again.pack(), reading.look.pack())
    scalars = read(given, monitor(given).look(encoder(), previous=again), previous=again).scalars
    for part in ("previous", "previous_flagged", "encoder", "direction"):
        assert scalars[f"explain/rise-text/drift_{part}"] == pytest.approx(0, abs=1e-5), part


# mismatches


def test_texts_of_a_set_without_phrases_are_refused(given: ExplainSet) -> None:
    with pytest.raises(ConfigError, match="texts=True: the explain set has no phrases"):
        monitor(without_texts(given))


def test_an_encoder_without_a_text_side_is_refused(given: ExplainSet) -> None:
    with pytest.raises(ConfigError, match="takes an encoder with a text side; this one has none"):
        monitor(given).look(encoder(with_texts=False))


def test_text_and_image_sides_of_different_spaces_are_refused(given: ExplainSet) -> None:
    wide = text_encoder(lambda tokens: torch.ones(len(tokens), 5))
    with pytest.raises(DataError, match="of texts have 5 values, those of images 3: both encoders must end in one space"):
        References.encode(given, encoder(), None, text=wide)


def test_a_text_side_that_diverged_is_told(given: ExplainSet) -> None:
    broken = text_encoder(lambda tokens: torch.full((len(tokens), 3), torch.nan))
    with pytest.raises(DivergedError, match="training has diverged"):
        References.encode(given, encoder(), None, text=broken)


def _same(one: Any, two: Any) -> bool:
    if isinstance(one, Tensor):
        return one.dtype == two.dtype and one.shape == two.shape and torch.allclose(one, two, rtol=0, atol=0, equal_nan=True)
    if isinstance(one, dict):
        return one.keys() == two.keys() and all(_same(value, two[name]) for name, value in one.items())
    return bool(one == two)
