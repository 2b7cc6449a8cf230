"""The command line of ``python -m cocoa_pl.localise``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cocoa_pl.cli.common import checkpoint_of, make_parser
from cocoa_pl.config import load_config
from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.templates import parse_templates

_DEFAULT_NUM = 200
_DEFAULT_SHOWN = 8


@dataclass(frozen=True)
class LocaliseRequest:
    """What is to be localised, by what.

    Attributes:
        checkpoint: a run of the image-text method, or weights of another encoder; None where the encoder needs none.
        encoder: of another origin.
        annotations: a table of pictures, texts and boxes or masks; None: the run's validation pictures.
        template: a sentence that the table's texts are put in.
        foil_text: names of lists, files or texts that the table's texts are contrasted with as well.
        num: pictures at most.
        num_shown: of them, whose maps are drawn.
        out: folder of the results.
        trust_pickle: execute what a pickle asks for.
        overrides: ``key=value``.
    """

    checkpoint: Path | None
    encoder: str | None
    annotations: Path | None
    template: str | None
    foil_text: tuple[str, ...]
    num: int
    num_shown: int
    out: Path
    trust_pickle: bool
    overrides: tuple[str, ...]


def parse_localise(argv: list[str] | None = None) -> LocaliseRequest:
    """What a command line asks for.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: no such checkpoint.
    """
    parser = make_parser("python -m cocoa_pl.localise", "Do maps towards texts lie on what the texts name?")
    parser.add_argument("--ckpt", metavar="PATH", help="a run of model.method=image_text, or weights for --encoder")
    parser.add_argument(
        "--encoder", metavar="KIND", help="as of explain.py: open_clip:NAME[/TAG], transformers:NAME, package.module:function"
    )
    parser.add_argument(
        "--annotations", metavar="CSV", help="table of picture, text, and box (left top right bottom, pixels) or mask (a file)"
    )
    parser.add_argument("--template", metavar="TEXT", help="sentence with {} that the table's texts are put in (default: as they are)")
    parser.add_argument(
        "--foil-text", metavar="WHAT", nargs="+", default=[], help="cifar100, imagenet, @FILE or texts: contrasted with as well"
    )
    parser.add_argument("--num", metavar="N", default=str(_DEFAULT_NUM), help=f"pictures at most (default: {_DEFAULT_NUM})")
    parser.add_argument("--shown", metavar="N", default=str(_DEFAULT_SHOWN), help=f"of them drawn (default: {_DEFAULT_SHOWN})")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (default: localised beside the checkpoint)")
    parser.add_argument("--trust-pickle", action="store_true", help="load a file even if that executes code in it")
    args = parser.parse_intermixed_args(argv)
    load_config(overrides=args.overrides)
    if args.ckpt is None and args.encoder is None:
        raise ConfigError("--ckpt: which encoder? a run of model.method=image_text, or --encoder KIND")
    if args.encoder is not None and args.annotations is None:
        raise ConfigError("--annotations: an encoder of another origin comes without pictures; give a table of them")
    if args.annotations is None and (args.template or args.foil_text):
        raise ConfigError(
            f"{'--template' if args.template else '--foil-text'}: goes with --annotations; a run's data set has its own texts"
        )
    if args.template is not None:
        parse_templates([args.template])
    checkpoint = checkpoint_of(Path(args.ckpt)) if args.ckpt else None
    return LocaliseRequest(
        checkpoint, args.encoder, Path(args.annotations) if args.annotations else None, args.template, tuple(args.foil_text),
        _count("--num", args.num, 1), _count("--shown", args.shown, 0),
        Path(args.out) if args.out else (checkpoint.parent if checkpoint else Path()) / "localised", args.trust_pickle,
        tuple(args.overrides),
    )  # fmt: skip


def _count(option: str, text: str, low: int) -> int:
    if not text.isdecimal() or int(text) < low:
        raise ConfigError(f"{option} {text}: must be a whole number from {low}")
    return int(text)
