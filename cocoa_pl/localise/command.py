"""The command line of ``python -m cocoa_pl.localise``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cocoa_pl.cli.common import add_foreign, checkpoint_of, make_parser
from cocoa_pl.cli.flags import take_overrides
from cocoa_pl.cli.values import channels, count, side
from cocoa_pl.config import load_config
from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.asked import TextFoil
from cocoa_pl.texts.specs import parse_text_foil
from cocoa_pl.texts.templates import parse_templates

_DEFAULT_NUM = 200
_DEFAULT_SHOWN = 8
_MOST = 1_000_000


@dataclass(frozen=True)
class LocaliseRequest:
    """What is to be localised, by what.

    Attributes:
        checkpoint: a run of the image-text method, or weights of another encoder; None where the encoder needs none.
        encoder: of another origin.
        annotations: a table of pictures, texts and boxes or masks; None: the run's validation pictures.
        template: a sentence that the table's texts are put in.
        foil_text: what the table's texts are contrasted with as well.
        num: pictures at most.
        num_shown: of them, whose maps are drawn.
        out: folder of the results.
        trust_pickle: execute what a pickle asks for.
        image_size, mean, std: of an encoder of another origin.
        overrides: ``key=value``.
    """

    checkpoint: Path | None
    encoder: str | None
    annotations: Path | None
    template: str | None
    foil_text: TextFoil | None
    num: int
    num_shown: int
    out: Path
    trust_pickle: bool
    image_size: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None
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
    parser.add_argument(
        "--template", metavar="TEXT", nargs="+", default=[], help="sentence with {} for the table's texts (default: as they are)"
    )
    parser.add_argument(
        "--foil-text", metavar="WHAT", nargs="+", default=[], help="cifar100, imagenet, @FILE or texts: contrasted with as well"
    )
    parser.add_argument("--num", metavar="N", help=f"pictures at most (default: {_DEFAULT_NUM})")
    parser.add_argument("--shown", metavar="N", help=f"of them drawn (default: {_DEFAULT_SHOWN})")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (default: localised beside the checkpoint)")
    add_foreign(parser)
    args = parser.parse_intermixed_args(argv)
    several = {"template": args.template, "foil-text": args.foil_text}
    overrides = [*args.overrides, *(word for name, words in several.items() for word in take_overrides(name, words))]
    load_config(overrides=overrides)
    if args.ckpt is None and args.encoder is None:
        raise ConfigError("--ckpt: which encoder? a run of model.method=image_text, or --encoder KIND")
    if args.encoder is not None and args.annotations is None:
        raise ConfigError("--annotations: an encoder of another origin comes without pictures; give a table of them")
    if args.annotations is None and (args.template or args.foil_text):
        raise ConfigError(
            f"{'--template' if args.template else '--foil-text'}: goes with --annotations; a run's data set has its own texts"
        )
    template = _template(args.template) if args.template else None
    foil = parse_text_foil(args.foil_text) if args.foil_text else None
    num, num_shown = count("--num", args.num, high=_MOST), count("--shown", args.shown, low=0, high=_MOST)
    annotations = Path(args.annotations) if args.annotations else None
    if annotations is not None and not annotations.is_file():
        raise ConfigError(
            f"--annotations {annotations}: no such file; it must be a table in CSV with the columns picture, text, box or mask"
        )
    checkpoint = checkpoint_of(Path(args.ckpt)) if args.ckpt else None
    return LocaliseRequest(
        checkpoint, args.encoder, annotations, template, foil, _DEFAULT_NUM if num is None else num,
        _DEFAULT_SHOWN if num_shown is None else num_shown,
        Path(args.out) if args.out else (checkpoint.parent if checkpoint else Path()) / "localised", args.trust_pickle,
        side(args.image_size), channels("--mean", args.mean), channels("--std", args.std), tuple(overrides),
    )  # fmt: skip


def _template(words: list[str]) -> str:
    """The one template that all texts are put in: a text of the table is one direction, not a mean over sentences."""
    templates = parse_templates(words)
    if len(templates) > 1:
        raise ConfigError(f"--template {' '.join(words)}: gives {len(templates)} sentences; must be one, as in 'a photo of a {{}}'")
    return templates[0]
