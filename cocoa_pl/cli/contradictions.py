"""Options of ``explain.py`` that contradict each other, each in one sentence."""

from __future__ import annotations

from cocoa_pl.cli.request import DEFAULT_TOP, Request
from cocoa_pl.errors import ConfigError
from cocoa_pl.texts.hygiene import foil_of


def check_request(request: Request) -> None:
    """See that options do not contradict each other.

    Raises:
        ConfigError: they do.
        DataError: a foil of texts of which nothing is left.
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
    _check_texts(request)


def _check_texts(request: Request) -> None:
    if request.templates is not None and not request.asks_in_words:
        raise ConfigError("--template: puts concepts in sentences; it goes with --corpus-text, --foil-text or --concepts")
    if request.top is not None and request.concepts is None:
        raise ConfigError("--top: is of a bank of concepts; it needs --concepts")
    if request.top is not None and request.concepts is not None and request.top > len(request.concepts.concepts):
        raise ConfigError(f"--top {request.top}: must be at most {len(request.concepts.concepts)}, as many as --concepts has")
    if request.words and not request.text_corpora:
        raise ConfigError("--words: are those of the texts asked about; it needs --corpus-text")
    none = request.foil is not None and request.foil.kind == "none"
    if none and request.text_foil is not None:
        raise ConfigError("--foil none: contradicts --foil-text, which is a foil; leave one of them out")
    of_concepts = request.concepts is not None and not request.corpora and not request.text_corpora
    if of_concepts and (request.foil is not None or request.text_foil is not None):
        given = "--foil" if request.foil is not None else "--foil-text"
        raise ConfigError(f"{given}: concepts of --concepts are contrasted with one another; a foil goes with --corpus or --corpus-text")
    if request.text_foil is None and request.foil is None and len(request.text_corpora) == 1:
        raise ConfigError(
            f"--foil-text: what is {request.text_corpora[0].name!r} contrasted with? Name other texts, such as cifar100 or neutral, or say "
            "--foil none"
        )
    _check_names(request)
    if request.text_foil is not None:
        for corpus in request.text_corpora:
            foil_of(corpus, request.text_foil)  # one that does not fit is found here, before torch is imported


def _check_names(request: Request) -> None:
    """See that no two targets have one name."""
    named = [("--corpus", spec.name) for spec in request.corpora] + [("--corpus-text", corpus.name) for corpus in request.text_corpora]
    if request.concepts is not None:
        named += [("--concepts", f"concept {place}") for place in range(1, (request.top or DEFAULT_TOP) + 1)]
    taken: dict[str, str] = {}
    for option, name in named:
        if name in taken:
            raise ConfigError(f"{option}: {name!r} is what a target of {taken[name]} is called too; give one another name by NAME=")
        taken[name] = option
