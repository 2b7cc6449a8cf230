"""Reports and texts that are passed on: names in them are only names, and nothing tells of the machine."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from cocoa_pl.callbacks.boards import plain_markdown
from tests.e2e.asking import FEW, SIDE, explain, write_encoder, write_pictures


class TestReports:
    @pytest.fixture
    def report(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """Of pictures with names that mean something to browsers and to Markdown, all of them given by absolute paths."""
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("COCOA_SECRET", "hunter2-hunter2")
        write_encoder(tmp_path)
        write_pictures(tmp_path / "foil", 6, seed=1)
        picture = write_pictures(tmp_path / "in", 1, seed=0)[0]
        for number, name in enumerate(("<script>alert(1)<|script>.png", "![x](http:||a.b|c.png).png", "\x1b[2J\n.png")):
            shutil.copy(picture, tmp_path / "in" / f"{number}{name}")
        explain(
            "--encoder", "someones_encoder:make", "--image-size", str(SIDE), "--input", tmp_path / "in", "--foil", tmp_path / "foil",
            "--cache", "none", *FEW, f"data.root={tmp_path}/secret-folder", out=tmp_path / "report",
        )  # fmt: skip
        return tmp_path / "report"

    def test_they_name_no_path_and_nothing_of_the_environment(self, report: Path) -> None:
        for name in ("report.html", "report.json", "metrics.csv", "attributions.npz"):
            content = (report / name).read_bytes()
            assert str(report.parent).encode() not in content, name
            assert str(Path.home()).encode() + b"/" not in content, name
            assert b"hunter2-hunter2" not in content, name
        settings = json.loads((report / "report.json").read_text())["settings"]
        assert settings["config"]["data"]["root"] == "secret-folder"
        assert settings["question"]["input"] == ["in"]

    def test_names_are_names(self, report: Path) -> None:
        page = (report / "report.html").read_text()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page
        with (report / "metrics.csv").open(newline="") as file:
            assert any("\n" in row["picture"] for row in csv.DictReader(file))


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "![x](http://a.b/c.png)",
        r"\![x](http://a.b/c.png)",
        r"\\[x](http://a.b)",
        "<http://a.b>",
        "[x]: http://a.b",
    ],
)
def test_no_name_becomes_a_link_or_a_picture_in_a_text(name: str) -> None:
    """As TensorBoard and W&B render texts."""
    markdown = pytest.importorskip("markdown")
    rendered = markdown.markdown(plain_markdown(f"Explicands: {name} 0.2\n\n{name}\n\n| a |\n|---|\n| b |"), extensions=["tables"])
    assert not any(tag in rendered for tag in ("<a ", "<img", "<script"))
    assert "<table>" in rendered
