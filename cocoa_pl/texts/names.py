"""What corpora are called in reports: names for people, unique and short."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST = 40
"""Characters of a name, at most."""

_FORBIDDEN = ("Cc", "Cs", "Zl", "Zp")  # control characters, halves of characters, ends of lines


def is_name(text: str) -> bool:
    """Whether a text can be a name: of any characters but ``/``, ``,`` and control characters.

    Example:
        >>> [is_name(text) for text in ("großer Hund", "", "a/b", "a" * 41)]
        [True, False, False, False]
    """
    return 1 <= len(text) <= LONGEST and text == text.strip() and not any(_forbidden(char) for char in text)


def tidy(text: str) -> str:
    """A name made of any text.

    Example:
        >>> tidy("tabby, tabby cat"), tidy("x" * 50)[-3:], tidy("/")
        ('tabby tabby cat', 'xx…', 'pictures')
    """
    kept = "".join(" " if _forbidden(char) else char for char in unicodedata.normalize("NFC", text))
    name = " ".join(kept.split()) or "pictures"
    return name if len(name) <= LONGEST else name[: LONGEST - 1].rstrip() + "…"


def unique_names(choices: Sequence[Sequence[str]], *, fixed: Sequence[bool]) -> list[str]:
    """For each the first of its choices, or later ones as long as two are the same; that may remain so.

    Args:
        choices: what each may be called.
        fixed: which names are a user's own, and are left as they are.

    Example:
        >>> unique_names([["cats", "a cats"], ["cats", "b cats"], ["dogs"]], fixed=[False, False, True])
        ['a cats', 'b cats', 'dogs']
    """
    level = [0] * len(choices)
    while True:
        names = [each[at] if own else tidy(each[at]) for each, at, own in zip(choices, level, fixed, strict=True)]
        count = Counter(names)
        longer = [i for i, name in enumerate(names) if count[name] > 1 and not fixed[i] and level[i] + 1 < len(choices[i])]
        if not longer:
            return names
        for i in longer:
            level[i] += 1


def _forbidden(char: str) -> bool:
    return char in "/," or unicodedata.category(char) in _FORBIDDEN
