"""What the two scripts share: reading the command line, and one-line errors.

No torch here: ``--help`` and a wrong option answer in a fraction of a second.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from cocoa_pl.config import Config, help_text, load_config, read_yaml, to_yaml
from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError

_OPTIONS_NOTE = "options, written key=value with values as in YAML (lists: [a,b]; nothing: null):"

_INTERRUPTED = 130  # what a shell calls a program ended by Ctrl-C


class _Parser(argparse.ArgumentParser):
    def format_help(self) -> str:
        return f"{super().format_help()}\n{_OPTIONS_NOTE}\n{help_text()}\n"

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message} (see {self.prog} --help)")


def parse_train(argv: list[str] | None = None) -> tuple[Config, Path | None]:
    """The config of a run, and the checkpoint to resume from.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: nothing to resume from.
    """
    parser = _parser("train.py", "Train a SimCLR encoder from scratch, explain it at epoch ends, watch it in TensorBoard.")
    parser.add_argument("--config", metavar="YAML", help="file with options that differ from the defaults, e.g. configs/fashion_mnist.yaml")
    parser.add_argument("--resume", metavar="RUN", help="continue a run exactly: its folder or one of its checkpoints")
    parser.add_argument("--print-config", action="store_true", help="print the resolved config as YAML and exit")
    args = parser.parse_intermixed_args(argv)
    layers = [read_yaml(args.config)] if args.config else []
    checkpoint = None
    if args.resume:
        checkpoint = _checkpoint_of(Path(args.resume))
        layers.insert(0, read_yaml(checkpoint.parent / "config.yaml"))
    config = load_config(*layers, overrides=args.overrides)
    if args.print_config:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config, checkpoint


def parse_explain(argv: list[str] | None = None) -> argparse.Namespace:
    """The checkpoint, the pictures, the folder for the answers and the options.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: no such checkpoint.
    """
    parser = _parser("explain.py", "Explain the encoder in a checkpoint: what do its representations look at?")
    parser.add_argument("--ckpt", metavar="PATH", required=True, help="checkpoint written by train.py, or the folder of a run")
    parser.add_argument("--input", metavar="PATH", nargs="+", help="pictures or folders to explain; default: the run's explain set")
    parser.add_argument("--untrained", action="store_true", help="explain the encoder as it was before training: the control")
    parser.add_argument("--out", metavar="DIR", help="folder for the report (default: <run>/explained/<checkpoint>)")
    args = parser.parse_intermixed_args(argv)
    load_config(overrides=args.overrides)  # a wrong option fails here, before torch is imported
    args.ckpt = _checkpoint_of(Path(args.ckpt))
    return args


def run(main: Callable[[], None]) -> NoReturn:
    """Run a script: an error of ours becomes one line and exit code 2, a warning one line."""
    warnings.formatwarning = lambda message, *_, **__: f"warning: {message}\n"
    try:
        main()
    except CocoaError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        raise SystemExit(_INTERRUPTED) from None
    except BrokenPipeError:  # the reader of --help or --print-config has gone, as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as error:  # a disk that is full, a folder that is forbidden, met by a library
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    raise SystemExit(0)


def _parser(prog: str, description: str) -> _Parser:
    parser = _Parser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False)
    parser.add_argument("overrides", metavar="key=value", nargs="*", help="options, see below")
    return parser


def _checkpoint_of(path: Path) -> Path:
    checkpoint = path / "last.ckpt" if path.is_dir() else path
    if not checkpoint.is_file():
        raise CheckpointError(f"{checkpoint}: no such checkpoint; give a .ckpt file or the folder of a run that holds last.ckpt")
    return checkpoint
