"""The command line of ``train.py``."""

from __future__ import annotations

from pathlib import Path

from cocoa_pl.cli.common import make_parser
from cocoa_pl.config import Config, load_config, read_yaml, to_yaml
from cocoa_pl.errors import CheckpointError

_AUTO = "auto"


def parse_train(argv: list[str] | None = None) -> tuple[Config, Path | None]:
    """The config of a run, and the checkpoint or the folder of a run to resume from.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: nothing to resume from.
    """
    parser = make_parser("train.py", "Train an encoder from scratch, explain it at epoch ends, watch it in TensorBoard.")
    parser.add_argument("--config", metavar="YAML", help="file with options that differ from the defaults, e.g. configs/fashion_mnist.yaml")
    parser.add_argument(
        "--resume",
        metavar="RUN",
        help="continue a run exactly: its folder, one of its checkpoints, or auto: <run.root>/<run.name>, begun where it is not there yet",
    )
    parser.add_argument("--print-config", action="store_true", help="print the resolved config as YAML and exit")
    args = parser.parse_intermixed_args(argv)
    layers = [read_yaml(args.config)] if args.config else []
    config = load_config(*layers, overrides=args.overrides)
    resume = None
    if args.resume:
        resume = Path(config.run.root, config.run.name) if args.resume == _AUTO else Path(args.resume)
        stored = _stored_config(resume, must_be=args.resume != _AUTO)
        if stored is not None:
            config = load_config(read_yaml(stored), *layers, overrides=args.overrides)
    if args.print_config:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config, resume


def _stored_config(resume: Path, *, must_be: bool) -> Path | None:
    """The config of a run, by its folder or one of its checkpoints; None where there is no run and none must be.

    Raises:
        CheckpointError: there is no run, or one without its config.
    """
    if must_be and not (resume.is_dir() or resume.is_file()):
        raise CheckpointError(f"{resume}: no such checkpoint; give a .ckpt file or the folder of a run that holds last.ckpt")
    folder = resume.parent if resume.is_file() else resume
    stored = folder / "config.yaml"
    if stored.is_file():
        return stored
    if must_be or next(folder.glob("*.ckpt"), None) is not None:
        raise CheckpointError(f"{folder}: no run to resume; it holds no config.yaml")
    return None
