"""The command line of ``explain.py``."""

from __future__ import annotations

import difflib
import glob
import os
import re
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

from cocoa_pl.asking.specs import Spec, parse_corpora, parse_foil
from cocoa_pl.cli.common import checkpoint_of, make_parser
from cocoa_pl.cli.values import cache_folder, channels, quantile, seconds, side
from cocoa_pl.config import load_config, option_names
from cocoa_pl.errors import CheckpointError, ConfigError

_SEVERAL = (
    ("ckpt", "PATH", "checkpoints of train.py or of any other origin; several, a quoted glob or, alone, the folder of a run are read as "
     "one run over time"),
    ("input", "PICTURES", "files, folders, globs, train:0-9 or val:all of the data set, or - for a list on standard input; default: the "
     "run's explain set"),
    ("corpus", "[NAME=]WHAT", "what pictures may be like: folders, files, class:NAME, self, neighbours:K, clusters:K, representations in "
     ".npy or .npz; several give several targets; default: self"),
    ("foil", "WHAT", "what they are contrasted with: folders, files, class:NAME, representations, none; default: training images of the "
     "run, else the other corpora, else the pictures to explain"),
)  # fmt: skip
_ONE = (
    ("encoder", "KIND", "what the checkpoint holds, where that is not found out: torchvision:NAME, timm:NAME, torchscript, export, or "
     "package.module:function"),
    ("against", "PATH", "another checkpoint: the same pictures under both encoders, side by side"),
    ("against-encoder", "KIND", "what that checkpoint holds; default: as --encoder"),
    ("out", "DIR", "folder for the report (default: explained/<checkpoint> beside the checkpoint)"),
    ("budget", "TIME", "stop explaining after so long, such as 90s, 10m or 2h; the same command goes on from there"),
    ("box", "HOW", "where masks and boxes cut a map: otsu, or a quantile such as 0.9 (default: otsu)"),
    ("image-size", "N", "side in pixels of the squares that an encoder of another origin sees"),
    ("mean", "R,G,B", "its channel means in [0, 1]"),
    ("std", "R,G,B", "its channel standard deviations"),
    ("cache", "DIR", "folder of representations kept for the next question, or none (default: the user's cache folder)"),
)  # fmt: skip
_FLAGS = (
    ("untrained", "explain the encoder as it was before training: the control"),
    ("trust-pickle", "load a file even if that executes code in it: only files from people you trust"),
)


@dataclass(frozen=True)
class Request:
    """What ``explain.py`` is asked for.

    Attributes:
        checkpoints: files, in the order given; empty where the encoder is a function.
        series: whether they are to be read as a run over time.
        encoder: of a file of another origin: architecture, kind of program, or ``package.module:function``; None: found out.
        against: an encoder to compare with.
        against_encoder: its ``encoder``.
        inputs: pictures to explain; empty: the run's explain set.
        corpora: what is asked; empty: likeness to the picture itself.
        foil: what it is contrasted with; None: found out.
        out: folder of the report.
        untrained: explain the encoder as it was before training.
        budget: seconds that explaining may take; None for no limit.
        quantile: masks and boxes hold what reaches this quantile of a map; None: Otsu's threshold.
        trust_pickle: execute what a pickle asks for.
        image_size, mean, std: of an encoder of another origin.
        cache: folder of representations; None for none.
        overrides: ``key=value``.
    """

    checkpoints: tuple[Path, ...]
    series: bool = False
    encoder: str | None = None
    against: Path | None = None
    against_encoder: str | None = None
    inputs: tuple[str, ...] = ()
    corpora: tuple[Spec, ...] = ()
    foil: Spec | None = None
    out: Path | None = None
    untrained: bool = False
    budget: float | None = None
    quantile: float | None = None
    trust_pickle: bool = False
    image_size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    cache: Path | None = None
    overrides: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether there is a question of the user's own; else the run's explain set is looked at again."""
        return bool(self.inputs or self.corpora or self.foil or self.encoder)


def parse_explain(argv: list[str] | None = None) -> Request:
    """What is to be explained, by what, and where the answer goes.

    Raises:
        ConfigError: any wrong option, or options that contradict each other.
        CheckpointError: no such checkpoint.
    """
    parser = make_parser("explain.py", "Explain an encoder: what do its representations look at?")
    for name, metavar, text in _SEVERAL:
        parser.add_argument(f"--{name}", metavar=metavar, nargs="+", default=[], help=text)
    for name, metavar, text in _ONE:
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    for name, text in _FLAGS:
        parser.add_argument(f"--{name}", action="store_true", help=text)
    args = parser.parse_intermixed_args(argv)
    _check_words(args)
    overrides = [*args.overrides, *(word for name, *_ in _SEVERAL for word in _take_overrides(name, getattr(args, name)))]
    load_config(overrides=overrides)  # a wrong option fails here, before torch is imported
    one = bool(args.input or args.corpus or args.foil or args.untrained or args.against)
    checkpoints, series = _checkpoints_of(args.ckpt, last_of_folder=one)
    request = Request(
        checkpoints, series, args.encoder, checkpoint_of(Path(args.against)) if args.against else None, args.against_encoder,
        tuple(args.input), parse_corpora(args.corpus) if args.corpus else (), parse_foil(args.foil) if args.foil else None,
        Path(args.out) if args.out else None, args.untrained, seconds(args.budget), quantile(args.box), args.trust_pickle,
        side(args.image_size), channels("--mean", args.mean), channels("--std", args.std),
        cache_folder(args.cache), tuple(overrides),
    )  # fmt: skip
    _check(request)
    return request


def _check(request: Request) -> None:
    """See that options do not contradict each other.

    Raises:
        ConfigError: they do.
    """
    program = request.encoder is not None and ":" in request.encoder and not request.encoder.startswith(("torchvision:", "timm:"))
    if not request.checkpoints and not program:
        raise ConfigError("--ckpt: which checkpoint? (see explain.py --help)")
    if request.against is not None and request.series:
        raise ConfigError("--against: two encoders are compared; give one checkpoint by --ckpt, not several")
    if request.against_encoder is not None and request.against is None:
        raise ConfigError("--against-encoder: needs --against")
    if request.untrained and (request.series or request.against is not None):
        raise ConfigError("--untrained: explains one encoder; it goes with neither --against nor several checkpoints")
    if request.encoder is not None and not request.inputs:
        raise ConfigError("--input: which pictures? An encoder of another origin comes without any")
    foreign = {"--image-size": request.image_size, "--mean": request.mean, "--std": request.std}
    if not request.asks and request.against is None and (given := [name for name, value in foreign.items() if value is not None]):
        raise ConfigError(f"{given[0]}: is of encoders of another origin, which are asked with --input")
    if (request.mean is None) != (request.std is None):
        raise ConfigError("--mean and --std go together: give both, or none")
    if request.mean is not None and request.std is not None and len(request.mean) != len(request.std):
        raise ConfigError(f"--mean has {len(request.mean)} numbers, --std {len(request.std)}: one each for every channel, or one for all")
    if request.std is not None and min(request.std) <= 0:
        raise ConfigError(f"--std {','.join(map(str, request.std))}: must be above 0")
    if (request.budget is not None or request.quantile is not None) and not request.asks:
        what = "--budget" if request.budget is not None else "--box"
        raise ConfigError(f"{what}: goes with pictures or a question of your own (--input, --corpus, --foil)")


def _check_words(args: Namespace) -> None:
    """See that no word is empty, as an unset variable of a shell makes it.

    Raises:
        ConfigError: one is.
    """
    for name, *_ in (*_SEVERAL, *_ONE):
        given = getattr(args, name.replace("-", "_"))
        if given == "" or (isinstance(given, list) and "" in given):
            raise ConfigError(f"--{name} '': is empty")


def _take_overrides(name: str, words: list[str]) -> list[str]:
    """Move ``section.key=value`` out of the words of an option that takes several: whoever writes it there means the option.

    What exists under such a name stays, and so does what only resembles a section where it may be the ``NAME=`` of a corpus.

    Raises:
        ConfigError: nothing else is there.
    """
    options = [word for word in words if "." in word.partition("=")[0] and "=" in word and not _exists(word)]
    sections = {name.partition(".")[0] for name in option_names()} if options else set()
    nearness = 1 if name == "corpus" else 0.7  # 1: the very same
    taken = [word for word in options if difflib.get_close_matches(word.partition(".")[0], sections, n=1, cutoff=nearness)]
    words[:] = [word for word in words if word not in taken]
    if taken and not words:
        raise ConfigError(f"--{name}: names nothing; {taken[0]} after it is an option of its own")
    return taken


def _exists(word: str) -> bool:
    return os.path.exists(word) or next(glob.iglob(word, recursive=True), None) is not None


def _checkpoints_of(words: list[str], *, last_of_folder: bool) -> tuple[tuple[Path, ...], bool]:
    """The files that words name, and whether they are a run over time.

    Args:
        words: files, globs, folders of runs.
        last_of_folder: of a folder take ``last.ckpt`` alone, for one encoder is asked about; else all that it holds.

    Raises:
        CheckpointError: one is not there, or a glob or folder holds none.
    """
    files: list[Path] = []
    for word in words:
        path = Path(word)
        if path.is_dir():
            found = sorted(path.glob("*.ckpt"), key=_natural)
            if path / "last.ckpt" in found and last_of_folder:
                found = [path / "last.ckpt"]
            if not found:
                raise CheckpointError(f"{path}: no such checkpoint; the folder holds no .ckpt file")
        elif not path.exists() and glob.has_magic(word):
            found = sorted((Path(name) for name in glob.glob(word, recursive=True) if Path(name).is_file()), key=_natural)
            if not found:
                raise CheckpointError(f"{word}: no file matches")
        else:
            found = [checkpoint_of(path)]
        files += [file for file in found if file not in files]
    return tuple(files), len(files) > 1


def _natural(path: Path) -> list[tuple[int, str]]:
    """A key by which ``step10`` comes after ``step9``."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"([0-9]+)", str(path))]
