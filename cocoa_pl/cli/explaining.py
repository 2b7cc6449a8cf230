"""The command line of ``explain.py``."""

from __future__ import annotations

from pathlib import Path

from cocoa_pl.asking.specs import parse_corpora, parse_foil
from cocoa_pl.cli.checkpoints import checkpoints_of
from cocoa_pl.cli.common import checkpoint_of, make_parser
from cocoa_pl.cli.contradictions import check_request
from cocoa_pl.cli.flags import FLAGS, ONE, SEVERAL, check_words, take_overrides
from cocoa_pl.cli.request import Request
from cocoa_pl.cli.values import cache_folder, channels, count, quantile, seconds, side
from cocoa_pl.config import load_config
from cocoa_pl.texts.specs import parse_concepts, parse_text_corpora, parse_text_foil
from cocoa_pl.texts.templates import parse_templates


def parse_explain(argv: list[str] | None = None) -> Request:
    """What is to be explained, by what, and where the answer goes.

    Raises:
        ConfigError: any wrong option, or options that contradict each other.
        CheckpointError: no such checkpoint.
        DataError: a foil of texts of which nothing is left.
    """
    parser = make_parser("explain.py", "Explain an encoder: what do its representations look at?")
    for name, metavar, text in SEVERAL:
        parser.add_argument(f"--{name}", metavar=metavar, nargs="+", default=[], help=text)
    for name, metavar, text in ONE:
        parser.add_argument(f"--{name}", metavar=metavar, help=text)
    for name, text in FLAGS:
        parser.add_argument(f"--{name}", action="store_true", help=text)
    args = parser.parse_intermixed_args(argv)
    check_words(args)
    overrides = [*args.overrides, *(word for name, *_ in SEVERAL for word in take_overrides(name, getattr(args, name.replace("-", "_"))))]
    load_config(overrides=overrides)  # a wrong option fails here, before torch is imported
    asked = (args.input, args.corpus, args.foil, args.corpus_text, args.foil_text, args.concepts)
    one = bool(any(asked) or args.untrained or args.against)
    checkpoints, series = checkpoints_of(args.ckpt, last_of_folder=one)
    templates = parse_templates(args.template) if args.template else None
    request = Request(
        checkpoints, series, args.encoder, checkpoint_of(Path(args.against)) if args.against else None, args.against_encoder,
        tuple(args.input), parse_corpora(args.corpus) if args.corpus else (), parse_foil(args.foil) if args.foil else None,
        parse_text_corpora(args.corpus_text, templates) if args.corpus_text else (),
        parse_text_foil(args.foil_text) if args.foil_text else None, templates,
        parse_concepts(args.concepts, templates) if args.concepts else None, count("--top", args.top), args.words,
        Path(args.out) if args.out else None, args.untrained, seconds(args.budget), quantile(args.box), args.trust_pickle,
        side(args.image_size), channels("--mean", args.mean), channels("--std", args.std),
        cache_folder(args.cache), tuple(overrides),
    )  # fmt: skip
    check_request(request)
    return request
