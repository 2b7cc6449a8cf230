"""The command line of ``python -m cocoa_pl.study``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cocoa_pl.cli.common import checkpoint_of, make_parser
from cocoa_pl.cli.values import channels, side
from cocoa_pl.config import StudyConfig, load_as, read_yaml
from cocoa_pl.errors import ConfigError

_KINDS = ("torchvision:", "timm:", "open_clip:", "transformers:", "torchscript", "export")  # of explain.py --encoder


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder that is to be studied.

    Attributes:
        title: of it, in tables.
        kind: of another origin; None: a run of train.py, or found out.
        checkpoint: its file; None where it needs none.
    """

    title: str
    kind: str | None
    checkpoint: Path | None


@dataclass(frozen=True)
class StudyRequest:
    """What is to be studied.

    Attributes:
        name: of the study: the config's, or the checkpoint's run.
        layer: the config, as nested mappings.
        overrides: ``key=value``.
        encoders: at least one.
        out: folder of the results; None: ``<run.root>/study-<name>``.
        trust_pickle: execute what a pickle asks for.
        image_size, mean, std: of encoders of another origin.
    """

    name: str
    layer: Mapping[str, Any]
    overrides: tuple[str, ...]
    encoders: tuple[EncoderSpec, ...]
    out: Path | None
    trust_pickle: bool
    image_size: int | None
    mean: tuple[float, ...] | None
    std: tuple[float, ...] | None


def parse_study(argv: list[str] | None = None) -> StudyRequest:
    """What a command line asks for.

    Raises:
        ConfigError: any wrong option.
        CheckpointError: no such checkpoint.
    """
    parser = make_parser("python -m cocoa_pl.study", "Are the features of the corpus found? The paper's verification.", schema=StudyConfig)
    parser.usage = "%(prog)s [CONFIG] [--ckpt PATH ...] [--out DIR] [key=value ...]"
    parser.epilog = "CONFIG: a YAML file of options, such as configs/study/fashion_mnist.yaml"
    parser.add_argument("--ckpt", metavar="[TITLE=]PATH", nargs="+", default=[], help="encoders beside study.encoders, written as those")
    parser.add_argument("--out", metavar="DIR", help="folder of the results (default: <run.root>/study-<name of the config or the run>)")
    parser.add_argument("--image-size", metavar="N", help="side in pixels of the squares that an encoder of another origin sees")
    parser.add_argument("--mean", metavar="R,G,B", help="its channel means in [0, 1]")
    parser.add_argument("--std", metavar="R,G,B", help="its channel standard deviations")
    parser.add_argument("--trust-pickle", action="store_true", help="load a file even if that executes code in it")
    args = parser.parse_intermixed_args(argv)
    words = [*args.overrides, *args.ckpt]
    overrides = tuple(word for word in words if "=" in word and "." in word.partition("=")[0] and word not in args.ckpt)
    configs = [word for word in args.overrides if word not in overrides]
    if len(configs) > 1:
        raise ConfigError(f"'{configs[1]}': one config is read, {configs[0]}; options are written section.key=value")
    layer = read_yaml(configs[0]) if configs else {}
    config = load_as(StudyConfig, layer, overrides=overrides)
    asked = [*config.study.encoders, *args.ckpt]
    if not asked:
        raise ConfigError("study.encoders: which encoders? name some in a config, or give --ckpt PATH")
    encoders = tuple(parse_encoder(text) for text in asked)
    titles = [encoder.title for encoder in encoders]
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise ConfigError(f"study.encoders: two are called '{twice[0]}'; write TITLE=WHAT")
    return StudyRequest(
        Path(configs[0]).stem if configs else encoders[0].title, layer, overrides, encoders, Path(args.out) if args.out else None,
        args.trust_pickle, side(args.image_size), channels("--mean", args.mean), channels("--std", args.std),
    )  # fmt: skip


def parse_encoder(text: str) -> EncoderSpec:
    """``[TITLE=]WHAT``: a checkpoint, a run's folder, a kind of encoder, or ``KIND@CHECKPOINT``.

    Raises:
        ConfigError: nothing is named.
        CheckpointError: no such checkpoint.

    Example:
        >>> parse_encoder("big=torchvision:resnet50")
        EncoderSpec(title='big', kind='torchvision:resnet50', checkpoint=None)
    """
    title, equals, what = text.partition("=")
    if not equals or Path(text).exists():
        title, what = "", text
    kind, at, file = what.rpartition("@")
    if not what or (at and not (kind and file)) or (equals and not title and what != text):
        raise ConfigError(f"study.encoders: '{text}' must be [TITLE=]WHAT with a checkpoint, a kind of encoder or KIND@CHECKPOINT")
    if at and not Path(what).exists():
        return EncoderSpec(title or kind, kind, checkpoint_of(Path(file)))
    if not Path(what).exists() and (what.startswith(_KINDS) or (":" in what and "/" not in what.partition(":")[0])):
        return EncoderSpec(title or what, what, None)
    checkpoint = checkpoint_of(Path(what))
    return EncoderSpec(title or (checkpoint.parent.name if checkpoint.name == "last.ckpt" else checkpoint.stem), None, checkpoint)
