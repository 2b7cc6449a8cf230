"""What both command lines share: the parser with its list of options, and one-line errors."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cocoa_pl.config import Config, help_text
from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError

_OPTIONS_NOTE = "options, written key=value with values as in YAML (lists: [a,b]; nothing: null):"

_INTERRUPTED = 130  # what a shell calls a program ended by Ctrl-C


class _Parser(argparse.ArgumentParser):
    schema: type = Config

    def format_help(self) -> str:
        return f"{super().format_help()}\n{_OPTIONS_NOTE}\n{help_text(self.schema)}\n"

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {self.prog} --help)")


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script: an error of ours becomes one line and exit code 2, a warning one line."""
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read when torch is imported: a lost connection would fill a page
    warnings.formatwarning = lambda message, *_, **__: f"warning: {_one_line(message)}\n"
    try:
        main()
    except CocoaError as error:
        print(f"error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:  # the reader of --help or --print-config has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:  # a disk that is full, a folder that is forbidden, met by a library
        print(f"error: {_one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)


def _one_line(message: object) -> str:
    """A message with ends of lines, and what else would change how a terminal shows it, written as in Python: names may hold anything."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in str(message))


def make_parser(prog: str, description: str, *, schema: type = Config) -> argparse.ArgumentParser:
    """A parser whose errors are ours, which takes ``key=value`` anywhere and tells the options of a schema."""
    parser = _Parser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.schema = schema
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="options, see below")
    return parser


def add_foreign(parser: argparse.ArgumentParser) -> None:
    """What is to be known of encoders of another origin."""
    parser.add_argument("--image-size", metavar="N", help="side in pixels of the squares that an encoder of another origin sees")
    parser.add_argument("--mean", metavar="R,G,B", help="its channel means in [0, 1]")
    parser.add_argument("--std", metavar="R,G,B", help="its channel standard deviations")
    parser.add_argument("--trust-pickle", action="store_true", help="load a file even if that executes code in it")


def checkpoint_of(path: Path) -> Path:
    """A checkpoint by its path or by the folder of its run.

    Raises:
        CheckpointError: there is none.
    """
    checkpoint = path / "last.ckpt" if path.is_dir() else path
    if not checkpoint.is_file():
        raise CheckpointError(f"{checkpoint}: no such checkpoint; give a .ckpt file or the folder of a run that holds last.ckpt")
    return checkpoint
