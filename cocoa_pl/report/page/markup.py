"""Words and numbers as they stand in a page: whatever comes from outside is escaped, numbers are short and line up."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

from cocoa_pl.report.findings import Trace

UNKNOWN, MINUS = "\u2013", "\u2212"  # in place of a number; before one


def text(words: object) -> str:
    """Anything as text of an element or a quoted attribute.

    Example:
        >>> text('<script>"&"</script>')
        '&lt;script&gt;&quot;&amp;&quot;&lt;/script&gt;'
    """
    return html.escape(str(words), quote=True)


def number(value: float, *, signed: bool = False) -> str:
    """A number with two decimals or two digits, whichever says more; a dash where it is not known.

    Example:
        >>> [number(value) for value in (0.4249, 0.0031, 0.0, 1234.5, 4e-7, float("nan"))]
        ['0.42', '0.0031', '0', '1234', '4e-7', '–']
        >>> [number(value, signed=True) for value in (0.42, -0.05, 0.0)]
        ['+0.42', '−0.050', '0']
    """
    if not math.isfinite(value):
        return UNKNOWN
    size = abs(value)
    if size == 0.0:
        return "0"
    if size >= 99.5:
        digits = f"{size:.0f}"
    elif size >= 0.0995:
        digits = f"{size:.2f}"
    elif size >= 1e-4:
        digits = f"{size:.{1 - math.floor(math.log10(size))}f}"
    else:
        mantissa, exponent = f"{size:.1e}".split("e")
        digits = f"{mantissa.removesuffix('.0')}e{int(exponent)}"
    return (MINUS if value < 0 else "+" if signed else "") + digits


def aligned(values: Sequence[float], *, digits: int = 2, signed: bool = False) -> list[str]:
    """The numbers of a column with the same decimals: so many digits of the largest, at least two decimals.

    Example:
        >>> aligned([0.2, 0.0123, float("nan")]), aligned([0.031, -0.0022, -0.0001], signed=True)
        (['0.20', '0.01', '–'], ['+0.031', '−0.002', '0.000'])
    """
    largest = max((abs(value) for value in values if math.isfinite(value)), default=0.0)
    decimals = min(8, max(2, digits - 1 - math.floor(math.log10(largest)))) if largest > 0 else 2
    return [_fixed(value, decimals, signed=signed) if math.isfinite(value) else UNKNOWN for value in values]


def with_error(value: float, error: float, *, signed: bool = False) -> tuple[str, str]:
    """A value with as many decimals as its standard error has two digits, and what follows: the error, or nothing where it is not known.

    Example:
        >>> with_error(0.4249, 0.031, signed=True), with_error(0.4249, float("nan"))
        (('+0.425', ' ± 0.031'), ('0.42', ''))
    """
    if not (math.isfinite(value) and error > 0.0):
        return number(value, signed=signed), ""
    decimals = min(8, max(2, 1 - math.floor(math.log10(error))))
    return _fixed(value, decimals, signed=signed), f" \u00b1 {error:.{decimals}f}"


def trace_words(trace: Trace, label: str = "") -> str:
    """A trace in words, with what its target is in a picture; not escaped.

    Example:
        >>> trace_words(Trace("rise-dog", "RISE", "dog", 1.0))
        'RISE towards dog'
        >>> trace_words(Trace("rise-concept-1", "RISE", "concept 1", 1.0), "golden retriever")
        'RISE towards concept 1: golden retriever'
    """
    return f"{trace.method} towards {trace.target}{f': {label}' if label else ''}"


def split_flags(flags: str) -> list[str]:
    """The single warnings of a map.

    Example:
        >>> split_flags("noisy, moved"), split_flags("")
        (['noisy', 'moved'], [])
    """
    return flags.split(", ") if flags else []


def many(count: int, thing: str, things: str = "") -> str:
    """A count with its noun.

    Example:
        >>> many(1, "picture"), many(0, "picture")
        ('1 picture', '0 pictures')
    """
    return f"{count} {thing if count == 1 else things or thing + 's'}"


def table(header: Iterable[str], rows: Iterable[str], *, name: str, sortable: bool = False) -> str:
    """A table from cells and rows that are markup already, in a box of its own that scrolls where the page is narrow."""
    kind = " data-sortable" if sortable else ""
    head, body = "".join(header), "\n".join(rows)
    return (
        f'<div class="wide" role="region" aria-label="{name}" tabindex="0"{kind}><table><thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody></table></div>"
    )


def _fixed(value: float, decimals: int, *, signed: bool) -> str:
    """With so many decimals; what is rounded to zero has no sign."""
    rounded = round(value, decimals)
    return ("" if rounded == 0 else MINUS if rounded < 0 else "+" if signed else "") + f"{abs(rounded):.{decimals}f}"
