"""A localisation study of an encoder whose answers are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from cocoa_pl.attributions.integrated_gradients import IntegratedGradients
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.data.annotations import AnnotatedPictures, read_table
from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.explainer import Explainer
from cocoa_pl.localise.asking import ask
from cocoa_pl.localise.cases import Cases, draw_cases
from cocoa_pl.localise.measuring import MEASURES, Results, localise
from cocoa_pl.localise.tables import by_case, markdown
from cocoa_pl.metrics.placing import measure_placement
from cocoa_pl.removal.constant import Black
from cocoa_pl.rng import generator
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
    return draw_cases(AnnotatedPictures(read_table(folder / "objects.csv"), image_size=32), num=6, seed=0)


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
    assert results.named["all names, among all 3"].tolist() == [1] * 6


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


def test_the_best_fixed_box_is_a_control_beside_the_centre_box(results: Results) -> None:
    centre, fixed = (results.placed["control", name]["corloc"].mean() for name in ("centre box", "best fixed box"))
    assert fixed >= 1 / 6
    assert fixed >= centre


def test_without_typical_pictures_each_is_contrasted_with_the_others(cases: Cases) -> None:
    own = encoder()
    reps = torch.nn.functional.normalize(own.encode(cases.images), dim=1)
    found = ask(own, cases, None).directions["contrastive_label_free"]
    for n in range(6):
        torch.testing.assert_close(found[n], reps[n] - torch.cat([reps[:n], reps[n + 1 :]]).mean(0))
    alone = draw_one(cases)
    assert not {"label_free", "contrastive_label_free"} & set(ask(own, alone, None).directions)
    page = markdown(localise(own, alone, typical=None, attributions=METHODS, removal=Black()), title="One", facts=[])
    assert "The label-free targets are left out" in page
    assert "nan" not in page
    assert "± " not in page


def draw_one(cases: Cases) -> Cases:
    """The first of the cases."""
    parts = {
        name: getattr(cases, name)[:1]
        for name in ("ids", "names", "images", "texts", "masks", "others", "other_masks", "absent", "present")
    }
    return replace(cases, **parts)


def test_shares_have_wilson_s_interval_and_their_differences_a_bootstrap(results: Results) -> None:
    page = markdown(results, title="Colours", facts=[])
    row = next(line for line in page.splitlines() if line.startswith("| integrated gradients | cocoa | "))
    assert row.split(" | ")[2] == "1.000 [0.610, 1.000]"  # 6 of 6: 6 / (6 + 1.96**2) = .610
    assert "| all names, among all 3 | 1.000 [0.610, 1.000] |" in page
    assert "drawn" not in page  # a vocabulary of three has no ten to draw


def test_maps_that_do_not_depend_on_the_text_are_told(results: Results) -> None:
    assert "they say little of the text" not in markdown(results, title="", facts=[])
    same = replace(results, prompts={key: torch.full_like(own, 0.9) if key[2] == "absent" else own for key, own in results.prompts.items()})
    page = markdown(same, title="", facts=[])
    assert "rise, cocoa: the maps towards an absent object are nearly those towards the named object" in page


def test_ten_names_are_drawn_from_a_larger_vocabulary_by_case(cases: Cases) -> None:
    more = tuple(f"a {name} box" for name in COLOURS if f"a {name} box" not in cases.vocabulary)
    larger = replace(cases, vocabulary=(*cases.vocabulary, *more, *(f"a {first} {second} box" for first in COLOURS for second in COLOURS)))
    first, again = (localise(encoder(), larger, typical=None, attributions={}, removal=Black(), seed=3).named for _ in range(2))
    assert list(first) == ["all names, among all 42", "all names, among 10 drawn"]
    assert torch.equal(first["all names, among 10 drawn"], again["all names, among 10 drawn"])
    assert first["all names, among 10 drawn"].mean() >= first["all names, among all 42"].mean()


def test_progress_counts_both_encoders(cases: Cases) -> None:
    told: list[int] = []
    only = {"integrated_gradients": METHODS["integrated_gradients"]}
    localise(encoder(), cases, typical=None, attributions=only, removal=Black(), untrained=encoder(), progress=told.append)
    assert told == [6, 12]


def test_what_cannot_be_asked_for_is_counted_and_an_error_says_why(tmp_path: Path) -> None:
    Image.new("RGB", (100, 50)).save(tmp_path / "wide.png")
    Image.new("RGB", (50, 50)).save(tmp_path / "square.png")
    head = "picture,text,box\nwide.png,red,0 0 20 50\nwide.png,blue,30 0 40 9\nwide.png,blue,40 0 60 9\n"
    table = tmp_path / "objects.csv"
    table.write_text(head)
    with pytest.raises(DataError, match="1 object outside the central square that the encoder sees, 2 objects with a name that another"):
        draw_cases(AnnotatedPictures(read_table(table), image_size=20), num=9, seed=0)
    table.write_text(head + "square.png,green,0 0 9 9\nsquare.png,red,9 9 20 20\nwide.png,yellow,40 20 60 30\n")
    drawn = draw_cases(AnnotatedPictures(read_table(table), image_size=20), num=9, seed=0)
    assert drawn.notes == (
        "Of 6 objects in 2 pictures that were looked at, left out: 1 object outside the central square that the encoder sees, 2 objects "
        "with a name that another object of the picture has too.",
    )
    wide = drawn.names.index("wide.png")
    assert (drawn.texts[wide], drawn.others[wide], drawn.absent[wide]) == ("yellow", "blue", "green")
    assert drawn.other_masks[wide].sum() == 4 * 12  # both blue ones, 30 px wide in the picture, 12 in the square, 4 high


def test_no_more_pictures_are_opened_than_asked_for(tmp_path: Path) -> None:
    rows = ["picture,text,box"]
    for n in range(5):
        (tmp_path / f"{n}.png").write_bytes(b"no picture")
        rows.append(f"{n}.png,{'red' if n % 2 else 'blue'},0 0 9 9")
    (tmp_path / "objects.csv").write_text("\n".join(rows))
    source = AnnotatedPictures(read_table(tmp_path / "objects.csv"), image_size=16)
    first = int(torch.randperm(5, generator=generator(4, "localise"))[0])
    paint(tmp_path / f"{first}.png", ("red", (0, 0, 9, 9)))
    assert draw_cases(source, num=1, seed=4).ids.tolist() == [first]


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
        draw_cases(AnnotatedPictures(read_table(tmp_path / "objects.csv"), image_size=16), num=1, seed=0)
