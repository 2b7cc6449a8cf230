"""The command line of ``train.py``."""

from __future__ import annotations

from pathlib import Path

from cocoa_pl.cli.common import checkpoint_of, make_parser
from cocoa_pl.config import Config, load_config, read_yaml, to_yaml


def parse_train(argv: list[str] | None = None) -> tuple[Config, Path | None]:
    """The config of a run, and the checkpoint to resume from.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: nothing to resume from.
    """
    parser = make_parser("train.py", "Train a SimCLR encoder from scratch, explain it at epoch ends, watch it in TensorBoard.")
    parser.add_argument("--config", metavar="YAML", help="file with options that differ from the defaults, e.g. configs/fashion_mnist.yaml")
    parser.add_argument("--resume", metavar="RUN", help="continue a run exactly: its folder or one of its checkpoints")
    parser.add_argument("--print-config", action="store_true", help="print the resolved config as YAML and exit")
    args = parser.parse_intermixed_args(argv)
    layers = [read_yaml(args.config)] if args.config else []
    checkpoint = None
    if args.resume:
        checkpoint = checkpoint_of(Path(args.resume))
        layers.insert(0, read_yaml(checkpoint.parent / "config.yaml"))
    config = load_config(*layers, overrides=args.overrides)
    if args.print_config:
        print(to_yaml(config), end="")
        raise SystemExit(0)
    return config, checkpoint
