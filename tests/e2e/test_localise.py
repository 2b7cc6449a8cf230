"""``python -m cocoa_pl.localise``: on a run of the image-text method, on annotated pictures, and on everything that is wrong."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import torch
from PIL import Image

from cocoa_pl.config import load_config, read_yaml
from cocoa_pl.errors import CocoaError
from cocoa_pl.localise.command import parse_localise
from cocoa_pl.localise.study import study
from cocoa_pl.runs import train
from tests.asking.colours import MODULE, SIDE, picture

CONFIG = Path(__file__).parents[2] / "configs" / "clip_scenes.yaml"
SMALL = (
    "data.num_train=64", "data.num_val=24", "data.batch_size=32", "model.width=8", "model.text_width=16", "trainer.epochs=1",
    "explain.num_masks=16", "explain.num_steps=2", "explain.foil_size=10", "trainer.accelerator=cpu", "trainer.progress_bar=false",
    "explain.enabled=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of the shipped config, smaller."""
    root = tmp_path_factory.mktemp("runs")
    train(load_config(read_yaml(CONFIG), overrides=[*SMALL, f"run.root={root}"]))
    return root / "clip_scenes"


def test_a_run_is_measured_on_its_own_pictures(run: Path, tmp_path: Path) -> None:
    results = study(parse_localise(["--ckpt", str(run), "--num", "6", "--shown", "2", "--out", str(tmp_path / "out")]))
    page = (tmp_path / "out" / "localisation.md").read_text()
    assert "clip_scenes, epoch 1" in page
    assert "6 pictures" in page
    with (tmp_path / "out" / "localisation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["target"] for row in rows if row["method"] == "rise"} == {
        "cocoa", "corpus", "contrastive_label_free", "label_free", "untrained",
    }  # fmt: skip
    assert len(rows) == 6 * len(results.placed)
    for method in ("rise", "integrated_gradients"):
        with Image.open(tmp_path / "out" / f"{method}.png") as picture:
            assert picture.width > 500
    again = study(parse_localise(["--ckpt", str(run), "--num", "6", "--shown", "0", "--out", str(tmp_path / "again")]))
    for key, own in results.placed.items():
        torch.testing.assert_close(again.placed[key], own, rtol=0, atol=0, equal_nan=True)
    assert not list((tmp_path / "again").glob("*.png"))


def test_annotated_pictures_are_asked_of_a_run(run: Path, tmp_path: Path) -> None:
    for name, colour in (("a", (250, 10, 10)), ("b", (10, 250, 10))):
        Image.new("RGB", (80, 40), colour).save(tmp_path / f"{name}.png")
    (tmp_path / "objects.csv").write_text(
        "picture,text,box\na.png,red seven,30 5 50 30\nb.png,green two,30 5 50 30\nb.png,bicycle,30 5 50 30\nb.png,bicycle,0 0 9 9\n"
    )
    results = study(
        parse_localise(
            ["--ckpt", str(run), "--annotations", str(tmp_path / "objects.csv"), "--template", "a photo of a {}", "--foil-text", "cifar100",
             "blue two", "--out", str(tmp_path / "out")]
        )
    )  # fmt: skip
    assert len(results.scores["named"]) == 2
    page = (tmp_path / "out" / "localisation.md").read_text()
    assert "the 103 texts" in page  # three of the table, a foil of 101, one of which the table has
    assert "Left out of the foil: bicycle (a text of the table)." in page
    assert "1 object outside the central square that the encoder sees, 1 object with a name that another object" in page
    assert "does not know, all one to it: bicycle, " in page
    assert "GradientSHAP" not in page
    assert "nan" not in page
    with (tmp_path / "out" / "localisation.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["picture"] == "a.png")
    assert (row["text"], row["other"], row["agreement_other"]) == ("a photo of a red seven", "", "")
    assert row["absent"] in ("a photo of a green two", "a photo of a bicycle")
    assert any(float(row["score_named"]) == pytest.approx(float(score), rel=1e-4) for score in results.scores["named"])


def test_a_pair_of_functions_is_asked_about_annotated_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("colour_pairs.py").write_text(MODULE)
    lines = ["picture,text,box"]
    for left, right in (("red", "blue"), ("lime", "red"), ("blue", "lime")):
        Image.fromarray(picture(left, right).permute(1, 2, 0).numpy()).save(f"{left}.png")
        lines += [f"{left}.png,{left},2 8 10 16", f"{left}.png,{right},14 8 22 16"]
    Path("objects.csv").write_text("\n".join(lines))
    results = study(
        parse_localise(
            ["--encoder", "colour_pairs:pair", "--image-size", str(SIDE), "--mean", "0", "--std", "1", "--annotations", "objects.csv",
             "--foil-text", "{cyan}", "white", "--template", "a photo of a {}", "--out", "out", "explain.num_steps=8",
             "explain.attributions=[integrated_gradients]", "trainer.progress_bar=false"]
        )
    )  # fmt: skip
    placed = results.placed["integrated_gradients", "cocoa"]
    assert placed["larger_on_named"].tolist() == [1] * 3
    assert placed["pointing_game"].tolist() == [1] * 3
    assert ("integrated_gradients", "untrained") not in results.placed  # nobody knows how such an encoder began
    assert "the 5 texts" in Path("out/localisation.md").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "which encoder"),
        (["--ckpt", "none.ckpt"], "no such checkpoint"),
        (["--encoder", "open_clip:ViT-B-32"], "give a table"),
        (["--ckpt", "RUN", "--template", "a {}"], "goes with --annotations"),
        (["--ckpt", "RUN", "--annotations", "x.csv", "--template", "a photo"], "must have one {}"),
        (["--ckpt", "RUN", "--annotations", "x.csv", "--template", "photos"], "gives 8 sentences"),
        (["--ckpt", "RUN", "--annotations", "x.csv", "--foil-text", "cifar10"], "cifar100"),
        (["--ckpt", "RUN", "--annotations", "none.csv"], "no such file"),
        (["--ckpt", "RUN", "--num", "0"], "must be a whole number from 1"),
        (["--ckpt", "RUN", "explain.num_mask=3"], "explain.num_masks"),
        (["--ckpt", "RUN", "explain.space=reps"], "has no text side"),
    ],
)
def test_what_is_wrong_is_said_in_a_line_and_nothing_is_written(run: Path, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(CocoaError) as error:
        study(parse_localise([str(run) if word == "RUN" else word for word in [*words, "--out", str(tmp_path / "out")]]))
    assert message in str(error.value)
    assert not (tmp_path / "out").exists()
