"""``report.html`` as text: whole, escaped, honest about what is missing, and with the very numbers that it was made from."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cocoa_pl.errors import OutputError
from cocoa_pl.report.findings import COLUMNS, Block, Findings
from cocoa_pl.report.html import write_html
from cocoa_pl.report.page import cards, records, tiles
from cocoa_pl.viz import overlay
from tests.findings import make_findings, map_of, picture

VOID = {"meta", "link", "img", "input", "br"}
HOSTILE = (
    "<script>alert(1)</script>.png",
    '" onerror="alert(1)" x=".jpg',
    "</script><img src=x onerror=alert(1)>.jpg",
    "猫と犬 🐈 مرحبا.jpg",
    "$title ${style} {x} &amp;.jpg",
    "not\udcfftext.jpg",
)


class Page(HTMLParser):
    """A page as its elements, in order, each (tag, attributes, text right in it); raises where tags are not closed in turn."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str], list[str]]] = []
        self._open: list[tuple[str, dict[str, str], list[str]]] = []
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs)
        element = (tag, {name: value or "" for name, value in attrs}, list[str]())
        self.elements.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}, []))

    def handle_endtag(self, tag: str) -> None:
        assert self._open
        assert self._open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element[2].append(data)

    def of(self, tag: str, kind: str = "") -> list[tuple[dict[str, str], str]]:
        """Attributes and text of elements of a tag and a class."""
        found = [(attrs, "".join(words)) for name, attrs, words in self.elements if name == tag]
        return [(attrs, words) for attrs, words in found if not kind or kind in attrs.get("class", "").split()]

    def text(self) -> str:
        """Everything written in the body."""
        return " ".join(self.of("body")[0][1].split())

    def maps(self) -> list[Image.Image]:
        return [_picture(attrs["src"]) for attrs, _ in self.of("img", "map")]


def page_of(folder: Path, findings: Findings, **options: Any) -> Page:
    write_html(folder / "report.html", findings, **options)
    return Page(folder / "report.html")


def _picture(address: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(address.partition("base64,")[2])))


@pytest.mark.parametrize("num", [1, 3])
@pytest.mark.parametrize("views", [1, 3])
@pytest.mark.parametrize("traces", [1, 2, 4])
@pytest.mark.parametrize("frames", [1, 2, 6])
def test_without_a_script_every_map_of_every_picture_is_there(tmp_path: Path, num: int, views: int, traces: int, frames: int) -> None:
    page = page_of(tmp_path, make_findings(num=num, size=32, views=views, traces=traces, frames=frames, rows_a_block=2))
    assert len(page.of("article")) == num
    assert len(page.of("img", "map")) == num * views * traces * frames
    assert len(page.of("img")) == num * views * (traces * frames + 1)
    assert len(page.of("div", "legend")) == traces
    assert bool(page.of("div", "charts")) == (frames > 2)
    ids = [attrs["id"] for _, attrs, _ in page.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {attrs["href"][1:] for attrs, _ in page.of("a")} <= set(ids)


def test_nothing_is_asked_for_from_outside(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(frames=6, views=3, traces=4, num=2, size=32))
    for tag, attrs, _ in page.elements:
        assert tag not in {"iframe", "object", "embed", "base"}
        assert attrs.get("src", "data:image/").startswith("data:image/")
        assert attrs.get("href", "#").startswith(("#", "data:,"))
    assert re.findall(r"url\((?!data:image/)", page.source) == []
    assert re.findall(r"(?:https?:)?//[a-z]", re.sub(r"base64,[A-Za-z0-9+/=]+", "", page.source)) == []


def test_the_policy_allows_the_page_s_own_scripts_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(num=1, size=32))
    policy = next(attrs["content"] for attrs, _ in page.of("meta") if "http-equiv" in attrs)
    scripts = [words for _, words in page.of("script")]
    digests = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(scripts) == 2
    assert policy.split("script-src ")[1].split() == [f"'sha256-{digest}'" for digest in digests]
    assert policy.startswith("default-src 'none'")


def test_words_from_outside_stay_words(tmp_path: Path) -> None:
    findings = make_findings(num=len(HOSTILE), size=28, names=HOSTILE, warnings=["<b>bold</b> & </aside>"])
    traces = tuple(replace(trace, target=f"{trace.target}</option><i>") for trace in findings.traces)
    page = page_of(tmp_path, replace(findings, title="</title><script>x</script>", facts=("<h1>",), words=("<u>", '">'), traces=traces))
    shown = [name.replace("\udcff", "?") for name in HOSTILE]
    assert [attrs["data-name"] for attrs, _ in page.of("article")] == shown
    assert [words for _, words in page.of("h3")] == shown
    assert len(page.of("script")) == 2
    assert not [name for _, attrs, _ in page.elements for name in attrs if name.startswith("on")]
    assert page.of("title")[0][1] == "</title><script>x</script>"
    assert "<b>bold</b> & </aside>" in page.text()
    assert not {"u", "i"} & {tag for tag, attrs, _ in page.elements if not attrs}


def test_a_map_is_that_of_the_explanation_to_a_level(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(num=2, size=64, traces=2))
    for n, image in enumerate(page.maps()):
        given = map_of(0, n % 2, n // 2, 0, 64, 64, noise=0.05)
        found = (np.array(image).astype(float) - 127) / 127
        np.testing.assert_allclose(found, np.clip(given, -1, 1), atol=0.5 / 127 + 1e-6)


def test_a_map_over_its_picture_looks_as_in_every_other_picture_of_this_package() -> None:
    image, given = picture(0, 0, 48, 48), map_of(0, 0, 0, 0, 48, 48, noise=0.3)
    grey = _picture(tiles.picture_files(image, side=192)[1]).convert("RGBA")
    levels = tiles.levels(given, scale=0.7, side=192)
    laid = Image.alpha_composite(grey, _picture(tiles.map_file(levels)).convert("RGBA")).convert("RGB")
    expected = overlay(image, given, scale=0.7, strength=1.0).astype(int)
    assert np.abs(np.array(laid) - expected).mean() < 2.5  # the grey picture is a JPEG
    flat = np.full((48, 48, 3), 128, dtype=np.uint8)
    grey = Image.fromarray(overlay(flat, np.zeros((48, 48)), scale=0.0)).convert("RGBA")
    laid = Image.alpha_composite(grey, _picture(tiles.map_file(levels)).convert("RGBA")).convert("RGB")
    assert np.abs(np.array(laid).astype(int) - overlay(flat, given, scale=0.7, strength=1.0)).max() <= 3


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (5, 3), (192, 192)])
def test_files_of_maps_hold_every_level(shape: tuple[int, int]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    smooth = (np.add.outer(np.arange(shape[0]), np.arange(shape[1])) % 256).astype(np.uint8)
    for each in (pixels, smooth, np.full(shape, 127, dtype=np.uint8)):
        image = _picture(tiles.map_file(each))
        assert image.mode == "P"
        np.testing.assert_array_equal(np.array(image), each)
    colours = np.array(_picture(tiles.map_file(np.array([[0, 127, 254, 255]], dtype=np.uint8))).convert("RGBA"))[0]
    assert colours[[0, 2], 3].tolist() == [255, 255]
    assert colours[[1, 3], 3].tolist() == [0, 0]  # zero, and what is not known
    assert colours[0, 2] > colours[0, 0]
    assert colours[2, 0] > colours[2, 2]


def test_large_maps_are_averaged_over_areas() -> None:
    given = np.random.default_rng(0).standard_normal((384, 384)).astype(np.float32)
    expected = given.reshape(192, 2, 192, 2).mean((1, 3))
    found = (tiles.levels(given, scale=4.0, side=192).astype(float) - 127) / 127 * 4
    np.testing.assert_allclose(found, expected, atol=0.51 * 4 / 127)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf, -np.inf, 3.0])
def test_values_without_a_place_on_the_scale(value: float) -> None:
    given = np.full((2, 2), value, dtype=np.float32)
    expected = 255 if np.isnan(value) else 127 + 127 * int(np.sign(value))
    assert (tiles.levels(given, scale=1.0, side=192) == expected).all()
    assert (tiles.levels(given, scale=0.0, side=192) == (255 if np.isnan(value) else 127)).all()


def test_no_attribution_at_all(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(num=1, size=32, scale=0.0, traces=1, flags={(0, 0, 0, 0): "flat"}))
    assert "every attribution is 0" in page.text()
    assert "flat 1 of 1 map." in page.text()


def test_it_says_what_is_not_shown(tmp_path: Path) -> None:
    done = [True, False, True, True, False]
    page = page_of(tmp_path, make_findings(num=5, size=32, finished=done), max_pictures=2)
    assert "3 of 5 pictures are explained so far." in page.text()
    assert "This page shows the first 2 of 3; metrics.csv has the numbers of all and attributions.npz the maps." in page.text()
    assert [attrs["data-name"] for attrs, _ in page.of("article")] == ["chelsea.jpg", "coffee.jpg"]
    assert "explained so far" not in page_of(tmp_path, make_findings(num=5, size=32)).text()


@pytest.mark.parametrize(("finished", "max_pictures"), [([False, False], 100), ([True, True], 0)])
def test_a_page_without_pictures_is_a_page(tmp_path: Path, finished: list[bool], max_pictures: int) -> None:
    path = tmp_path / "report.html"
    assert write_html(path, make_findings(num=2, size=32, finished=finished), max_pictures=max_pictures) == 0
    assert not Page(path).of("article")


def test_blocks_are_read_once_and_no_further_than_needed(tmp_path: Path) -> None:
    findings, read = make_findings(num=12, size=28, rows_a_block=2), list[int]()

    def counted() -> Iterator[Block]:
        for block in findings.blocks():
            read.extend(block.pictures.tolist())
            yield block

    assert write_html(tmp_path / "report.html", replace(findings, blocks=counted), max_pictures=3) == 3
    assert read == [0, 1, 2, 3]


def test_a_page_stays_small_enough_to_mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cards, "PAGE_BUDGET", 60_000)
    findings = make_findings(num=30, size=64)
    shown = write_html(tmp_path / "report.html", findings)
    assert 1 <= shown < 30
    assert f"This page shows the first {shown} of 30, so that it can still be mailed" in Page(tmp_path / "report.html").text()


def test_a_hundred_pictures_and_four_traces_of_noise_which_nothing_makes_smaller(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert write_html(path, make_findings(num=100, size=224, traces=4, noise=1.0)) == 100
    assert path.stat().st_size < 15e6  # 4.8 MB where maps are smooth


def test_numbers_that_are_not_known(tmp_path: Path) -> None:
    findings = make_findings(num=2, size=32)
    findings.columns["score"][:, :, 0] = np.nan
    findings.columns["auroc"][:] = np.nan
    page = page_of(tmp_path, findings)
    tiles_of = page.of("figure", "tile")
    assert ["data-score" in attrs for attrs, _ in tiles_of if "data-frame" in attrs] == [False, False, True, True]
    assert "\u2013" in page.of("table")[1][1]
    assert "Quality of a target" not in page.text()  # nothing was measured: no word of it
    assert "nan" not in page.of("main")[0][1].lower().split()


def test_the_quality_of_a_target_comes_with_its_error_and_a_word(tmp_path: Path) -> None:
    findings = make_findings(num=3, size=32, traces=4)
    findings.columns["auroc"][:, :2], findings.columns["auroc_error"][:, :2] = 0.6, 0.07
    findings.columns["auroc"][:, 2:] = np.array([0.5, 0.7, 0.9])[:, None]  # each picture has a corpus of its own
    cells = [words for _, words in page_of(tmp_path, findings).of("td")]
    assert "not told from chance 0.600 \u00b1 0.070" in cells
    assert "0.50 to 0.90, mean 0.70" in cells


def test_a_report_of_pictures_alone(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(num=2, size=32, columns=["score"], flags={}))
    assert "No warnings." in page.text()
    assert [attrs["value"] for attrs, _ in page.of("option")][-4:] == ["", "name", "score highest", "score lowest"]


def test_a_change_is_told_with_its_noise(tmp_path: Path) -> None:
    findings = make_findings(num=2, size=32, frames=2, traces=1)
    at = (1, 0, slice(None), 0)
    for name, values in {"drift": (0.3, 0.1), "drift_low": (0.2, 0), "drift_high": (0.4, 0.2), "drift_noise": (0.12, 0.12)}.items():
        findings.columns[name][at] = values
    findings.columns["drift_flagged"][at] = (1, 0)
    captions = [words for _, words in page_of(tmp_path, findings).of("figcaption")]
    assert "drift 0.30 (0.20 to 0.40), beyond noise of 0.12" in captions[1]
    assert "drift 0.10 (0 to 0.20), within noise of 0.12" in captions[3]
    assert not any("drift" in words for words in (captions[0], captions[2]))


def test_every_flag_of_a_map_counts(tmp_path: Path) -> None:
    page = page_of(tmp_path, make_findings(num=2, size=32, traces=1, flags={(0, 0, 0, 0): "noisy, moved", (0, 0, 1, 0): "noisy"}))
    aside = page.of("aside")[0][1]
    assert "noisy 2 of 2 maps." in aside
    assert "moved 1 of 2 maps." in aside
    assert [words for _, words in page.of("dt")][-2:] == ["Warning: noisy", "Warning: moved"]
    assert "2 of 2" in page.of("table")[0][1]


def test_the_table_of_numbers_ends_somewhere_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "MAX_ROWS", 5)
    page = page_of(tmp_path, make_findings(num=4, size=32))
    assert "The first 5 of 8 rows; metrics.csv has all." in page.text()
    assert len(page.of("tr")) == 3 + 6


def test_curves_follow_epochs_and_break_where_nothing_is_known(tmp_path: Path) -> None:
    findings = make_findings(num=2, size=32, frames=6, traces=1)
    frames = [replace(frame, encoder={"epoch": epoch}) for frame, epoch in zip(findings.frames, (0, 1, 2, 3, 4, 20), strict=True)]
    frames[2] = replace(frames[2], scalars={name: value for name, value in frames[2].scalars.items() if not name.endswith("/gap")})
    page = page_of(tmp_path, replace(findings, frames=tuple(frames)))
    charts = {words.split("  ")[0]: attrs for attrs, words in page.of("figcaption") if not attrs}
    assert any(name.startswith("Gap") for name in charts)
    svg = next(attrs for attrs, _ in page.of("svg") if attrs.get("aria-label", "").startswith("Gap: "))
    assert "smooth random map" in svg["aria-label"]
    section = page.source.split('aria-label="Gap: ')[1].split("</svg>")[0]
    solid, dashed = re.findall(r'<g class="line c0[^"]*"><path d="([^"]+)"', section)
    assert solid.count("M") == 2
    assert dashed.count("M") == 1
    across = [float(x) for x in re.findall(r"[ML]([\d.]+) ", dashed)]
    assert (across[-1] - across[-2]) / (across[1] - across[0]) == pytest.approx(16, abs=0.2)


def test_one_page_for_one_set_of_findings(tmp_path: Path) -> None:
    pages = [page_of(tmp_path, make_findings(num=2, size=32, frames=6)).source for _ in range(2)]
    assert pages[0] == pages[1]


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match=r"report\.html"):
        write_html(tmp_path / "file" / "report.html", make_findings(num=1, size=28))
    with pytest.raises(ValueError, match="max_pictures"):
        write_html(tmp_path / "report.html", make_findings(num=1, size=28), max_pictures=-1)


@pytest.mark.parametrize(
    ("target", "labels", "lines"),
    [
        ("dog", (), 1),
        ("two people dancing on a roof", (), 2),
        ("long " * 40, (), 3),
        ("dog", ("cat",), 2),
        ("dog", ("a very long name " * 9,), 3),
    ],
)
def test_a_long_target_gets_as_many_lines_as_it_needs(tmp_path: Path, target: str, labels: tuple[str, ...], lines: int) -> None:
    findings = make_findings(num=1, labels=labels)
    findings = replace(findings, traces=tuple(replace(trace, method="RISE", target=target) for trace in findings.traces))
    write_html(tmp_path / "report.html", findings)
    (card,) = (attrs for tag, attrs, _ in Page(tmp_path / "report.html").elements if tag == "article")
    assert card["style"].endswith(f"--lines:{lines}")


def test_every_number_of_a_map_is_described() -> None:
    """In docs/report.md, in the order of the tables."""
    rows = re.findall(
        r"^\| `(\w+)` \|", (Path(__file__).parents[2] / "docs" / "report.md").read_text().split("## The numbers of a map")[1], re.M
    )
    assert rows == list(COLUMNS)


def test_the_page_says_what_agreement_with_an_absent_text_is(tmp_path: Path) -> None:
    write_html(tmp_path / "report.html", make_findings(num=1, columns=["score", "absent_agreement"]))
    assert "Agreement with an absent text" in (tmp_path / "report.html").read_text()
