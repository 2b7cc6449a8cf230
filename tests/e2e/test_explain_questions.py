"""``explain.py`` with questions of one's own: every form of picture, corpus and foil; caches; two encoders; a run over time."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl import runs
from cocoa_pl.cli import Request
from cocoa_pl.config import Config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import DataError
from tests.e2e.asking import FEW, SIDE, explain, maps_of, write_encoder, write_pictures

Ask = Callable[..., Path]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: an encoder's module, red, green and mixed pictures."""
    monkeypatch.chdir(tmp_path)
    write_encoder(tmp_path)
    write_pictures(tmp_path / "red", 14, seed=1, colour=(1, 0.2, 0.2))
    write_pictures(tmp_path / "green", 14, seed=2, colour=(0.2, 1, 0.2))
    write_pictures(tmp_path / "mixed", 24, seed=3)
    return tmp_path


def ask(*argv: str, out: str = "report", cache: str = "none") -> dict[str, object]:
    program = ["--encoder", "someones_encoder:make", "--image-size", str(SIDE)]
    return explain(*program, *argv, "--cache", cache, *FEW, out=Path(out))


def targets(report: dict[str, object]) -> list[str]:
    return [trace["target"] for trace in report["traces"]]  # type: ignore[index, attr-defined]


def scores(report: dict[str, object], trace: str) -> list[float]:
    return [m["score"] for picture in report["pictures"] for m in picture["maps"] if m["trace"] == trace]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        (["red/red000.png"], ["red000.png"]),
        (["red/red001.png", "green"], ["red001.png", *(f"green{i:03d}.png" for i in range(14))]),
        (["red/red00[12].png"], ["red001.png", "red002.png"]),
        (["**/green01*.png"], [f"green01{i}.png" for i in range(4)]),
        (["val:0,2-3", "data.name=scenes", "data.num_train=40", "data.num_val=9"], ["image 0", "image 2", "image 3"]),
    ],
)
def test_pictures_by_file_folder_glob_and_split(here: Path, words: list[str], names: list[str]) -> None:
    report = ask("--input", *words, "--foil", "mixed")
    assert [picture["name"] for picture in report["pictures"]] == names  # type: ignore[index, attr-defined]


def test_pictures_from_standard_input(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("red/red003.png\n\n# not this one\ngreen/green001.png\n"))
    report = ask("--input", "-", "--foil", "mixed")
    assert [picture["file"] for picture in report["pictures"]] == ["red/red003.png", "green/green001.png"]  # type: ignore[index, attr-defined]


def test_a_picture_of_any_form_is_seen_as_a_person_sees_it(here: Path) -> None:
    """The same picture as PNG, turned by EXIF, with an alpha channel, in 16 bits, in CMYK, very large: the same score."""
    rgb = Image.open("mixed/mixed000.png").convert("RGB").resize((64, 64))
    grey = rgb.convert("L")
    Path("forms").mkdir()
    rgb.save("forms/a.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    rgb.transpose(Image.Transpose.ROTATE_90).save("forms/b.png", exif=exif)
    rgb.convert("RGBA").save("forms/c.webp", lossless=True)
    rgb.convert("CMYK").save("forms/d.tif")
    grey.save("forms/e.png")
    Image.fromarray(np.asarray(grey).astype(np.uint16) * 257).save("forms/f.png")
    rgb.resize((6000, 6000), Image.Resampling.NEAREST).save("forms/g.png")
    found = scores(ask("--input", "forms", "--foil", "mixed"), "rise")
    np.testing.assert_allclose(found[1:4], found[0], atol=3e-3)
    assert found[5] == pytest.approx(found[4], abs=1e-5)
    assert found[6] == pytest.approx(found[0], abs=2e-2)  # resampled on the way


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], ["the original image"]),
        (["self"], ["the original image"]),
        (["red"], ["red"]),
        (["red/red001.png", "red/red002.png"], ["red"]),
        (["reds=red", "greens=green/*.png"], ["reds", "greens"]),
        (["neighbours:3"], ["neighbours"]),
        (["neighbours:3:red", "self"], ["neighbours", "the original image"]),
        (["clusters:2:mixed"], ["clusters 1", "clusters 2"]),
    ],
)
def test_every_form_of_corpus(here: Path, words: list[str], expected: list[str]) -> None:
    report = ask("--input", "green/green000.png", "red/red000.png", *(["--corpus", *words] if words else []), "--foil", "mixed")
    assert targets(report) == expected
    for picture in report["pictures"]:  # type: ignore[attr-defined]
        for found in picture["maps"]:
            assert {"score", "score_error", "reliability", "standard_error", "gap", "gap_random", "box_left", "mask_share"} <= found.keys()


def test_a_corpus_of_representations_and_one_of_a_class(here: Path) -> None:
    np.save("reds.npy", np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32))
    data = ["data.name=scenes", "data.num_train=200", "data.num_val=9"]
    report = ask("--input", "val:0", "--corpus", "reds.npy", "seven=class:7", *data)
    assert targets(report) == ["reds", "seven"]
    assert "training images" in " ".join(report["facts"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("words", "fact"),
    [
        (["mixed"], "the pictures in mixed"),
        (["mixed/mixed00*.png", "green"], "the pictures in mixed/mixed00*.png, green"),
        (["none"], "without a foil"),
        (["foil.npz#some"], "the representations in foil.npz"),
        (["class:3", "data.name=scenes", "data.num_train=200", "data.num_val=9"], "training images of class 3"),
        ([], "the other corpora"),
    ],
)
def test_every_form_of_foil(here: Path, words: list[str], fact: str) -> None:
    np.savez("foil.npz", some=np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32), other=np.zeros(3))
    report = ask("--input", "red/red000.png", "--corpus", "red", "green", *(["--foil", *words] if words else []))
    assert fact in " ".join(report["facts"])  # type: ignore[arg-type]
    assert len(report["pictures"]) == 1  # type: ignore[arg-type]


def test_red_is_like_red_and_not_like_green(here: Path) -> None:
    report = ask("--input", "red/red013.png", "green/green013.png", "--corpus", "reds=red/red00*.png", "greens=green/green00*.png")
    of_reds, of_greens = scores(report, "rise-reds"), scores(report, "rise-greens")
    assert of_reds[0] > 0 > of_reds[1]
    assert of_greens[1] > 0 > of_greens[0]
    assert report["frames"][0]["scalars"]["explain/rise-reds/auroc"] > 0.9  # type: ignore[index]


def test_what_the_encoder_chose_is_said_and_no_foil_means_none(here: Path) -> None:
    alone, among = (ask("--input", "red/red000.png", "--corpus", "clusters:2:mixed", *more)["facts"] for more in (["--foil", "none"], []))
    assert "without a foil" in alone[1]  # type: ignore[index]
    assert "beyond that to the other clusters" in among[1]  # type: ignore[index]
    assert "The encoder itself chose these pictures" in " ".join(among)  # type: ignore[arg-type]


def test_an_option_of_data_brings_no_data_set_with_it(here: Path) -> None:
    report = ask("--input", "red/red000.png", "--corpus", "red", "green", "data.num_workers=2")
    assert "the other corpora" in " ".join(report["facts"])  # type: ignore[arg-type]


def test_equal_corpora_are_refused_and_explained_pictures_in_a_corpus_are_said(here: Path) -> None:
    with pytest.raises(DataError, match="corpus and foil must differ"):
        ask("--input", "red/red000.png", "--corpus", "a=red", "b=red")
    facts = ask("--input", "red/red000.png", "--corpus", "red", "--foil", "mixed")["facts"]
    assert "1 of the explained pictures is in the corpus red: that alone raises the score." in facts  # type: ignore[operator]


def test_another_question_into_the_same_folder_leaves_nothing_of_the_first(here: Path) -> None:
    ask("--input", "red", "--foil", "mixed")
    ask("--input", "green/green000.png", "--foil", "mixed")
    assert [path.name for path in Path("report/heatmaps").iterdir()] == ["00000-green000.png"]
    assert [path.name for path in Path("report/masks").iterdir()] == ["00000-green000-rise.png"]
    assert {path.name for path in Path("report").iterdir()} == {
        "report.html", "report.json", "metrics.csv", "attributions.npz", "heatmaps", "masks",
    }  # fmt: skip


def test_the_report_holds_the_question(here: Path) -> None:
    settings = ask("--input", "red/red000.png", "--corpus", "near=neighbours:3:green", "--foil", "mixed")["settings"]
    asked = settings["question"]  # type: ignore[index]
    assert asked["corpus"] == [{"name": "near", "kind": "neighbours", "items": ["green"], "num": 3, "key": None}]
    assert asked["foil"]["items"] == ["mixed"]


def test_foil_pictures_that_are_in_a_corpus_are_left_out_and_said(here: Path) -> None:
    report = ask("--input", "red/red000.png", "--corpus", "red", "--foil", "red", "mixed")
    assert "14 pictures of the foil are in a corpus too and were left out of it." in report["facts"]  # type: ignore[operator]


def test_without_a_foil_many_pictures_are_their_own(here: Path) -> None:
    assert "the explained pictures" in " ".join(ask("--input", "mixed")["facts"])  # type: ignore[arg-type]


def test_a_second_question_encodes_no_picture_again(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a checkpoint, for an encoder of a bare function has no fingerprint."""
    torch.save(_state(), "encoder.pth")
    encoded: list[int] = []
    own = FrozenEncoder.encode

    def counted(self: FrozenEncoder, images: object, **options: object) -> torch.Tensor:
        encoded.append(len(images))  # type: ignore[arg-type]
        return own(self, images, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(FrozenEncoder, "encode", counted)
    argv = ["--ckpt", "encoder.pth", "--input", "red/red000.png", "--corpus", "green", "--foil", "mixed"]
    first, again = (ask(*argv, cache="cache", out=f"report{number}") for number in range(2) if not encoded.append(-1))  # type: ignore[func-returns-value]
    start = encoded.index(-1, 1)
    assert {14, 24} <= set(encoded[:start])
    assert not {14, 24} & set(encoded[start:])
    for trace in ("rise-green",):
        assert torch.equal(maps_of(Path("report0"), trace), maps_of(Path("report1"), trace))
    assert first["pictures"] == again["pictures"]
    green = Path("green/green000.png")
    Image.fromarray(255 - np.asarray(Image.open(green))).save(green)
    encoded.clear()
    ask(*argv, cache="cache", out="report2")
    assert 14 in encoded


def _state() -> dict[str, torch.Tensor]:
    from tests.e2e.asking import encoder_module

    return encoder_module().state_dict()


def test_two_encoders_side_by_side(here: Path) -> None:
    torch.save(_state(), "a.pth")
    torch.save(
        {name: value + 0.3 * torch.randn(value.shape, generator=torch.Generator().manual_seed(0)) for name, value in _state().items()},
        "b.pth",
    )
    same = ask("--ckpt", "a.pth", "--against", "a.pth", "--input", "red", "--foil", "mixed", out="same")
    other = ask("--ckpt", "a.pth", "--against", "b.pth", "--input", "red", "--foil", "mixed", out="other")
    assert len(other["frames"]) == 2  # type: ignore[arg-type]
    drifts = {
        name: [m["drift"] for p in report["pictures"] for m in p["maps"] if m["frame"] == 1]
        for name, report in (("same", same), ("other", other))
    }  # type: ignore[attr-defined]
    assert max(drifts["same"]) == pytest.approx(0, abs=1e-9)
    assert min(drifts["other"]) > 0.001
    assert {"drift_noise", "drift_low", "drift_high", "drift_flagged"} <= other["columns"].keys()  # type: ignore[attr-defined]
    with np.load("other/attributions.npz") as arrays:
        assert {"0/rise", "1/rise"} <= set(arrays.files)


def test_every_view_that_is_asked_for(here: Path) -> None:
    report = ask("--input", "red/red000.png", "--foil", "mixed", "explain.views=[original,flip,crop]")
    assert report["views"] == ["original", "flip", "crop"]
    assert maps_of(Path("report"), "rise").shape == (1, 3, SIDE, SIDE)
    assert len(list(Path("report/masks").iterdir())) == 3


def test_tables_and_pictures_agree(here: Path) -> None:
    report = ask("--input", "red", "--corpus", "green", "self", "--foil", "mixed", "--box", "0.9")
    with Path("report/metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 14 * 2
    for row, found in zip(rows, [m for p in report["pictures"] for m in p["maps"]], strict=True):  # type: ignore[attr-defined]
        assert row["trace"] == found["trace"]
        assert float(row["score"]) == pytest.approx(found["score"], rel=1e-5)
    mask = np.asarray(Image.open(next(Path("report/masks").glob("00000-*-rise-green.png"))))
    assert mask.mean() == pytest.approx(0.1, abs=0.01)
    maps = maps_of(Path("report"), "rise-green")[0, 0].numpy()
    assert maps[mask].min() >= maps[~mask].max()
    assert len(list(Path("report/heatmaps").iterdir())) == 14
    page = Path("report/report.html").read_text()
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)


def test_our_own_checkpoint_is_asked_about_its_own_data(smoke_run: Path, tmp_path: Path) -> None:
    argv = ["--ckpt", smoke_run / "last.ckpt", "--corpus", "class:3", "self", "--cache", "none", *FEW]
    report = explain(*argv, out=tmp_path / "report")
    assert targets(report) == ["3", "the original image"]
    assert len(report["pictures"]) == 2
    assert "random training images" in " ".join(report["facts"])


def test_a_run_over_time_has_the_numbers_of_the_callback(
    tmp_path: Path, smoke_config: Callable[..., Config], logged: Callable[[Path], dict[tuple[int, str], float]]
) -> None:
    runs.train(smoke_config(tmp_path, "checkpoint.keep_every_n_epochs=1", "trainer.epochs=3"))
    folder = tmp_path / "smoke"
    explain("--ckpt", folder, out=tmp_path / "report")
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert [frame["title"] for frame in report["frames"]] == ["untrained", "epoch 1", "epoch 2", "epoch 3"]
    values = logged(folder)
    of_time = {"explain/seconds", "explain/share_of_epoch", "explain/budget_share"}
    for epoch, frame in enumerate(report["frames"]):
        before = {
            tag: value for (step, tag), value in values.items() if step == epoch and tag.startswith("explain/") and tag not in of_time
        }
        assert frame["scalars"].keys() == before.keys()
        for tag, value in frame["scalars"].items():
            assert value == before[tag] or (value is None and before[tag] != before[tag]), (epoch, tag)
    assert len(list((tmp_path / "report" / "strips").iterdir())) == 2
    assert all({"score_error", "mask_share"} <= found.keys() for picture in report["pictures"] for found in picture["maps"])


def test_checkpoints_of_another_origin_over_time(here: Path) -> None:
    for number in range(3):
        torch.save({name: value * (1 + 0.2 * number) + 0.1 * number for name, value in _state().items()}, f"step{number}.pth")
    report = ask("--ckpt", "step*.pth", "--input", "red", "--foil", "mixed")
    assert [frame["title"] for frame in report["frames"]] == ["step0", "step1", "step2"]  # type: ignore[index, attr-defined]
    assert report["frames"][1]["scalars"]["explain/rise/drift_previous"] > 0  # type: ignore[index]
    assert "explain/rise/drift_previous" not in report["frames"][0]["scalars"]  # type: ignore[index]


def test_from_python(smoke_run: Path, tmp_path: Path) -> None:
    findings = runs.explain(Request((smoke_run / "last.ckpt",), inputs=("val:0",), out=tmp_path, overrides=FEW))
    assert findings is not None
    assert findings.pictures == ("image 0",)
