"""A localisation study of an encoder whose answers are known."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from cocoa_pl.attributions.integrated_gradients import IntegratedGradients
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.data.annotations import read_annotations
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.localise.asking import ask
from cocoa_pl.localise.cases import Cases, draw_cases
from cocoa_pl.localise.measuring import MEASURES, Results, localise
from cocoa_pl.localise.tables import by_case, markdown
from cocoa_pl.metrics.placing import measure_placement
from cocoa_pl.removal.constant import Black
from cocoa_pl.targets import cocoa
from tests.coloured import COLOURS, encoder

METHODS = {"rise": Rise(num_masks=128, grid_size=4), "integrated_gradients": IntegratedGradients(num_steps=8)}


def paint(path: Path, *squares: tuple[str, tuple[int, int, int, int]]) -> None:
    """A black picture with coloured boxes (left, top, right, bottom)."""
    image = Image.new("RGB", (64, 64))
    for colour, box in squares:
        red, green, blue = (int(255 * value) for value in COLOURS[colour])
        image.paste((red, green, blue), box)
    image.save(path)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Cases:
    """Six pictures, each with a red and a blue or a green and a blue square; the table names both."""
    folder = tmp_path_factory.mktemp("colours")
    lines = ["picture,text,box"]
    for n in range(6):
        first, at = ("red", "green")[n % 2], 4 * n
        paint(folder / f"{n}.png", (first, (at, 4, at + 20, 24)), ("blue", (36 - at, 36, 56 - at, 60)))
        lines += [f"{n}.png,a {first} box,{at} 4 {at + 20} 24", f"{n}.png,a blue box,{36 - at} 36 {56 - at} 60"]
    (folder / "objects.csv").write_text("\n".join(lines))
    return draw_cases(read_annotations(folder / "objects.csv", image_size=32), num=6, seed=0)


@pytest.fixture(scope="module")
def results(cases: Cases) -> Results:
    return localise(encoder(), cases, typical=cases.images, attributions=METHODS, removal=Black(), untrained=None, num_shown=2)


def test_cases_name_one_object_another_and_one_that_is_not_there(cases: Cases) -> None:
    assert len(cases) == 6
    assert set(cases.vocabulary) == {"a red box", "a green box", "a blue box"}
    for n in range(6):
        assert {cases.texts[n], cases.others[n]} == set(cases.present[n])
        assert cases.absent[n] not in cases.present[n]
        assert not bool((cases.masks[n] & cases.other_masks[n]).any())
        colour = cases.texts[n].split()[1]
        assert int(cases.images[n][:, cases.masks[n]].float().mean(1).argmax()) == ["red", "green", "blue"].index(colour)


def test_cocoa_finds_what_is_named_and_label_free_does_not_know_what_was_asked(results: Results) -> None:
    for method in METHODS:
        placed = results.placed[method, "cocoa"]
        assert set(placed) == set(MEASURES)
        assert placed["larger_on_named"].tolist() == [1] * 6
        assert placed["pointing_game"].mean() == 1
        assert 0.1 < results.placed[method, "label_free"]["larger_on_named"].mean() < 0.9
    assert results.placed["integrated_gradients", "cocoa"]["corloc"].tolist() == [1] * 6
    assert bool(results.placed["control", "centre box"]["pointing_game"].isnan().all())
    assert results.placed["control", "centre box"]["corloc"].mean() < 0.5


def test_maps_towards_other_texts_differ_and_absent_objects_do_not_light_up(results: Results) -> None:
    for method in METHODS:
        assert float(results.prompts[method, "cocoa", "other"].mean()) < 0.3
        assert float(results.prompts[method, "cocoa", "brightness"].mean()) < 0.2
    assert (results.scores["named"] > results.scores["absent"]).all()
    assert results.named["all names, among the whole vocabulary"].tolist() == [1] * 6


def test_numbers_are_those_of_the_explainer_and_the_paper_s_target(cases: Cases, results: Results) -> None:
    own = encoder()
    assert own.text is not None
    foil = own.text.encode(cases.vocabulary)
    for n in (0, 3):
        target = cocoa(own.text.encode([cases.texts[n]]), foil[[k for k, v in enumerate(cases.vocabulary) if v != cases.texts[n]]])
        maps = Explainer(own, attributions={"ig": METHODS["integrated_gradients"]}, removal=Black()).explain(
            cases.images[n : n + 1].float() / 255, target
        )
        expected = measure_placement(maps.attributions["ig"][0], cases.masks[n : n + 1])
        for name, value in expected.items():  # the own text in the foil only scales the map
            torch.testing.assert_close(results.placed["integrated_gradients", "cocoa"][name][n : n + 1], value, rtol=1e-4, atol=1e-5)


def test_the_untrained_control_and_a_table_of_everything(cases: Cases, results: Results) -> None:
    both = localise(encoder(), cases, typical=cases.images, attributions=METHODS, removal=Black(), untrained=encoder())
    torch.testing.assert_close(both.placed["rise", "untrained"], both.placed["rise", "cocoa"])
    page = markdown(both, title="Colours", facts=["A fact."])
    for words in ("larger on named", "smooth random", "untrained", "centre box", "nonsense", "A fact."):
        assert words in page
    lines = by_case(results, cases).splitlines()
    assert len(lines) == 1 + 6 * len(results.placed)
    assert results.maps["rise", "cocoa absent"].shape == (2, 32, 32)


def test_an_encoder_without_texts_and_data_without_names_are_refused(cases: Cases, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no text side"):
        ask(encoder(with_texts=False), cases, cases.images)
    paint(tmp_path / "one.png", ("red", (0, 0, 9, 9)))
    (tmp_path / "objects.csv").write_text("picture,text,box\none.png,red,0 0 9 9\n")
    with pytest.raises(DataError, match="at least two"):
        draw_cases(read_annotations(tmp_path / "objects.csv", image_size=16), num=1, seed=0)
