"""The help text: every option with its type, its default and its sentence, read from the schema's source."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache

from omegaconf import OmegaConf

from cocoa_pl.config import data, explaining, schema, study, training
from cocoa_pl.config.load import option_names, option_type


@cache
def sentences() -> dict[tuple[str, str], str]:
    """(class, field) to the sentence under the field; (class, "") to the class's own."""
    found = {}
    sources = "\n".join(inspect.getsource(module) for module in (data, training, explaining, schema, study))
    for node in (item for item in ast.parse(sources).body if isinstance(item, ast.ClassDef)):
        found[node.name, ""] = ast.get_docstring(node) or ""
        for item, below in zip(node.body, node.body[1:], strict=False):
            if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                text = below.value.value if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant) else ""
                found[node.name, item.target.id] = str(text)
    return found


def help_text(options: type = schema.Config) -> str:
    """Options of a schema, a section at a time: ``key=default  type`` and the sentence under it.

    A schema may name those that are ``shown`` and ``hidden``, and ``sentences`` that replace others.
    """
    return "\n".join(_lines(options))


def shown_names(options: type) -> Iterator[str]:
    """Options of a schema that its help lists: all, unless it names some."""
    shown, hidden = getattr(options, "shown", None), getattr(options, "hidden", ())
    for key in option_names(options):
        if key not in hidden and (shown is None or any(f"{key}.".startswith(f"{name}.") for name in shown)):
            yield key


def _lines(options: type) -> Iterator[str]:
    defaults, own = OmegaConf.structured(options), getattr(options, "sentences", {})
    section = ""
    for key in shown_names(options):
        parent, _, name = key.rpartition(".")
        owner = option_type(parent, options)
        if parent != section:
            section = parent
            yield f"\n{parent}: {own.get(parent) or sentences()[owner.__name__, '']}"
        kind = option_type(key, options)
        type_name = kind.__name__ if kind in (int, float, bool, str) else str(kind).replace("None", "null")
        default = OmegaConf.select(defaults, key)
        shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        yield f"  {key}={shown}  ({type_name})"
        yield f"      {own.get(key) or sentences()[owner.__name__, name]}"
