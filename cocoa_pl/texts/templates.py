"""Sentences with a place for a concept: built-in ones, filling them with the right article, and reading a concept in braces."""

from __future__ import annotations

import re
from collections.abc import Sequence

from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.texts.lists import read_list
from cocoa_pl.texts.words import article, begins_with_article, cleaned, is_plural, normalised, synonyms

DEFAULT = "a photo of a {}"
SETS = {
    "photos": (
        DEFAULT,
        "a picture of a {}",
        "a snapshot of a {}",
        "a close-up of a {}",
        "a bright photo of a {}",
        "a dark photo of a {}",
        "a blurred photo of a {}",
        "a photo that shows a {} and what is around it",
    ),
}
"""Sets of templates with a name; what a text encoder makes of one wording averages out over several."""
NEUTRAL = "thing"
"""For a sentence that says nothing of what is shown: the widest noun of English, where ``object`` leaves out people and places."""
NONSENSE = ("zorvak", "plimtu", "quenfi", "drebsol", "vashkip", "tolmuj", "grifpon", "nuxbel")
"""Words of no language: what maps towards them show is not due to what was asked. A single one may by chance be near to something."""

_ARTICLE = re.compile(r"\b(an?)(\s+)\{\}", re.IGNORECASE)
_BRACES = re.compile(r"[{}]")


def fill(template: str, concept: str) -> str:
    """A template with a concept in its place; ``a`` before it becomes ``an``, or goes where the concept is a plural or has an article.

    Of synonyms between commas the first is taken; underscores become spaces.

    Example:
        >>> [fill("a photo of a {}", concept) for concept in ("apple", "pickup_truck", "tabby, tabby cat", "scissors", "the sea")]
        ['a photo of an apple', 'a photo of a pickup truck', 'a photo of a tabby', 'a photo of scissors', 'a photo of the sea']
    """
    name = " ".join((synonyms(concept) or (concept,))[0].replace("_", " ").split())

    def with_article(match: re.Match[str]) -> str:
        if is_plural(name) or begins_with_article(name):
            return "{}"
        word = article(name)
        return (word.capitalize() if match[1][0].isupper() else word) + match[2] + "{}"

    return _ARTICLE.sub(with_article, template).replace("{}", name)


def slot(sentence: str, *, what: str = "--corpus-text") -> tuple[str, str]:
    """The template and the concept of a sentence with a concept in braces.

    Args:
        sentence: any text with a brace.
        what: the option that gave it, for the message.

    Raises:
        ConfigError: no pair of braces, two of them, or nothing in it.

    Example:
        >>> slot("a photo of a {cat}")
        ('a photo of a {}', 'cat')
    """
    braces = "".join(_BRACES.findall(sentence))
    if braces == "{}{}":
        raise ConfigError(f"{what} {sentence!r}: has two pairs of braces; it must mark one concept, as in 'a photo of a {{cat}}'")
    if braces != "{}":
        raise ConfigError(f"{what} {sentence!r}: its braces do not pair; it must mark one concept, as in 'a photo of a {{cat}}'")
    start, end = sentence.index("{"), sentence.index("}")
    concept = " ".join(sentence[start + 1 : end].split())
    if not normalised(concept):
        raise ConfigError(f"{what} {sentence!r}: names nothing in its braces; it must mark a concept, as in 'a photo of a {{cat}}'")
    return sentence[: start + 1] + sentence[end:], concept


def parse_templates(words: Sequence[str]) -> tuple[str, ...]:
    """The templates that ``--template`` asks for, each once: sentences with ``{}``, names of built-in sets, ``@FILE`` with one a line.

    Raises:
        ConfigError: none, an unknown set, or a sentence without exactly one ``{}``.

    Example:
        >>> parse_templates(["a drawing of a {}"]), len(parse_templates(["photos"]))
        (('a drawing of a {}',), 8)
    """
    lines = [line for word in words for line in (read_list(word[1:], what="--template") if word.startswith("@") else (word,))]
    if not lines:
        raise ConfigError("--template: names nothing; it must be a sentence with {}, as in 'a photo of a {}'")
    return tuple(dict.fromkeys(template for line in lines for template in SETS.get(line) or (_template(line),)))


def _template(line: str) -> str:
    template = cleaned(line, what="--template")
    braces = "".join(_BRACES.findall(template))
    if not braces and len(template.split()) == 1:
        raise ConfigError(f"--template {template}: is no sentence with {{}} and no set of such; {choices_hint(template, SETS)}")
    if braces != "{}" or "{}" not in template:
        raise ConfigError(f"--template {template!r}: must have one {{}} where the concept goes, as in 'a photo of a {{}}'")
    return template
