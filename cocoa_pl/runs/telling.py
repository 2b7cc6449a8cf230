"""From answers to findings, with whole sentences: what was asked, of what, how, and what is to be known of it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, replace

from cocoa_pl.asking.assembling import Layout
from cocoa_pl.asking.encoding import Encoded
from cocoa_pl.asking.parts import Parts
from cocoa_pl.asking.question import Asked
from cocoa_pl.build import build_views
from cocoa_pl.cli import Request
from cocoa_pl.config import Config, to_dict
from cocoa_pl.errors import ConfigError, DataError, some
from cocoa_pl.report.answers import findings_of_answers
from cocoa_pl.report.findings import Findings, Frame
from cocoa_pl.runs.understanding import Question

_NAMED = 5  # pictures that cannot be read
_SELF = "the original image"


def tell(request: Request, question: Question, parts: Parts, encoded: Sequence[Encoded]) -> Findings:
    """Put all parts together.

    Raises:
        DataError: no picture can be read.
        ConfigError: there was no time for any.
    """
    names = [question.inputs.name(i) for i in range(len(question.inputs))]
    suffixes = {target.suffix: target.name if target.suffix else _SELF for target in encoded[0].asked}
    layout = Layout(
        parts, len(question.encoders), len(names), len(question.views),
        tuple(f"{method}{suffix}" for suffix in suffixes for method in question.config.explain.attributions),
        tuple(each.health for each in encoded),
    )  # fmt: skip
    frames = [Frame(opened.title, opened.about) for opened in question.encoders]
    notes = [
        f"{opened.title}: {note}" if len(frames) > 1 else note
        for opened, own in zip(question.encoders, encoded, strict=True)
        for note in (*own.notices, *opened.notes)
    ]
    views = build_views(question.config, question.image_size)
    findings = findings_of_answers(
        layout, title=_title([frame.title for frame in frames]), names=names, files=[question.inputs.file(i) for i in range(len(names))],
        views=question.views, held_out=[view != "original" and not views.is_seen(view) for view in question.views], targets=suffixes,
        frames=frames, settings=_settings(request, question.config), words=_words(encoded[0]),
        concepts=() if question.texts.bank is None else question.texts.bank.concepts,
        facts=[
            _question(len(names), encoded[0].asked), *encoded[0].facts, *question.chosen.warnings, _how(question.config), *notes,
        ],
    )  # fmt: skip
    return _say_what_is_left_out(findings, request, question, parts)


def _words(encoded: Encoded) -> dict[str, tuple[str, ...]]:
    """Trace suffix to the words of its prompt, where they have attributions."""
    return {target.suffix: target.prompted.words for target in encoded.asked if target.prompted is not None and target.prompted.words}


def _title(frames: Sequence[str]) -> str:
    if len(frames) > 2:
        return f"What {len(frames)} checkpoints look at"
    return f"What {frames[0]} looks at" if len(frames) == 1 else f"What {frames[0]} and {frames[1]} look at"


def _question(num: int, asked: Sequence[Asked]) -> str:
    """What is asked, in a sentence."""
    named = [target.name for target in asked if target.kind not in ("self", "concept")]
    named += ["the concepts that it is most like"] if any(target.kind == "concept" for target in asked) else []
    what = [", ".join(named[:-1]) + " or " + named[-1] if len(named) > 1 else named[0]] if named else []
    pictures = "this picture" if num == 1 else f"each of these {num} pictures"
    itself = any(target.kind == "self" for target in asked)
    like = f"like {' or '.join(what)}" + (", and like itself" if itself else "") if named else "like itself"
    return f"What makes {pictures} {like}, to this encoder{', and not like the foil' if any(len(target.foil) for target in asked) else ''}?"


def _how(config: Config) -> str:
    explain = config.explain
    counts = {"integrated_gradients": f"{explain.num_steps} steps", "rise": f"{explain.num_masks} masks"}
    methods = ", ".join(f"{name.replace('_', ' ')}{f' ({counts[name]})' if name in counts else ''}" for name in explain.attributions)
    return f"Methods: {methods}. Absent pixels are replaced by: {explain.removal}."


def _settings(request: Request, config: Config) -> dict[str, object]:
    """Enough to ask again."""
    options = to_dict(config)
    return {
        "config": {"explain": options["explain"], "data": options["data"], "run": {"seed": config.run.seed}},
        "seed": config.run.seed,
        "box": "otsu" if request.quantile is None else request.quantile,
        "question": {
            "input": list(request.inputs),
            "corpus": [asdict(spec) for spec in request.corpora],
            "foil": None if request.foil is None else asdict(request.foil),
        }
        | _settings_of_texts(request),
    }


def _settings_of_texts(request: Request) -> dict[str, object]:
    """Nothing where nothing is asked in words."""
    if not request.asks_in_words:
        return {}
    return {
        "corpus_text": [asdict(corpus) for corpus in request.text_corpora],
        "foil_text": None if request.text_foil is None else asdict(request.text_foil),
        "template": request.templates,
        "concepts": None if request.concepts is None else asdict(request.concepts),
        "top": request.top,
        "words": request.words,
    }


def _say_what_is_left_out(findings: Findings, request: Request, question: Question, parts: Parts) -> Findings:
    """With a sentence on the pictures that cannot be read: those that have no answer though their block is done."""
    done = set.intersection(*(parts.finished(frame) for frame in range(len(question.encoders))))
    missing = (~findings.finished).nonzero()[0].tolist()
    unreadable = [findings.pictures[e] for e in missing if e // question.block_size in done]
    if len(unreadable) == len(findings.pictures):
        raise DataError(f"--input: none of the pictures ({len(unreadable)}) can be read, the first is {unreadable[0]}")
    if not findings.finished.any():
        raise ConfigError(f"--budget {request.budget:g}s: was too short for any picture; the same command goes on with more")
    if not unreadable:
        return findings
    sentence = f"{len(unreadable)} of {len(findings.pictures)} pictures cannot be read and are left out: {some(unreadable, most=_NAMED)}."
    warnings.warn(sentence, stacklevel=2)
    return replace(findings, facts=(*findings.facts, sentence), num_unreadable=len(unreadable))
