"""Put a question to encoders: the user's pictures, the user's corpora, one answer for each picture and encoder."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.asking.answering import Answering
from cocoa_pl.asking.assembling import Layout
from cocoa_pl.asking.cache import RepsCache
from cocoa_pl.asking.choosing import Chosen, choose
from cocoa_pl.asking.encoding import Encoded, encode_question
from cocoa_pl.asking.parts import Parts
from cocoa_pl.asking.specs import parse_corpora
from cocoa_pl.build import build_attribution, build_explain_set, build_predictor, build_splits, build_views, device_type, open_encoder
from cocoa_pl.build.encoders import AskedEncoder, length_of
from cocoa_pl.callbacks.predicting import Asking, Blocks, WriteParts, predict
from cocoa_pl.cli import Request
from cocoa_pl.config import Config, load_config, to_dict
from cocoa_pl.data.inputs import PictureSource, load_pictures
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError
from cocoa_pl.explainer import load_removal
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.sources import is_ours
from cocoa_pl.registry import REMOVALS
from cocoa_pl.report.answers import findings_of_answers
from cocoa_pl.report.findings import Findings, Frame
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs.opening import options_of
from cocoa_pl.types import Removal

_PIXELS_A_BLOCK = 2**19  # of the pictures that are explained together
_SMALL = 64  # side in pixels up to which RISE takes four cells
_POOL = 64  # pictures from which removals may draw


@dataclass(frozen=True)
class Question:
    """A request, understood: everything that the work is a function of."""

    config: Config
    encoders: tuple[AskedEncoder, ...]
    inputs: PictureSource
    chosen: Chosen
    views: tuple[str, ...]
    image_size: int

    @property
    def block_size(self) -> int:
        """Pictures that are explained together."""
        return max(1, min(64, _PIXELS_A_BLOCK // self.image_size**2 // len(self.views)))

    @property
    def num_blocks(self) -> int:
        """Blocks that hold all pictures."""
        return -(-len(self.inputs) // self.block_size)


def understand(request: Request) -> Question:
    """Open everything that a request names.

    Raises:
        CocoaError: something cannot be used; nothing was written.
    """
    config, splits = _config(request)
    encoders = _encoders(request, config)
    sizes = {encoder.image_size for encoder in encoders}
    if len(sizes) > 1:
        raise ConfigError(f"the encoders see images of {' and '.join(map(str, sorted(sizes)))} px; --image-size gives them one size")
    size = sizes.pop()
    asked = {text.partition("=")[0] for text in request.overrides}
    if "explain.views" not in asked:
        config.explain.views = ["original"]
    if "explain.attributions" not in asked and size > _SMALL:  # the first is shown first: areas are read more easily than single pixels
        config.explain.attributions.sort(key=lambda name: name != "rise")
    if "explain.grid_size" not in asked and not (request.checkpoints and request.encoder is None and is_ours(request.checkpoints[0])):
        config.explain.grid_size = 4 if size <= _SMALL else 7
    items = request.inputs or _explain_set_items(config, splits)

    def load(items: Sequence[str], what: str) -> PictureSource:
        named = any(item == "-" or (item.startswith(("train:", "val:")) and not Path(item).exists()) for item in items)
        return load_pictures(items, size=size, what=what, splits=splits() if named and splits is not None else None)

    inputs = load(items, "--input")
    chosen = choose(
        request.corpora or parse_corpora(["self"]), request.foil, load=load, splits=splits, inputs=inputs,
        seed=derive_seed(config.run.seed, "ask"), corpus_size=config.explain.corpus_size, foil_size=config.explain.foil_size,
    )  # fmt: skip
    return Question(config, encoders, inputs, chosen, tuple(config.explain.views), size)


def answer(request: Request, question: Question, folder: Path) -> Findings | None:
    """Do the work that is not done yet; findings on the first process, None on others.

    Args:
        request: where representations are cached, how long it may take, where masks are cut.
        question: what is asked.
        folder: of the report; parts of the answer are kept there until it is whole.

    Raises:
        CocoaError: an encoder cannot take the pictures; a picture cannot be read. What is done is kept.
    """
    config, num_frames = question.config, len(question.encoders)
    parts = Parts(folder / ".parts", _fingerprint(request, question))
    parts.drop_others()
    parts.drop_damaged(range(num_frames))
    done = [parts.finished(frame) for frame in range(num_frames)]
    if any(done):
        print(f"{sum(map(len, done))} of {num_frames * question.num_blocks} blocks of pictures were done before; going on", flush=True)
    deadline = None if request.budget is None else time.time() + request.budget
    cached = RepsCache(request.cache)
    encoded, is_first = list[Encoded](), True
    for frame, opened in enumerate(question.encoders):
        device = _device(config)
        encoder = opened.on(device)
        made = encode_question(
            question.chosen,
            lambda source, ids, encoder=encoder, opened=opened: cached.encode(  # type: ignore[misc]
                encoder, source, ids, fingerprint=opened.fingerprint, chunk_size=config.explain.chunk_size
            ),
            dim=length_of(encoder, image_size=question.image_size), seed=derive_seed(config.run.seed, "ask"), device=device,
        )  # fmt: skip
        encoded.append(made)
        answering = Answering(
            encoder, made.asked, {name: build_attribution(config, name) for name in config.explain.attributions},
            _removal(config, question.chosen), question.views, seed=derive_seed(config.run.seed, "explain"),
            chunk_size=config.explain.chunk_size, curve_steps=config.explain.curve_steps, quantile=request.quantile,
            keep_draws=num_frames > 1,
        )  # fmt: skip
        todo = sorted(set(range(question.num_blocks)) - done[frame])
        if todo:
            is_first = _predict(question, answering, parts, todo, frame=frame, deadline=deadline)
    return _findings(request, question, parts, encoded) if is_first else None


def _predict(
    question: Question, answering: Answering, parts: Parts, todo: Sequence[int], *, frame: int, deadline: float | None
) -> bool:  # fmt: skip
    """Answer blocks, on as many devices as the trainer has; whether this is the first process."""
    config, total = question.config, len(question.inputs)
    title = f"explain ({question.encoders[frame].title})" if len(question.encoders) > 1 else "explain"
    writer = WriteParts(
        parts, frame=frame, title=title if config.trainer.progress_bar else "", done=total - min(total, len(todo) * question.block_size),
        total=total,
    )  # fmt: skip
    trainer = build_predictor(config, [writer])
    asking = Asking(answering, skip_unreadable=config.data.on_bad_image == "skip")
    blocks = Blocks(question.inputs, todo, size=question.block_size, deadline=deadline)
    predict(trainer, asking, blocks, num_workers=0)
    return trainer.is_global_zero


def _findings(request: Request, question: Question, parts: Parts, encoded: Sequence[Encoded]) -> Findings:
    config, names = question.config, [question.inputs.name(i) for i in range(len(question.inputs))]
    methods = [f"{method}" for method in config.explain.attributions]
    suffixes = {target.suffix: target.name if target.suffix else "the original image" for target in encoded[0].asked}
    layout = Layout(
        parts, len(question.encoders), len(names), len(question.views),
        tuple(f"{method}{suffix}" for suffix in suffixes for method in methods), tuple(each.health for each in encoded),
    )  # fmt: skip
    frames = [Frame(opened.title, opened.about, {}, opened.notes) for opened in question.encoders]
    views = build_views(config, question.image_size)
    title = question.encoders[0].title if len(frames) < 2 else f"{frames[0].title} and {frames[1].title}" if len(frames) == 2 else ""
    return findings_of_answers(
        layout, title=f"What {title or f'{len(frames)} checkpoints'} look{'s' if len(frames) < 2 else ''} at", names=names,
        files=[question.inputs.file(i) for i in range(len(names))], views=question.views,
        held_out=[view != "original" and not views.is_seen(view) for view in question.views], targets=suffixes, frames=frames,
        facts=[_question(len(names), list(suffixes.values())), *encoded[0].facts, *question.chosen.warnings, _how(config)],
        settings={
            "config": {"explain": to_dict(config)["explain"], "run": {"seed": config.run.seed}}, "seed": config.run.seed,
            "box": "otsu" if request.quantile is None else request.quantile,
            "question": {
                "input": list(request.inputs), "corpus": [f"{spec.name}={spec.kind}" for spec in request.corpora] or ["self"],
                "foil": None if request.foil is None else request.foil.kind,
            },
        },
    )  # fmt: skip


def _question(num: int, targets: Sequence[str]) -> str:
    """What is asked, in a sentence."""
    named = ["itself" if name == "the original image" else name for name in targets]
    what = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    pictures = "this picture" if num == 1 else f"each of these {num} pictures"
    return f"What makes {pictures} like {what}, in the eyes of the encoder, and not like the foil?"


def _how(config: Config) -> str:
    explain = config.explain
    counts = {"integrated_gradients": f"{explain.num_steps} steps", "rise": f"{explain.num_masks} masks"}
    methods = ", ".join(f"{name.replace('_', ' ')}{f' ({counts[name]})' if name in counts else ''}" for name in explain.attributions)
    return f"Methods: {methods}. Absent pixels are replaced by: {explain.removal}."


def _config(request: Request) -> tuple[Config, Callable[[], Splits] | None]:
    """The options, of the run where there is one, and the data set, made when it is first needed."""
    first = request.checkpoints[0] if request.checkpoints else None
    ours = first is not None and request.encoder is None and is_ours(first)
    layers = [read_checkpoint(first)["cocoa_pl"]["config"]] if ours and first is not None else []
    config = load_config(*layers, overrides=request.overrides)
    named = ours or any(text.startswith("data.") for text in request.overrides if not text.startswith("data.on_bad_image"))
    return config, cache(lambda: build_splits(config)) if named else None


def _encoders(request: Request, config: Config) -> tuple[AskedEncoder, ...]:
    paths: list[Path | None] = [*request.checkpoints] or [None]
    opened = [open_encoder(path, config, options_of(request), untrained=request.untrained) for path in paths]
    if request.series and all("epoch" in one.about for one in opened):
        opened = [one for _, one in sorted(enumerate(opened), key=lambda pair: (pair[1].about["epoch"], pair[0]))]
    elif request.series and paths[0] is not None:
        opened = [replace(one, title=path.stem) for one, path in zip(opened, paths, strict=True) if path is not None]
    if request.against is not None:
        opened.append(open_encoder(request.against, config, options_of(request, against=True)))
    if len({one.title for one in opened}) < len(opened):
        where = [*paths, *([request.against] if request.against else [])]
        opened = [replace(one, title=f"{path.parent.name}/{path.name}") if path else one for one, path in zip(opened, where, strict=True)]
    return tuple(opened)


def _explain_set_items(config: Config, splits: Callable[[], Splits] | None) -> tuple[str, ...]:
    """The run's explicands, where nobody names pictures."""
    if splits is None:
        raise ConfigError("--input: which pictures? An encoder of another origin comes without any")
    return ("val:" + ",".join(map(str, build_explain_set(config, splits()).ids.tolist())),)


def _removal(config: Config, chosen: Chosen) -> Removal:
    """A removal; one that draws from images is given some of the foil."""
    kind, foil = REMOVALS.load(config.explain.removal), chosen.foil
    wants_pool = "pool" in kind.__init__.__code__.co_varnames
    if not wants_pool:
        return load_removal(config.explain.removal)
    if foil is None or foil.source is None:
        raise ConfigError(f"explain.removal={config.explain.removal}: draws from the foil's pictures, and there are none")
    return load_removal(config.explain.removal, pool=foil.source.load(foil.ids[:_POOL]))


def _device(config: Config) -> torch.device:
    """Where this process encodes."""
    kind = device_type(config)
    local = next((os.environ[name] for name in ("LOCAL_RANK", "SLURM_LOCALID") if name in os.environ), "0")
    return torch.device(kind, int(local)) if kind == "cuda" else torch.device(kind)


def _fingerprint(request: Request, question: Question) -> str:
    """Of all that decides an answer: parts of another question are never taken for this one's."""
    config = question.config
    own = to_dict(config)["explain"]
    told: list[Any] = [
        [encoder.fingerprint or [encoder.about, time.time()] for encoder in question.encoders], own, config.run.seed, request.quantile,
        question.image_size, [(spec.name, spec.kind, spec.items, spec.num, spec.key) for spec in request.corpora],
        None if request.foil is None else (request.foil.kind, request.foil.items),
        [_stamp(question.inputs, i) for i in range(len(question.inputs))],
    ]  # fmt: skip
    for target in question.chosen.targets:
        for pick in (target.corpus, target.foil):
            if pick is not None and isinstance(pick.source, PictureSource):
                source = pick.source
                told.append([_stamp(source, i) for i in pick.ids])
            elif pick is not None:
                told.append(pick.ids)
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _stamp(source: PictureSource, index: int) -> tuple[str, int, int]:
    """A picture's file, size and time of change; content would take reading them all."""
    name = source.file(index)
    try:
        found = os.stat(name)
    except OSError:  # an image of a data set
        return name, 0, 0
    return name, found.st_size, found.st_mtime_ns
