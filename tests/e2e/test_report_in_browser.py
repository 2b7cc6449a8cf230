"""``report.html`` in headless Chromium, opened from its file as a person does: with scripts, without, on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from cocoa_pl.report.findings import Findings
from cocoa_pl.report.html import write_html
from tests.findings import make_findings, map_of

pytestmark = pytest.mark.browser

SIDE = 64  # each pixel of a map is shown as 3 x 3
FINDINGS = {
    "one": make_findings(num=4, size=SIDE, views=3, traces=3, names=["<script>alert(1)</script> 10.png", "猫 2 🐈.jpg", "a" * 200]),
    "two": make_findings(num=3, size=224, traces=2, frames=2),
    "texts": make_findings(
        num=3, size=(48, 64), traces=4, labels=["tabby cat", "</p><script>alert(1)</script>"], words=("a", "<i>cat", "it")
    ),
    "run": make_findings(num=3, size=(96, 224), traces=4, frames=6, warnings=["A warning of many words " * 9]),
}
_SHOWN = "return [...document.querySelectorAll('.map')].filter(map => map.getBoundingClientRect().width > 0)"
_TRACES = f"{_SHOWN}.map(map => map.closest('.trace').dataset.trace)"
_FRAMES = f"{_SHOWN}.map(map => map.closest('.tile').dataset.frame)"
_VIEWS = f"{_SHOWN}.map(map => map.closest('.view').dataset.view)"
_NAMES = "return [...document.querySelectorAll('.picture')].filter(card => card.offsetHeight > 0).map(card => card.dataset.name)"
_LOADED = "const all = [...document.images]; return all.every(image => image.complete) && all.map(image => image.naturalWidth)"
_CHOOSE = "const it = document.getElementById(arguments[0]); it.value = arguments[1]; it.dispatchEvent(new Event(arguments[2]))"


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("reports")
    for name, findings in FINDINGS.items():
        write_html(folder / f"{name}.html", findings)
    return {name: (folder / f"{name}.html").as_uri() for name in FINDINGS}


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """The browser, as wide as a desk's, in a light room; after the test nothing may stand in its console."""
    chromium.driver.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    _light(chromium, "light")
    yield chromium
    assert chromium.entries() == []


def _light(browser: Any, scheme: str) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})


def _choose(browser: Any, control: str, value: str, event: str = "change") -> None:
    browser.driver.execute_script(_CHOOSE, control, value, event)


def _num_maps(findings: Findings) -> int:
    return len(findings.pictures) * len(findings.views) * len(findings.traces) * len(findings.frames)


@pytest.mark.parametrize("name", FINDINGS)
def test_pictures_load_and_nothing_is_fetched(page: Any, addresses: dict[str, str], name: str) -> None:
    page.open(addresses[name])
    widths = page.wait_for(lambda: page.driver.execute_script(_LOADED))
    findings = FINDINGS[name]
    assert len(widths) == _num_maps(findings) + len(findings.pictures) * len(findings.views)
    assert min(widths) > 0
    fetched = page.driver.execute_script("return performance.getEntriesByType('resource').map(each => each.name.slice(0, 5))")
    assert set(fetched) <= {"data:"}
    assert page.driver.execute_script("return document.querySelectorAll('script').length") == 2


@pytest.mark.parametrize("name", FINDINGS)
@pytest.mark.parametrize("width", [400, 1000])
def test_a_narrow_page_does_not_scroll_sideways(page: Any, addresses: dict[str, str], name: str, width: int) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    page.open(addresses[name])
    page.driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true })")
    for target in ("0", ""):
        _choose(page, "method", target)
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= width


def test_menus_choose_what_is_shown(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["one"])
    assert page.driver.execute_script(_TRACES) == ["0"] * 4
    assert page.driver.execute_script(_VIEWS) == ["0"] * 4
    _choose(page, "target", "1")
    assert page.driver.execute_script(_TRACES) == ["2"] * 4
    legend = page.driver.execute_script(
        "return [...document.querySelectorAll('.legend')].filter(each => each.offsetHeight).map(each => each.innerText)"
    )
    assert len(legend) == 1
    assert "RISE towards portrait" in legend[0]
    assert "+0.017" in legend[0]
    _choose(page, "method", "1")  # portrait was not asked for by this method: the target gives way
    assert page.driver.execute_script(_TRACES) == ["1"] * 4
    _choose(page, "method", "")
    _choose(page, "target", "")
    assert sorted(page.driver.execute_script(_TRACES)) == sorted(["0", "1", "2"] * 4)
    _choose(page, "view", "")
    assert len(page.driver.execute_script(_VIEWS)) == 36
    _choose(page, "view", "2")
    assert set(page.driver.execute_script(_VIEWS)) == {"2"}


def test_a_key_is_enough(page: Any, addresses: dict[str, str]) -> None:
    from selenium.webdriver.common.keys import Keys

    page.open(addresses["one"])
    page.driver.find_element("id", "target").send_keys(Keys.ARROW_DOWN)
    page.wait_for(lambda: page.driver.execute_script(_TRACES) == ["2"] * 4)
    page.driver.find_element("id", "strength").send_keys(Keys.HOME)
    page.wait_for(lambda: _opacity(page) == 0.0)


def test_the_slider_fades_the_maps(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["one"])
    assert _opacity(page) == pytest.approx(0.85)
    _choose(page, "strength", "30", "input")
    page.wait_for(lambda: abs(_opacity(page) - 0.3) < 1e-3)


def _opacity(browser: Any) -> float:
    return float(browser.driver.execute_script("return getComputedStyle(document.querySelector('.map')).opacity"))


@pytest.mark.parametrize("trace", [0, 2])
def test_the_value_under_the_pointer_is_that_of_the_map(page: Any, addresses: dict[str, str], trace: int) -> None:
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    page.open(addresses["one"])
    _choose(page, "target", str(trace // 2))
    given = map_of(0, trace, 3, 0, SIDE, SIDE, noise=0.05)
    scale = FINDINGS["one"].traces[trace].scale
    shown = page.driver.find_element("css selector", f".picture:nth-child(4) [data-view='0'] [data-trace='{trace}'] .map")
    page.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", shown)
    assert shown.size["width"] == 3 * SIDE
    tops = [np.unravel_index(given.argmax(), given.shape), np.unravel_index(given.argmin(), given.shape)]
    assert any(abs(given[top]) > 1 for top in tops)
    for y, x in [(3, 5), (20, 40), (60, 9), *tops]:
        ActionChains(page.driver, duration=0).move_to_element_with_offset(shown, int(3 * x + 1 - 96), int(3 * y + 1 - 96)).perform()
        expected = float(np.clip(given[y, x], -1, 1))
        read = page.wait_for(lambda expected=expected: _reads(page, expected * scale, scale / 127))
        assert ("at the scale or beyond" in read) == (abs(expected) > 126.5 / 127)
        assert "% of the scale" in read or "beyond" in read
    ActionChains(page.driver).send_keys(Keys.ESCAPE).perform()
    page.wait_for(lambda: page.driver.execute_script("return document.getElementById('value').hidden"))


def _reads(browser: Any, value: float, level: float) -> str:
    """What the page says of the value under the pointer, once it is within a level of ``value``."""
    words = browser.driver.execute_script("const box = document.getElementById('value'); return box.hidden ? '' : box.innerText")
    found = re.match(r"(?:at least )?([+\u2212]?[\d.e+-]+) ", words)
    return str(words) if found and abs(float(found[1].replace("\u2212", "-")) - value) <= level else ""


def test_pictures_are_sorted_and_filtered(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["one"])
    findings = FINDINGS["one"]
    scores, names = findings.columns["score"][0, 0, :, 0], findings.pictures
    _choose(page, "order", "score lowest")
    assert page.driver.execute_script(_NAMES) == [names[e] for e in scores.argsort()]
    _choose(page, "order", "score highest")
    assert page.driver.execute_script(_NAMES) == [names[e] for e in scores.argsort()[::-1]]
    _choose(page, "order", "name")
    assert page.driver.execute_script(_NAMES)[:2] == [names[0], names[2]]
    _choose(page, "order", "")
    assert page.driver.execute_script(_NAMES) == list(names)
    page.driver.find_element("id", "flagged").click()
    flagged = [name for name, flag in zip(names, findings.flags[0, 0, :, 0], strict=True) if flag]
    assert page.driver.execute_script(_NAMES) == flagged
    assert page.driver.find_element("id", "count").text == f"{len(flagged)} of 4 pictures"


@pytest.mark.parametrize("width", [400, 1400])
def test_a_box_lies_where_the_numbers_say_until_it_is_hidden(page: Any, addresses: dict[str, str], width: int) -> None:
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    )
    page.open(addresses["texts"])
    _choose(page, "target", "")
    _choose(page, "method", "")
    findings, (height, across) = FINDINGS["texts"], (48, 64)
    edges = (
        "const edges = (each) => { const {left, top, right, bottom} = each.getBoundingClientRect(); return [left, top, right, bottom] };"
        "return [...document.querySelectorAll('.box')].map(box => [edges(box), edges(box.parentElement.querySelector('.map'))])"
    )
    found = page.driver.execute_script(edges)
    assert len(found) == 12
    for place, (box, (left, top, right, bottom)) in enumerate(found):
        e, t = divmod(place, 4)
        given = findings.box((0, t, e, 0))
        assert given is not None
        assert right - left > 100
        scale = [(right - left) / across, (bottom - top) / height] * 2
        expected = [start + edge * factor for start, edge, factor in zip((left, top, left, top), given, scale, strict=True)]
        assert box == pytest.approx(expected, abs=0.6)
    page.driver.find_element("id", "boxes").click()
    widths = "return [...document.querySelectorAll('.box')].map(box => box.offsetWidth)"
    assert page.driver.execute_script(widths) == [0] * 12
    page.driver.find_element("id", "boxes").click()
    assert min(page.driver.execute_script(widths)) > 0


def test_pictures_are_sorted_and_filtered_by_rank(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["texts"])
    ranks, names = FINDINGS["texts"].columns["rank"][0, 0, :, 0], FINDINGS["texts"].pictures
    _choose(page, "order", "rank highest")
    assert page.driver.execute_script(_NAMES) == [names[e] for e in (-ranks).argsort(kind="stable")]
    _choose(page, "order", "")
    for least in ("0.5", "0.9", "1"):
        _choose(page, "rank", least)
        assert page.driver.execute_script(_NAMES) == [name for name, rank in zip(names, ranks, strict=True) if rank >= float(least)]
    _choose(page, "rank", "")
    assert page.driver.execute_script(_NAMES) == list(names)


def test_names_and_words_stand_level_and_only_as_text(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["texts"])
    _choose(page, "target", "")
    _choose(page, "method", "")
    stacks = "[...document.querySelectorAll('.picture:first-child .stack')]"
    tops = page.driver.execute_script(f"return {stacks}.map(each => each.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    read = "return [...document.querySelectorAll(arguments[0])].map(each => each.innerText)"
    names = page.driver.execute_script(read, ".traces .what b")
    assert set(names) == {"tabby cat", "</p><script>alert(1)</script>"}
    assert set(page.driver.execute_script(read, ".prompt span:nth-child(2)")) == {"<i>cat"}
    grounds = page.driver.execute_script(
        "return [...document.querySelectorAll('.prompt span')].map(each => getComputedStyle(each).backgroundColor)"
    )
    assert len(set(grounds)) > 6


def test_numbers_sort_by_any_column(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["one"])
    page.driver.execute_script("document.getElementById('numbers').open = true")
    read = (
        "return [...document.querySelectorAll('#numbers tbody tr')].map(row => row.cells[arguments[0]].textContent.replace('\\u2212', '-'))"
    )
    heads = [head.text for head in page.driver.find_elements("css selector", "#numbers th")]
    column = heads.index("score")
    for order in ("ascending", "descending"):
        page.driver.find_elements("css selector", "#numbers th button")[column].click()
        values = [float(value) for value in page.driver.execute_script(read, column)]
        assert values == sorted(values, reverse=order == "descending")
        assert page.driver.find_elements("css selector", "#numbers th")[column].get_attribute("aria-sort") == order
    assert len(values) == 36
    page.driver.find_elements("css selector", "#numbers th button")[heads.index("gap random")].click()
    assert page.driver.execute_script(read, heads.index("gap random"))[-1] == "\u2013"  # not known: last


def test_light_and_dark(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["two"])
    colour = "return getComputedStyle(document.body).backgroundColor"
    light = page.driver.execute_script(colour)
    theme = page.driver.find_element("id", "theme")
    theme.click()
    dark = page.driver.execute_script(colour)
    assert dark != light
    assert theme.get_attribute("aria-pressed") == "true"
    theme.click()
    assert page.driver.execute_script(colour) == light
    _light(page, "dark")
    page.open(addresses["two"])
    assert page.driver.execute_script(colour) == dark
    page.driver.find_element("id", "theme").click()
    assert page.driver.execute_script(colour) == light


def test_two_encoders_stand_side_by_side(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["two"])
    assert page.driver.execute_script(_FRAMES) == ["0", "1"] * 3
    tops = page.driver.execute_script(f"{_SHOWN}.map(map => map.getBoundingClientRect().top)")
    assert tops[0] == tops[1]
    drift = FINDINGS["two"].columns["drift"][1, 0, :, 0]
    _choose(page, "order", "drift largest")
    assert page.driver.execute_script(_NAMES) == [FINDINGS["two"].pictures[e] for e in drift.argsort()[::-1]]


def test_a_slider_leads_through_the_run(page: Any, addresses: dict[str, str]) -> None:
    page.open(addresses["run"])
    assert page.driver.execute_script(_FRAMES) == ["5"] * 3
    _choose(page, "frame", "1", "input")
    assert page.driver.execute_script(_FRAMES) == ["1"] * 3
    assert page.driver.find_element("id", "title").text == "epoch 2"
    marks = "[...document.querySelectorAll('.now')].filter(each => getComputedStyle(each).display !== 'none')"
    assert set(page.driver.execute_script(f"return {marks}.map(each => each.dataset.frame)")) == {"1"}
    page.driver.find_element("id", "film").click()
    assert page.driver.execute_script(_FRAMES) == ["0", "1", "2", "3", "4", "5"] * 3
    page.driver.find_element("id", "play").click()
    assert page.driver.execute_script(_FRAMES) == ["2"] * 3
    page.wait_for(lambda: set(page.driver.execute_script(_FRAMES)) & {"3", "4"})
    page.driver.find_element("id", "play").click()
    assert page.driver.find_element("id", "play").get_attribute("aria-pressed") == "false"


@pytest.mark.parametrize("name", FINDINGS)
def test_without_scripts_every_map_is_laid_out(chromium_without_scripts: Any, addresses: dict[str, str], name: str) -> None:
    browser = chromium_without_scripts
    browser.open(addresses[name])
    assert browser.driver.execute_script("return document.documentElement.className") == ""  # no script of the page ran
    assert min(browser.wait_for(lambda: browser.driver.execute_script(_LOADED))) > 0
    assert len(browser.driver.execute_script(_FRAMES)) == _num_maps(FINDINGS[name])
    assert browser.driver.execute_script("return document.querySelector('.controls').offsetHeight") == 0
    browser.driver.find_element("css selector", "#numbers summary").click()
    assert browser.driver.execute_script("return document.querySelector('#numbers table').offsetHeight") > 0
    assert browser.entries() == []
