"""Laws of text: it fits where it is put, it can be drawn, and numbers keep their sign and size."""

from __future__ import annotations

import pytest

from cocoa_pl.viz.text import load_font, plain, shorten, signed_number, wrap

FONT = load_font(20)


@pytest.mark.parametrize("width", [0, 5, 20, 80, 300, 2000])
@pytest.mark.parametrize("text", ["", "flip", "a photo of a dog on a beach " * 5, "x" * 200])
def test_text_fits(text: str, width: int) -> None:
    assert FONT.getlength(shorten(text, FONT, width=width)) <= width
    lines = wrap(text, FONT, width=width, max_lines=3)
    assert len(lines) <= 3
    assert all(FONT.getlength(line) <= width for line in lines)


def test_text_with_room_is_unchanged() -> None:
    text = "a photo of a dog on a beach"
    assert shorten(text, FONT, width=1000) == text
    assert wrap(text, FONT, width=1000, max_lines=2) == [text]
    assert " ".join(wrap(text, FONT, width=150, max_lines=9)) == text


def test_every_character_left_can_be_drawn() -> None:
    empty_box = bytes(FONT.getmask("\uffff"))
    every = plain("".join(map(chr, range(0x20, 0x3000))))
    assert all(bytes(FONT.getmask(char)) != empty_box for char in set(every))
    assert plain("two\nlines\tof  text") == "two lines of text"


@pytest.mark.parametrize("power", range(-12, 13))
@pytest.mark.parametrize("digits", [1.0, 4.2, 9.949, -9.96])
def test_numbers_are_short_and_read_back(digits: float, power: int) -> None:
    value = digits * 10.0**power
    text = signed_number(value)
    assert len(text) <= 8
    assert text[0] == ("+" if value > 0 else "-")
    assert float(text) == pytest.approx(value, rel=0.06)
