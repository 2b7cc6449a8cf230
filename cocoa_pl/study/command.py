"""The command line of ``python -m cocoa_pl.study``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os.path import exists
from pathlib import Path
from typing import Any

from cocoa_pl.cli.common import add_foreign, checkpoint_of, make_parser
from cocoa_pl.cli.values import channels, side
from cocoa_pl.config import StudyConfig, load_as, option_names, read_yaml
from cocoa_pl.config.study import plays_part
from cocoa_pl.errors import CheckpointError, ConfigError

_ENCODERS = "study.encoders="
_NEAR = 0.7  # how much a mistyped section is like the one that was meant
_MOST_RUNS = 5  # that a message names
_PROGRAMS = ("torchscript", "export")
_WITH_FILE = ("torchvision", "timm", *_PROGRAMS)  # kinds of explain.py --encoder that bring no weights


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
    parser.epilog = "CONFIG: a YAML file of options, such as configs/study/fashion_mnist.yaml; a run's folder or a .ckpt is taken as --ckpt"
    parser.add_argument(
        "--ckpt", metavar="[TITLE=]PATH", nargs="+", action="extend", default=[], help="encoders beside study.encoders, written as those"
    )
    parser.add_argument("--out", metavar="DIR", help="folder of the results (default: <run.root>/study-<name of the config or the run>)")
    add_foreign(parser)
    args = parser.parse_intermixed_args(argv)
    words = [*args.overrides, *args.ckpt]
    if "" in (*words, args.out):
        raise ConfigError("'': a word of the command line is empty")
    overrides = tuple(word for word in words if _is_option(word))  # also of those after --ckpt: whoever writes one there means the option
    others = [word for word in args.overrides if word not in overrides]
    configs = [word for word in others if not _is_encoder(word)]
    layer = _config(configs)
    config = load_as(StudyConfig, layer, overrides=overrides)
    asked = [
        *config.study.encoders,
        *(word for word in others if _is_encoder(word)),
        *(word for word in args.ckpt if word not in overrides),
    ]
    if not asked:
        trains = f"{configs[0]} has no study section; " if layer and "study" not in layer else ""
        raise ConfigError(f"study.encoders: which encoders? {trains}give --ckpt PATH, or a config that names some, as in configs/study/")
    _check_parts(layer, overrides)
    encoders = tuple(parse_encoder(text) for text in asked)
    titles = [encoder.title for encoder in encoders]
    if twice := [title for title in titles if titles.count(title) > 1]:
        raise ConfigError(f"study.encoders: two are called '{twice[0]}'; write TITLE=WHAT")
    layer = {**layer, "study": {**layer.get("study", {}), "encoders": asked}}  # so that the options alone tell the whole study
    return StudyRequest(
        Path(configs[0]).stem if configs else encoders[0].title, layer, tuple(word for word in overrides if not word.startswith(_ENCODERS)),
        encoders, Path(args.out) if args.out else None, args.trust_pickle, side(args.image_size), channels("--mean", args.mean),
        channels("--std", args.std),
    )  # fmt: skip


def _is_option(word: str) -> bool:
    """Whether a word is ``section.key=value``, be the section mistyped, and neither a file nor ``TITLE=PATH``."""
    key, equals, value = word.partition("=")
    if not equals or "." not in key or exists(word):
        return False
    section, sections = key.partition(".")[0], {name.partition(".")[0] for name in option_names(StudyConfig)}
    return section in sections or (bool(difflib.get_close_matches(section, sections, n=1, cutoff=_NEAR)) and not exists(value))


def _is_encoder(word: str) -> bool:
    """Whether a word without --ckpt can only be meant so: a folder or a checkpoint."""
    return Path(word).is_dir() or (Path(word).suffix == ".ckpt" and ("=" not in word or exists(word)))


def _check_parts(layer: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """See that every option that is given has something to do here.

    Raises:
        ConfigError: one has not.
    """
    given = [f"{section}.{name}" for section, options in layer.items() if isinstance(options, Mapping) for name in options]
    for option in (*given, *(word.partition("=")[0].strip() for word in overrides)):
        if not plays_part(option):
            raise ConfigError(f"{option}: plays no part in a study")


def _config(words: Sequence[str]) -> Mapping[str, Any]:
    """The config among the words of a command line that are no options; without one, nothing.

    Raises:
        ConfigError: there are two, or it is something else.
    """
    for word in words:
        if "=" in word and not exists(word):
            raise ConfigError(f"'{word}': an option is written section.key=value (see --help), an encoder --ckpt [TITLE=]PATH")
    if len(words) > 1:
        raise ConfigError(f"'{words[1]}': one config is read, {words[0]}; encoders are named by --ckpt")
    try:
        return read_yaml(words[0]) if words else {}
    except ConfigError as error:
        raise ConfigError(str(error).removeprefix("--config ")) from error  # here a config stands by itself


def parse_encoder(text: str) -> EncoderSpec:
    """``[TITLE=]WHAT``: a checkpoint, a run's folder, a kind of encoder, or ``KIND@CHECKPOINT``.

    Raises:
        ConfigError: nothing is named.
        CheckpointError: no such checkpoint.

    Example:
        >>> parse_encoder("big=open_clip:ViT-B-32/openai")
        EncoderSpec(title='big', kind='open_clip:ViT-B-32/openai', checkpoint=None)
    """
    title, equals, what = text.partition("=")
    if not equals or exists(text):
        title, what = "", text
    elif not title.strip():
        what = ""
    if exists(what):
        return _of_file(title, None, what)
    kind, at, file = what.rpartition("@")
    if not what or (at and not (kind and file)):
        raise ConfigError(f"study.encoders: '{text}' must be [TITLE=]WHAT with a checkpoint, a kind of encoder or KIND@CHECKPOINT")
    if at:
        return _of_file(title, kind, file)
    library, colon, _ = what.partition(":")
    if library in _WITH_FILE and bool(colon) != (library in _PROGRAMS):
        raise ConfigError(f"study.encoders: '{text}' comes without weights; write {what}@CHECKPOINT")
    if colon and "/" not in library:
        return EncoderSpec(title or what, what, None)
    return _of_file(title, None, what)


def _of_file(title: str, kind: str | None, file: str) -> EncoderSpec:
    if (folder := Path(file)).is_dir() and not (folder / "last.ckpt").is_file():
        _refuse_runs(folder)
    checkpoint = checkpoint_of(folder)
    own = checkpoint.resolve().parent.name if checkpoint.name == "last.ckpt" else checkpoint.stem
    return EncoderSpec(title or own, kind, checkpoint)


def _refuse_runs(folder: Path) -> None:
    """Name the runs below a folder that is none itself.

    Raises:
        CheckpointError: there are some.
    """
    runs = sorted(str(last.parent) for last in folder.glob("*/last.ckpt"))
    if runs:
        more = f" and {len(runs) - _MOST_RUNS} more" if len(runs) > _MOST_RUNS else ""
        raise CheckpointError(f"{folder}: holds no last.ckpt; the runs below it are {', '.join(runs[:_MOST_RUNS])}{more}")
