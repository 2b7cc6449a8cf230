"""Fill the schema: defaults < mappings (a YAML file, a checkpoint's config) < ``key=value`` overrides."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast, get_type_hints

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from cocoa_pl.config.schema import Config
from cocoa_pl.errors import ConfigError
from cocoa_pl.trees import check_tree

_MOST_BYTES = 2**16  # of a YAML file; all options with their defaults are 2 KB
_DEEPEST = 8  # sections within sections
_LONGEST = 120  # letters of a value in a message
_Schema = TypeVar("_Schema", bound=Config)
_YAML_ERRORS = (yaml.YAMLError, ValueError, TypeError, LookupError, AttributeError, RecursionError)  # the last of tags such as !!int


def load_config(*layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> Config:
    """Merge layers over the defaults of a run's options, later ones win, and check every value.

    Args:
        layers: nested mappings as :func:`read_yaml` returns them.
        overrides: ``section.key=value``, values written as in YAML.

    Raises:
        ConfigError: unknown key, wrong type or value out of range; one line naming the key, the value and what would do.

    Example:
        >>> load_config({"model": {"width": 16}}, overrides=["optim.lr=1e-3"]).optim.lr
        0.001
        >>> load_config(overrides=["explain.num_mask=9"])
        Traceback (most recent call last):
        ...
        cocoa_pl.errors.ConfigError: unknown option 'explain.num_mask'; did you mean 'explain.num_masks'? (see --help)
    """
    return load_as(Config, *layers, overrides=overrides)


def load_as(schema: type[_Schema], *layers: Mapping[str, Any], overrides: Sequence[str] = ()) -> _Schema:
    """:func:`load_config` for a schema that has sections or defaults of its own.

    Raises:
        ConfigError: as there.
    """
    config, known = OmegaConf.structured(schema), set(_known(cast(type, schema)))
    for layer in layers:
        _check_layer(layer)
    for layer in (*layers, *map(_parse_override, overrides)):
        _check_keys(layer, schema)
        for key, value in _leaves(layer, known):
            _check_literal(key, value)
            try:
                OmegaConf.update(config, key, value, merge=False)
            except OmegaConfBaseException as error:
                raise ConfigError(f"{key}={_short(value)}: must be {_wanted(key, schema)}") from error
    try:
        return cast(_Schema, OmegaConf.to_object(config))
    except OmegaConfBaseException as error:  # '???' and '${...}' have a meaning in OmegaConf
        raise ConfigError(f"{error.full_key}: {str(error).splitlines()[0]}") from error


def read_yaml(path: str | Path) -> dict[str, Any]:
    """A YAML file as a nested mapping.

    Raises:
        ConfigError: missing, unreadable, not YAML, or not a mapping.
    """
    try:
        content = _parse(_read(Path(path)))
    except OSError as error:
        raise ConfigError(f"--config {path}: cannot be read ({error.strerror or error})") from error
    except _YAML_ERRORS as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ConfigError(f"--config {path}: not valid YAML ({reason})") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"--config {path}: must hold sections such as 'data:', found {type(content).__name__}")
    return content


def to_dict(config: Config) -> dict[str, Any]:
    """The config as plain dicts, lists, numbers and strings, safe to store in a checkpoint."""
    return cast(dict[str, Any], OmegaConf.to_container(OmegaConf.structured(config)))


def to_yaml(config: Config) -> str:
    """The config as YAML that :func:`read_yaml` reads back."""
    text: str = yaml.safe_dump(to_dict(config), sort_keys=False, allow_unicode=True)
    return text


def option_names(section: type = Config, prefix: str = "") -> Iterator[str]:
    """Every option's dotted name, in the order of the schema."""
    hints = get_type_hints(section)
    for item in fields(section):
        kind = hints[item.name]
        if is_dataclass(kind):
            yield from option_names(cast(type, kind), f"{prefix}{item.name}.")
        else:
            yield prefix + item.name


@cache
def _known(schema: type) -> tuple[str, ...]:
    return tuple(option_names(schema))


def option_type(key: str, schema: type = Config) -> Any:
    """The annotated type of an option."""
    kind: Any = schema
    for part in key.split("."):
        kind = get_type_hints(kind)[part]
    return kind


class _Loader(yaml.SafeLoader):
    """Plain values only, and each where it is written: an alias can make a file of a page a tree of 10^9 values."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            at = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "an alias (*name) is not read: write the value itself", at)
        node: yaml.Node | None = super().compose_node(parent, index)
        return node


def _read(path: Path) -> str:
    if path.exists() and not (path.is_file() or path.is_dir()):  # opening a pipe waits for whoever writes into it
        raise OSError("neither a file nor a folder")
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(f"more than {_MOST_BYTES} bytes, no config")
    return content.decode()


def _parse(text: str) -> Any:
    content = yaml.load(text, Loader=_Loader)
    check_tree(content)
    return content


def _check_layer(layer: Mapping[str, Any]) -> None:
    """See that a mapping can be walked through; one of a checkpoint may hold anything.

    Raises:
        ConfigError: it is too large or too deep, or has no end.
    """
    try:
        check_tree(layer)
    except ValueError as error:
        raise ConfigError(f"the options cannot be read: {error}") from error


def _check_literal(key: str, value: Any) -> None:
    """See that a value is one as it stands: nothing in it is looked up, in the environment or elsewhere.

    Raises:
        ConfigError: it refers to something else, or cannot be written down.
    """
    for item in value if isinstance(value, list) else [value]:
        if isinstance(item, str) and "${" in item:
            raise ConfigError(f"{key}={_short(item)}: '${{' would refer to another value; must be the value itself")
        if isinstance(item, str) and not _is_text(item):
            raise ConfigError(f"{key}={_short(item)}: must be a text, without NUL and half characters")


def _is_text(value: str) -> bool:
    """Whether a file may be called so; bytes that are no text are kept in names as Python keeps them."""
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def _short(value: Any) -> str:
    """A value as it is written, cut where it is long."""
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _parse_override(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"'{text}': an option is written section.key=value, for instance optim.lr=1e-3 (see --help)")
    try:
        parsed = _parse(value)
    except _YAML_ERRORS as error:
        raise ConfigError(f"{_short(text)}: the value is not valid YAML") from error
    nested: Any = value if parsed is None and value not in {"null", "~", ""} else parsed
    names = key.strip().split(".")
    if len(names) > _DEEPEST:
        raise ConfigError(f"unknown option '{_short(key)}'; see --help for all options")
    for part in reversed(names):
        nested = {part: nested}
    return cast(dict[str, Any], nested)


def _leaves(layer: Mapping[str, Any], known: set[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in layer.items():
        if isinstance(value, Mapping) and (value or f"{prefix}{name}" not in known):
            yield from _leaves(value, known, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _check_keys(layer: Mapping[str, Any], schema: type) -> None:
    known = _known(schema)
    for key, value in _leaves(layer, set(known)):
        if key in known:
            continue
        inside = [name for name in known if name.startswith(f"{key}.")]
        if inside:
            raise ConfigError(f"{key}={_short(value)}: '{key}' is a section, its options are {', '.join(inside)}")
        last = key.rpartition(".")[2]
        near = difflib.get_close_matches(key, known, n=1, cutoff=0.7) or [name for name in known if name.endswith(f".{last}")]
        hint = f"did you mean '{near[0]}'? (see --help)" if near else "see --help for all options"
        raise ConfigError(f"unknown option '{_short(key)}'; {hint}")


def _wanted(key: str, schema: type) -> str:
    words = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "None": "null"}
    text = option_type(key, schema)
    name = text.__name__ if isinstance(text, type) else str(text)
    if "list" in str(text):
        item = "numbers" if "float" in str(text) else "whole numbers" if "int" in str(text) else "names"
        return f"a list of {item}, for instance [{ {'numbers': '0.2, 1.0', 'whole numbers': '1, 2'}.get(item, 'a, b') }]"
    return " or ".join(words.get(part.strip(), part.strip()) for part in name.replace("NoneType", "None").split("|"))
