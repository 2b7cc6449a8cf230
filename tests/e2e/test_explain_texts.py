"""``explain.py`` asked in words, with a pair of encoders whose maps have a ground truth: how much of a colour there is, and its name."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl import runs
from cocoa_pl.asking.parts import Parts
from cocoa_pl.cli import parse_explain
from cocoa_pl.config import Config
from cocoa_pl.errors import CocoaError, OutputError
from cocoa_pl.runs import understanding
from cocoa_pl.runs.fingerprint import fingerprint
from cocoa_pl.targets import cocoa, normalize
from tests.asking.colours import COLOURS, MODULE, NAMES, SIDE, encoder, picture, share_on, text_encoder
from tests.e2e.asking import FEW, maps_of

PAIRS = {"red-blue": ("red", "blue"), "lime-teal": ("lime", "teal"), "white-red": ("white", "red")}
FOIL = NAMES[3:11]
METHODS = "explain.attributions=[integrated_gradients,rise]"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pictures of two squares, plain ones, and a module with pairs of encoders."""
    monkeypatch.chdir(tmp_path)
    Path("colour_pairs.py").write_text(MODULE)
    for folder in ("squares", "plain"):
        Path(folder).mkdir()
    for name, pair in PAIRS.items():
        Image.fromarray(picture(*pair).permute(1, 2, 0).numpy()).save(f"squares/{name}.png")
    for number in range(24):
        colour = tuple(int(120 + 5 * number * part) for part in COLOURS[NAMES[number % len(NAMES)]])
        Image.new("RGB", (SIDE, SIDE), colour).save(f"plain/{number:02d}.png")
    return tmp_path


def argv(*words: str, pair: str = "pair") -> list[str]:
    return [
        "--encoder", f"colour_pairs:{pair}", "--image-size", str(SIDE), "--mean", "0", "--std", "1", "--input", "squares", *words,
        "--cache", "none", *FEW, METHODS, "explain.num_steps=8",
    ]  # fmt: skip


def ask(*words: str, out: str = "report", pair: str = "pair") -> dict[str, Any]:
    runs.explain(parse_explain([*argv(*words, pair=pair), "--out", out]))
    report: dict[str, Any] = json.loads(Path(out, "report.json").read_text())
    return report


def found(report: dict[str, Any], picture: str, trace: str) -> dict[str, Any]:
    (one,) = [m for p in report["pictures"] if p["name"] == f"{picture}.png" for m in p["maps"] if m["trace"] == trace and m["frame"] == 0]
    return dict(one)


def place(report: dict[str, Any], picture: str) -> int:
    return [each["name"] for each in report["pictures"]].index(f"{picture}.png")


class TestAnswers:
    def test_maps_and_numbers_of_what_is_there_and_what_is_not(self, here: Path) -> None:
        report = ask("--corpus-text", "red", "a photo of a {blue}", "--foil-text", *FOIL)
        assert [trace["target"] for trace in report["traces"]] == ["red", "red", "blue", "blue"]
        maps = maps_of(Path("report"), "integrated_gradients-red")[:, 0]
        for name, square in (("red-blue", "left"), ("white-red", "right")):
            one = found(report, name, "integrated_gradients-red")
            assert share_on(maps[place(report, name)], square) > 0.8
            assert "not in the picture?" not in one["flags"]
            assert "same for any text" not in one["flags"]
            columns = {"left": (2, 10), "right": (14, 22)}[square]
            assert abs(one["box_left"] - columns[0]) <= 1
            assert abs(one["box_right"] - columns[1]) <= 1
        absent = found(report, "lime-teal", "integrated_gradients-red")
        assert absent["rank"] < 0.5
        assert "not in the picture?" in absent["flags"]
        assert absent["score"] < 0
        assert "auroc" not in absent
        assert "prompt agreement" in " ".join(report["facts"]).casefold()
        assert report["facts"][0] == "What makes each of these 3 pictures like red or blue, to this encoder, and not like the foil?"

    def test_scores_are_those_of_cocoa_asked_directly(self, here: Path) -> None:
        report = ask("--corpus-text", "red", "--foil-text", *FOIL)
        foil = text_encoder().encode([f"a photo of {'an' if name[0] in 'aeiou' else 'a'} {name}" for name in FOIL])
        target = cocoa(text_encoder().encode(["a photo of a red"]), foil)
        for name, pair in PAIRS.items():
            expected = target(encoder().encode(picture(*pair)[None].float() / 255), torch.zeros(1, dtype=torch.long))
            assert found(report, name, "rise-red")["score"] == pytest.approx(float(expected), abs=1e-5)

    def test_the_best_concepts_of_each_picture(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        report = ask("--concepts", *NAMES, "--top", "2")
        for name, pair in PAIRS.items():
            assert {found(report, name, f"rise-concept {number}")["label"] for number in (1, 2)} == set(pair)
            for number in (1, 2):
                trace = f"integrated_gradients-concept {number}"
                square = ("left", "right")[pair.index(found(report, name, trace)["label"])]
                assert share_on(maps_of(Path("report"), trace)[place(report, name), 0], square) > 0.7
        with Path("report/metrics.csv").open(newline="") as file:
            assert {row["label"] for row in csv.DictReader(file)} == {name for pair in PAIRS.values() for name in pair}
        assert "lime" in capsys.readouterr().out
        assert "like the concepts that it is most like" in report["facts"][0]

    def test_words_of_a_prompt(self, here: Path) -> None:
        ask("--corpus-text", "warm=a {red} and quiet thing", "--foil-text", *FOIL, "--words")
        with Path("report/words.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["picture"] == "red-blue.png" and row["trace"] == "rise-warm"]
        assert [row["word"] for row in rows] == ["a", "red", "and", "quiet", "thing"]
        values = [float(row["value"]) for row in rows]
        assert np.argmax(values) == 1
        unit = normalize(text_encoder().encode(["a red and quiet thing", "."]))
        own = normalize(encoder().encode(picture("red", "blue")[None].float() / 255))[0]
        assert sum(values) == pytest.approx(float((unit[0] - unit[1]) @ own), abs=1e-4)

    def test_what_was_left_out_of_the_foil_is_said_once_and_written(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        report = ask("--corpus-text", "red", "--foil-text", *NAMES, "Reds")
        said = [line for line in capsys.readouterr().out.splitlines() if "left out of the foil" in line]
        assert len(said) == 1
        assert said[0] in report["facts"]

    def test_an_encoder_that_hears_no_text_is_found_out(self, here: Path) -> None:
        report = ask("--corpus-text", "red", "--foil-text", "blue", "teal", "--foil", "plain", pair="blind")
        assert all("same for any text" in m["flags"] for p in report["pictures"] for m in p["maps"])
        warnings = [warning for frame in report["frames"] for warning in frame["warnings"]]
        assert any("RISE towards red: most maps are nearly those of a nonsense text" in warning for warning in warnings)

    def test_pictures_and_texts_in_one_question(self, here: Path) -> None:
        report = ask("--corpus", "reds=squares/white-red.png", "self", "--corpus-text", "red", "--foil", "plain", "--foil-text", *FOIL)
        assert [trace["key"] for trace in report["traces"]][1::2] == ["rise-reds", "rise", "rise-red"]
        assert sum("8 pictures (the pictures in plain) and 8 texts" in fact for fact in report["facts"]) == 3
        assert "rank" not in found(report, "red-blue", "rise-reds")
        assert found(report, "red-blue", "rise-red")["rank"] == 1

    def test_texts_alone_are_a_foil_of_pictures(self, here: Path) -> None:
        report = ask("--foil-text", *FOIL)
        assert report["facts"][1].startswith("Likeness to the picture itself, beyond that to 8 texts (")

    def test_pictures_alone_are_a_foil_of_texts(self, here: Path) -> None:
        report = ask("--corpus-text", "red", "--foil", "plain")
        assert "beyond that to 18 pictures (the pictures in plain)" in report["facts"][1]
        assert "rank" not in report["columns"]
        assert "prompt_agreement" in report["columns"]

    def test_two_pairs_side_by_side(self, here: Path) -> None:
        for value in (4.0, 12.0):
            torch.save({"sharpness": torch.tensor(value)}, f"sharp{value:g}.pth")
        report = ask("--ckpt", "sharp4.pth", "--against", "sharp12.pth", "--concepts", *NAMES, "--top", "1", pair="with_sharpness")
        assert [frame["title"] for frame in report["frames"]] == ["sharp4.pth", "sharp12.pth"]
        labels = [[m["label"] for m in each["maps"] if m["trace"] == "rise-concept 1"] for each in report["pictures"]]
        drifts = [[m.get("drift") for m in each["maps"] if m["trace"] == "rise-concept 1"][1] for each in report["pictures"]]
        assert [drift is not None for drift in drifts] == [first == second for first, second in labels]

    @pytest.mark.slow
    def test_pictures_of_a_data_set(self, here: Path) -> None:
        words = ["--corpus-text", "red", "lime", "--input", "val:0-1", "data.name=scenes", "data.num_train=40"]
        assert [each["name"] for each in ask(*words)["pictures"]] == ["image 0", "image 1"]


class TestParts:
    def test_everything_in_words_decides_the_answer(self, here: Path) -> None:
        questions = (
            ["--corpus-text", "red", "blue"], ["--corpus-text", "red", "teal"], ["--corpus-text", "x=red", "blue"],
            ["--corpus-text", "red", "blue", "--foil-text", "lime"], ["--corpus-text", "red", "blue", "--foil-text", "teal"],
            ["--corpus-text", "red", "blue", "--words"], ["--corpus-text", "red", "blue", "--foil", "plain"],
            ["--concepts", "red", "blue", "teal"], ["--concepts", "red", "blue", "teal", "--top", "2"],
            ["--foil-text", "red"], ["--foil-text", "red", "--template", "photos"],
        )  # fmt: skip
        prints = set()
        for words in questions:
            request = parse_explain(argv(*words))
            prints.add(fingerprint(request, understanding.understand(request)))
        assert len(prints) == len(questions)

    def test_an_answer_goes_on_where_it_was_stopped(self, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(understanding, "_MOST_IN_A_BLOCK", 1)
        words = ["--corpus-text", "red", "blue", "--concepts", *NAMES, "--top", "1", "--words", "explain.attributions=[rise]"]
        ask(*words, out="whole")
        write = Parts.write

        def twice(self: Parts, frame: int, block: int, rows: Any) -> None:
            if block == 2:
                raise OutputError("no room")
            write(self, frame, block, rows)

        with monkeypatch.context() as broken:
            broken.setattr(Parts, "write", twice)
            with pytest.raises(OutputError):
                ask(*words)
        assert len(list(Path("report/.parts").rglob("*.npz"))) == 2
        ask(*words)
        for name in ("metrics.csv", "words.csv"):
            assert Path("report", name).read_bytes() == Path("whole", name).read_bytes()


class TestWhatCannotBe:
    @pytest.mark.parametrize(
        ("pair", "words", "said"),
        [
            ("alone", ["--corpus-text", "red", "blue"], "has no text encoder in the space explained, so it cannot be asked in words"),
            ("alone", ["--concepts", "red", "blue"], "open_clip:NAME, transformers:ID, a function that returns a pair"),
            ("alone", ["--foil-text", "red"], "has no text encoder"),
            ("dim_of_its_own", ["--corpus-text", "red", "blue"], "5"),
            ("pair", ["--corpus-text", "red"], "--foil-text: what is 'red' contrasted with?"),
            ("pair", ["--corpus-text", "red", "--foil-text", "Reds"], "the foil of 'red' is emptied"),
            ("pair", ["--corpus-text", "red", "  "], "--corpus-text '  ': is empty"),
            ("pair", ["--corpus-text", "red", "blue", "--corpus", "red=squares"], "what a target of --corpus is called too"),
        ],
    )
    def test_is_one_sentence_and_leaves_nothing(self, here: Path, pair: str, words: list[str], said: str) -> None:
        with pytest.raises(CocoaError) as error:
            ask(*words, pair=pair)
        assert said in str(error.value)
        assert len(str(error.value)) < 400
        assert not Path("report").exists()

    def test_an_encoder_without_texts_is_refused_before_any_picture_is_read(self, here: Path) -> None:
        with pytest.raises(CocoaError, match="has no text encoder"):
            runs.explain(parse_explain([*argv("--corpus-text", "red", "blue", "--input", "gone.png", pair="alone"), "--out", "report"]))


@pytest.fixture(scope="module")
def image_text_run(tmp_path_factory: pytest.TempPathFactory, smoke_config: Callable[..., Config]) -> Path:
    """The folder of a run of an epoch that learns from captions."""
    root = tmp_path_factory.mktemp("captioned")
    true = ["augment.flip=0", "augment.jitter=0", "augment.grayscale=0"]  # captions stay so in these views
    options = ["data.name=captioned_scenes", "model.method=image_text", "explain.space=projections", "trainer.epochs=1", *true]
    runs.train(smoke_config(root, *options))
    return root / "smoke"


@pytest.mark.slow
def test_a_run_of_ours_is_asked_in_words_among_its_projections_alone(
    image_text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--ckpt",
        str(image_text_run),
        "--input",
        "val:0-1",
        "--corpus-text",
        "red seven",
        "a photo of a {blue three}",
        "red zebra",
        "--cache",
        "none",
    ]
    runs.explain(parse_explain([*words, *FEW, "--out", str(tmp_path / "report")]))
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert {"rank", "prompt_agreement"} <= report["columns"].keys()
    (notice,) = (line for line in capsys.readouterr().out.splitlines() if "does not know the words: zebra." in line)
    assert notice in report["facts"]
    with pytest.raises(CocoaError, match="--corpus-text: the text encoder knows no word of zebra"):
        runs.explain(parse_explain([*words[:5], "zebra", *words[5:], *FEW, "--out", str(tmp_path / "third")]))
    with pytest.raises(CocoaError, match=r"explain.space=projections"):
        runs.explain(parse_explain([*words, *FEW, "explain.space=reps", "--out", str(tmp_path / "other")]))
