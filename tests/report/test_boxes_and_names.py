"""Boxes, names of targets and words of prompts: where the numbers say, on the page, in tables and in pictures."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cocoa_pl.report.findings import BOX, Findings
from cocoa_pl.report.folder import write_report
from cocoa_pl.report.html import write_html
from cocoa_pl.report.page.prompts import DEEP, ground
from cocoa_pl.report.pictures import write_pictures
from cocoa_pl.report.summary import summary
from cocoa_pl.report.tables import write_metrics, write_words
from cocoa_pl.viz import Panel, StripRow, contact_sheet, film_strip, overlay
from tests.findings import make_findings
from tests.report.test_html import Page

SCRIPT = "<script>alert(1)</script>"
PROMPT = ("a", "photo", "of", "a", SCRIPT)
DARK, LIGHT = (17, 17, 17), (255, 255, 255)


@pytest.fixture
def named() -> Findings:
    """Two pictures, two targets, labels and words that would do harm as markup."""
    return make_findings(num=2, size=32, traces=4, labels=["tabby cat", f'"><b>{SCRIPT}'], words=PROMPT)


def page_of(folder: Path, findings: Findings) -> Page:
    write_html(folder / "report.html", findings)
    return Page(folder / "report.html")


def table_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


class TestBoxes:
    @pytest.mark.parametrize("size", [(96, 48), 40])
    def test_an_outline_a_map_in_percent_of_its_picture(self, tmp_path: Path, size: int | tuple[int, int]) -> None:
        findings = make_findings(num=2, size=size, traces=2)
        findings.columns["box_left"][0, 1, 0, 0] = np.nan
        height, width = (size, size) if isinstance(size, int) else size
        page = page_of(tmp_path, findings)
        stacks = re.findall(r'<img class="map"[^>]*>(.*?)</div>', page.source)
        assert len(stacks) == 4
        for place, stack in enumerate(stacks):
            e, t = divmod(place, 2)
            left, top, right, bottom = (findings.columns[side][0, t, e, 0] for side in BOX)
            sides = {name: float(share) for name, share in re.findall(r"(\w+):([\d.]+)%", stack)}
            if (e, t) == (0, 1):
                assert sides == {}
                continue
            expected = {"left": left / width, "top": top / height, "width": (right - left) / width, "height": (bottom - top) / height}
            assert sides == pytest.approx({name: 100 * share for name, share in expected.items()}, rel=1e-5)

    def test_without_boxes_no_word_of_them(self, tmp_path: Path) -> None:
        findings = make_findings(num=1, size=32, columns=["score"])
        for each, there in ((findings, False), (make_findings(num=1, size=32), True)):
            page = page_of(tmp_path, each)
            assert bool(page.of("i", "box")) == there
            assert any(attrs.get("id") == "boxes" for attrs, _ in page.of("input")) == there
            assert ("Boxes" in [words for _, words in page.of("dt")]) == there

    def test_a_sheet_draws_it_on_the_map_and_nowhere_else(self) -> None:
        image = np.full((32, 32, 3), 200, dtype=np.uint8)
        attribution = np.full((32, 32), 0.3)
        plain, boxed = (
            np.asarray(contact_sheet([[Panel(image, attribution, box=box)] * 4], scale=1.0, title="t"))
            for box in (None, (4.0, 8.0, 20.0, 30.0))
        )
        changed = (plain != boxed).any(axis=-1)
        assert set(map(tuple, boxed[changed].tolist())) == {DARK, LIGHT}
        factor = 5
        rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
        maps_top = np.flatnonzero((plain == overlay(image, attribution, scale=1.0)[0, 0]).all(-1).any(1))[0]
        assert (rows[0] - maps_top, rows[-1] + 1 - maps_top) == (8 * factor, 30 * factor)
        first = columns[columns < columns[0] + 32 * factor]
        assert first[-1] + 1 - first[0] == 16 * factor

    def test_a_strip_draws_a_box_an_epoch(self) -> None:
        image, maps = np.full((32, 32, 3), 200, dtype=np.uint8), np.zeros((3, 32, 32))
        plain, boxed = (
            np.asarray(film_strip(image, [StripRow("IG", maps, scale=1.0, boxes=boxes)], epochs=range(3), title="t"))
            for boxes in ((), (None, (0.0, 0.0, 32.0, 32.0), None))
        )
        changed = np.flatnonzero((plain != boxed).any(axis=-1).any(axis=0))
        assert changed[-1] + 1 - changed[0] == 32 * 5
        with pytest.raises(ValueError, match="expected 3 boxes"):
            film_strip(image, [StripRow("IG", maps, scale=1.0, boxes=[None])], epochs=range(3), title="t")

    @pytest.mark.parametrize("frames", [1, 3])
    def test_pictures_of_questions_have_boxes_and_those_of_runs_are_as_the_run_drew_them(self, tmp_path: Path, frames: int) -> None:
        findings = make_findings(num=1, size=32, traces=1, frames=frames)
        without = replace(findings, columns={name: column for name, column in findings.columns.items() if name not in BOX})
        asked, unboxed = (replace(each, settings={"box": "otsu"}) for each in (findings, without))
        pictures = []
        for name, each in {"run": findings, "asked": asked, "unboxed": unboxed}.items():
            write_pictures(tmp_path / name, each, mask_of=lambda maps: maps > 0, max_pictures=1)
            kinds = ["heatmaps", "strips"][: 1 + (frames > 1)]
            pictures.append([np.asarray(Image.open(next((tmp_path / name / kind).iterdir()))) for kind in kinds])
        for of_run, of_question, without_boxes in zip(*pictures, strict=True):
            np.testing.assert_array_equal(of_run, without_boxes)
            assert (of_run != of_question).any()


class TestLabels:
    def test_the_page_says_what_the_target_is_in_each_picture(self, tmp_path: Path, named: Findings) -> None:
        page = page_of(tmp_path, named)
        headings = [(attrs["title"], words) for attrs, words in page.of("p", "what") if "towards" in words and "title" in attrs]
        for e, t in np.ndindex(2, 4):
            trace, label = named.traces[t], named.label((0, t, e, 0))
            assert label
            whole = f"{trace.method} towards {trace.target}: {label}"
            assert headings[4 + 4 * e + t] == (whole, whole.replace(": ", ":", 1))  # the first are legends; two lines
        alts = [attrs["alt"] for attrs, _ in page.of("img", "map")]
        assert alts[0].startswith("RISE towards cat: tabby cat: score")
        assert alts[2].startswith(f'RISE towards portrait: "><b>{SCRIPT}: score')
        assert [words for _, words in page.of("th") if words == "label"] == ["label"]
        assert len(page.of("script")) == 2

    def test_where_encoders_differ_each_map_says_it(self, tmp_path: Path) -> None:
        findings = make_findings(num=1, size=32, traces=1, frames=2, labels=["cat"])
        labels = np.array(findings.labels, dtype="<U9")
        labels[1] = "dog"
        page = page_of(tmp_path, replace(findings, labels=labels))
        assert [words for attrs, words in page.of("p", "what")][-1] == "RISE towards cat"
        assert [words.split("score")[0] for _, words in page.of("figcaption")] == ["untrainedcat", "resnet50-dino.pthdog"]

    def test_tables_have_a_column_only_where_there_are_labels(self, tmp_path: Path, named: Findings) -> None:
        write_metrics(tmp_path / "metrics.csv", named)
        rows = table_of(tmp_path / "metrics.csv")
        assert [row["label"] for row in rows] == [named.label((0, t, e, 0)) for e in range(2) for t in range(4)]
        write_metrics(tmp_path / "metrics.csv", replace(named, labels=None))
        assert [{**row, "label": ""} for row in table_of(tmp_path / "metrics.csv")] == [{**row, "label": ""} for row in rows]
        assert "label" not in table_of(tmp_path / "metrics.csv")[0]

    def test_a_terminal_lists_them_by_picture_and_nothing_moves_its_cursor(self) -> None:
        findings = make_findings(num=14, size=32, traces=4, labels=["cat\x1b[2J", "dog"], names=["\x1b[1A.jpg"], columns=["score"])
        told = summary(findings)
        score = findings.columns["score"]
        assert f"?[1A.jpg{' ' * 42}cat?[2J {score[0, 0, 0, 0]:+.3f}, dog {score[0, 2, 0, 0]:+.3f}\n" in told
        assert "the first 12 of 14 pictures" in told
        assert "\x1b" not in told


class TestWords:
    def test_each_word_has_its_value_and_a_ground_of_its_colour(self, tmp_path: Path, named: Findings) -> None:
        values = {key: each.copy() for key, each in named.word_values.items()}
        values["rise-cat"][0, 0, 0] = [-0.5, -0.001, 0.0, np.nan, 0.5]
        del values["rise-portrait"]
        findings = replace(named, word_values=values)
        scale = float(np.nanquantile(np.abs(np.concatenate([each.ravel() for each in values.values()])), 0.98))
        page = page_of(tmp_path, findings)
        assert [" ".join(words.split()) for _, words in page.of("p", "prompt")] == [" ".join(PROMPT)] * 6
        first = page.source.split('<p class="prompt">')[1].split("</p>")[0]
        assert re.findall(r'title="([^"]+)"', first) == ["\u22120.50", "\u22120.0010", "0", "+0.50"]
        assert re.findall(r"background:(rgb[^\"]+)", first)[::2] == ["rgb(0 69 149/1)", "rgb(141 21 12/1)"]
        assert float(re.findall(r"background:rgb[^\"]+/([\d.]+)\)", first)[1]) == pytest.approx((0.001 / scale) ** 0.6, abs=1e-3)
        assert float(page.text().split("It is full at ")[1].split()[0]) == pytest.approx(scale, rel=0.02)
        assert len(page.of("script")) == 2

    @pytest.mark.parametrize("theme", ["light", "dark"])
    def test_a_word_is_read_on_any_ground(self, theme: str) -> None:
        style = (files("cocoa_pl.report.page") / "style.css").read_text()
        colours = style[style.index('[data-theme="dark"] {') if theme == "dark" else 0 :]
        paper, ink = (np.array(_hex(colours, name)) for name in ("paper", "letters"))
        for ratio in np.linspace(-1.5, 1.5, 301).tolist():
            colour, opacity = ground(ratio)
            behind = opacity * np.array(colour) + (1 - opacity) * paper
            letters = np.full(3, 255) if abs(ratio) > DEEP else ink
            assert _contrast(letters, behind) > 4

    def test_tables(self, tmp_path: Path, named: Findings) -> None:
        findings = replace(named, word_values={"rise-cat": named.word_values["rise-cat"]})
        findings.word_values["rise-cat"][0, 1, 0, 2] = np.nan
        write_words(tmp_path / "words.csv", findings)
        rows = table_of(tmp_path / "words.csv")
        assert [row["word"] for row in rows] == list(PROMPT) * 2
        assert [row["place"] for row in rows] == list("01234") * 2
        assert rows[7]["value"] == ""
        found = [float(row["value"] or "nan") for row in rows]
        np.testing.assert_allclose(found, findings.word_values["rise-cat"][0, :, 0].ravel(), rtol=1e-6)
        write_words(tmp_path / "words.csv", replace(findings, word_values={}))
        assert not (tmp_path / "words.csv").exists()


def test_a_whole_folder_of_them(tmp_path: Path, named: Findings, capsys: pytest.CaptureFixture[str]) -> None:
    named.word_values["rise-cat"][0, 0, 0, 1] = np.nan
    write_report(tmp_path, named, mask_of=lambda maps: maps > 0)
    assert "metrics.csv, words.csv, attributions.npz" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["schema"] == 2
    assert [trace["words"] for trace in report["traces"]] == [list(PROMPT)] * 4
    first = report["pictures"][0]["maps"][0]
    assert first["label"] == "tabby cat"
    assert first["words"][1] is None
    np.testing.assert_allclose(first["words"][2:], named.word_values["rise-cat"][0, 0, 0, 2:])
    write_report(tmp_path, make_findings(num=1, size=32), mask_of=lambda maps: maps > 0)
    assert not (tmp_path / "words.csv").exists()
    report = json.loads((tmp_path / "report.json").read_text())
    assert "words" not in report["traces"][0]
    assert not {"label", "words"} & set(report["pictures"][0]["maps"][0])


def _hex(style: str, name: str) -> list[int]:
    found = re.search(rf"--{name}: #([0-9a-f]+)", style)
    assert found
    digits = found[1] if len(found[1]) == 6 else "".join(2 * digit for digit in found[1])
    return [int(digits[at : at + 2], 16) for at in (0, 2, 4)]


def _contrast(one: np.ndarray, other: np.ndarray) -> float:
    """As WCAG 2 has it: 1, the same lightness, to 21."""
    light = []
    for colour in (one / 255, other / 255):
        linear = np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
        light.append(float(linear @ [0.2126, 0.7152, 0.0722]) + 0.05)
    return max(light) / min(light)
