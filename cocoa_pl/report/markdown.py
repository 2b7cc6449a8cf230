"""Tables in Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, num_left: int | None = None) -> str:
    """A table in Markdown; columns after the first ``num_left`` stand right, none if not given.

    Example:
        >>> print(table(["name", "num|ber"], [["a", "1"]], num_left=1))
        | name | num\\|ber |
        | --- | ---: |
        | a | 1 |
    """
    left = len(header) if num_left is None else num_left
    rule = ["---" if n < left else "---:" for n in range(len(header))]
    lines = [[text.replace("|", "\\|") for text in line] for line in (header, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))
