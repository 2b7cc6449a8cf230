"""Encoders that a Python function of the user's returns, or pairs of them: ``package.module:function``."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError, choices_hint
from cocoa_pl.models.sources.architectures import GivenNetwork
from cocoa_pl.models.sources.opened import Opened, Preparation, Wishes, as_opened, fingerprint, one_line
from cocoa_pl.models.sources.pairs import as_text_side, check_pair, refuse_swapped
from cocoa_pl.models.sources.probing import check_foreign
from cocoa_pl.models.sources.readers import kind_of, read_weights
from cocoa_pl.models.sources.weights import fill
from cocoa_pl.models.sources.wrappers import AsItIs, Bare

_LIBRARIES = ("torch", "torchvision", "timm", "cocoa_pl")
_PLAIN = (bool, int, float, str)
_COMPILED = (torch.jit.ScriptModule, torch.fx.GraphModule)


def open_function(spec: str, path: Path | None, wishes: Wishes, *, trust_pickle: bool) -> Opened:
    """The module or callable that a function returns, or a pair ``(image encoder, text encoder)`` of one space.

    The function gets the path if its first argument is there for one (it has no default, or None or a string as one); else it is called
    without, and the weights in the file are put into the module it returns. The text encoder of a pair is a callable of a list of n texts
    that returns (n, D), or a :class:`~cocoa_pl.text_encoding.FrozenTextEncoder`.

    Raises:
        ConfigError: no such module or function, or it raises or returns something else, or a pair the wrong way round.
        CheckpointError: the file is missing or its weights do not fit, or the encoder cannot be used.
        DataError: images and texts of a pair have representations of other lengths.
    """
    if path is not None and not path.exists():
        raise CheckpointError(f"{path}: no such checkpoint")
    notes: tuple[str, ...] = ()
    with _importable_here():
        function = _found(spec)
        made, took_path = _called(spec, function, path)
        if isinstance(made, nn.Module) and path is not None and not took_path:
            content = read_weights(path, kind=kind_of(path), trust_pickle=trust_pickle)
            made, _, remarks = fill(content, path, [GivenNetwork(spec, made)])
            notes = (*content.notes, *remarks)
        what, preparation, text = f"--encoder {spec}", wishes.over(Preparation()), None
        if isinstance(made, tuple | list) and len(made) == 2:
            if path is not None and not took_path:
                raise ConfigError(f"{what}: returns a pair, into which --ckpt is not loaded; the function must take the path and load it")
            made, second = made
            text = as_text_side(_in_evaluation(second), what=what, name=f"the text encoder of {spec}")
        network = _as_module(made, spec)
        if text is not None and text.tokenizer is None:
            refuse_swapped(network, text.module, preparation, what=what)
        checked = check_foreign(network, what=what, preparation=preparation)
        if text is not None:
            check_pair(checked, text, preparation, what=what)
    marks = [code_and_weights(side, spec, spec.partition(":")[0]) for side in ((network,) if text is None else (network, text.module))]
    mark = "" if not all(marks) else marks[0] if text is None else fingerprint(" ".join(marks), {})
    if not mark:
        notes = (*notes, "a function's output may change without notice: nothing about it is cached")
    return as_opened(checked, preparation, name=f"function {spec}", mark=mark, notes=notes, text=text)


def code_and_weights(network: object, title: str, *modules: str) -> str:
    """A fingerprint of a network whose code may be anybody's: weights, plain attributes, and the files that define its classes.

    Args:
        network: what a function returned or a pickle held.
        title: what else tells it from others.
        modules: whose files count too.

    Returns:
        Empty where code or weights cannot be read: of bare functions, of compiled programs, of classes defined at a prompt.
    """
    if not isinstance(network, nn.Module):
        return ""
    parts = dict(network.named_modules(remove_duplicate=False))
    if any(isinstance(part, (*_COMPILED, Bare)) for part in parts.values()):
        return ""
    words = [title, repr(network)]
    for name in sorted({type(part).__module__ for part in parts.values()} | set(modules)):
        if name.partition(".")[0] not in _LIBRARIES:
            try:
                words.append(inspect.getsource(sys.modules[name]))
            except (OSError, TypeError, KeyError):
                return ""
    for name, part in parts.items():
        plain = {key: value for key, value in vars(part).items() if key != "training" and isinstance(value, _PLAIN)}
        words.append(f"{name} {sorted(plain.items())}")
    tensors = dict(network.named_parameters(remove_duplicate=False)) | dict(network.named_buffers(remove_duplicate=False))
    return fingerprint("\n".join(words), tensors)


@contextlib.contextmanager
def _importable_here() -> Iterator[None]:
    """The current directory comes first among the places to import from, as for ``python -m``."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(here)


def _found(spec: str) -> Callable[..., Any]:
    module_name, _, name = spec.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # whatever a module of the user's does when it is imported
        raise ConfigError(f"--encoder {spec}: {module_name} cannot be imported ({one_line(error)})") from error
    function: Callable[..., Any] | None = getattr(module, name, None)
    if not callable(function):
        known = [other for other, value in vars(module).items() if callable(value) and not other.startswith("_")]
        wrong = "is no function" if hasattr(module, name) else "does not exist"
        raise ConfigError(f"--encoder {spec}: {name} {wrong} in {module_name}; {choices_hint(name, known)}")
    return function


def _called(spec: str, function: Callable[..., Any], path: Path | None) -> tuple[Any, bool]:
    """What the function returns, and whether it took the path."""
    if isinstance(function, nn.Module):
        return function, False
    needs, takes = _takes_path(function)
    if needs and path is None:
        raise ConfigError(f"--encoder {spec}: the function needs a file; give --ckpt")
    try:
        with torch.random.fork_rng(devices=[]):
            return (function(path), True) if takes and path is not None else (function(), False)
    except CocoaError:
        raise
    except (Exception, SystemExit) as error:  # whatever a function of the user's raises
        raise ConfigError(f"--encoder {spec}: raised {one_line(error)}") from error


def _takes_path(function: Callable[..., Any]) -> tuple[bool, bool]:
    """Whether a function's first argument must, and whether it can, be a path."""
    try:
        arguments = list(inspect.signature(function).parameters.values())
    except (ValueError, TypeError):  # written in C
        return False, False
    first = next((a for a in arguments if a.kind in (a.POSITIONAL_ONLY, a.POSITIONAL_OR_KEYWORD, a.VAR_POSITIONAL)), None)
    if first is None or first.kind is first.VAR_POSITIONAL:
        return False, first is not None
    needs = first.default is first.empty
    return needs, needs or first.default is None or isinstance(first.default, str | Path)


def _in_evaluation(encoder: Any) -> Any:
    return encoder.float().eval() if isinstance(encoder, nn.Module) and not isinstance(encoder, _COMPILED) else encoder


def _as_module(made: Any, spec: str) -> nn.Module:
    if isinstance(made, _COMPILED):
        with contextlib.suppress(NotImplementedError):  # exported programs have no modes
            made.eval()
        return AsItIs(made.float(), keep_mode=True)
    if isinstance(made, nn.Module):
        return made.float().eval()
    if callable(made) and not isinstance(made, type):
        return Bare(made).eval()
    wanted = "it must return an nn.Module or a function of images, or a pair of encoders"
    raise ConfigError(f"--encoder {spec}: the function returned {type(made).__name__}; {wanted}")
