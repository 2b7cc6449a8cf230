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
    """All options of a schema, a section at a time: ``key=default  type`` and the sentence under it."""
    return "\n".join(_lines(options))


def _lines(options: type) -> Iterator[str]:
    defaults = OmegaConf.structured(options)
    section = ""
    for key in option_names(options):
        parent, _, name = key.rpartition(".")
        owner = option_type(parent, options)
        if parent != section:
            section = parent
            yield f"\n{parent}: {sentences()[owner.__name__, '']}"
        kind = option_type(key, options)
        type_name = kind.__name__ if kind in (int, float, bool, str) else str(kind).replace("None", "null")
        default = OmegaConf.select(defaults, key)
        shown = "null" if default is None else str(default).lower() if isinstance(default, bool) else str(default)
        yield f"  {key}={shown}  ({type_name})"
        yield f"      {sentences()[owner.__name__, name]}"
