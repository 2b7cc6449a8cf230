"""Put a question to encoders: the user's pictures, the user's corpora, one answer for each picture and encoder."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from cocoa_pl.asking.answering import Answering
from cocoa_pl.asking.cache import RepsCache
from cocoa_pl.asking.choosing import Chosen
from cocoa_pl.asking.encoding import Encoded, encode_question
from cocoa_pl.asking.parts import Parts
from cocoa_pl.build import build_attribution, build_predictor, device_type
from cocoa_pl.build.encoders import AskedEncoder, length_of
from cocoa_pl.callbacks.predicting import Asking, Blocks, WriteParts, predict
from cocoa_pl.cli import Request
from cocoa_pl.config import Config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError
from cocoa_pl.explainer import load_removal
from cocoa_pl.registry import REMOVALS
from cocoa_pl.report.findings import Findings
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs.fingerprint import fingerprint
from cocoa_pl.runs.placing import is_first
from cocoa_pl.runs.telling import tell
from cocoa_pl.runs.understanding import Question
from cocoa_pl.types import Removal

_POOL = 64  # pictures from which removals may draw


def answer(request: Request, question: Question, folder: Path) -> Findings | None:
    """Do the work that is not done yet; findings on the first process, None on others.

    Args:
        request: where representations are cached, how long it may take, where masks are cut.
        question: what is asked.
        folder: of the report; parts of the answer are kept there until it is whole.

    Raises:
        CocoaError: an encoder cannot take the pictures; a picture cannot be read. What is done is kept.
    """
    parts, num_frames = Parts(folder / ".parts", fingerprint(request, question)), len(question.encoders)
    damaged = [parts.damaged(frame) for frame in range(num_frames)]  # by every process for itself: all must have the same work left
    done = [parts.finished(frame) - damaged[frame] for frame in range(num_frames)]  # now, before another goes on with the next encoder
    first = is_first()
    if first:
        parts.drop_others()
        parts.drop(damaged)
        for notice in question.chosen.texts.notices:
            print(notice, flush=True)
    if any(done) and first:
        print(f"{sum(map(len, done))} of {num_frames * question.num_blocks} blocks of pictures were done before; going on", flush=True)
    until = None if request.budget is None else time.time() + request.budget
    encoded = list[Encoded]()
    for frame, opened in enumerate(question.encoders):
        device = _device(question.config)
        encoder = opened.on(device)
        encoded.append(_encode(request, question, opened, encoder, device))
        for notice in encoded[-1].notices if is_first() else ():
            print(f"{opened.title}: {notice}" if num_frames > 1 else notice, flush=True)
        todo = sorted(set(range(question.num_blocks)) - done[frame])
        deadline = None if until is None else time.time() + (until - time.time()) / (num_frames - frame)  # to each an equal share
        if todo:
            answering = _answering(request, question, encoder, encoded[-1])
            first = _predict(question, answering, parts, todo, frame=frame, deadline=deadline)
    return tell(request, question, parts, encoded) if first else None


def _encode(request: Request, question: Question, opened: AskedEncoder, encoder: FrozenEncoder, device: torch.device) -> Encoded:
    cached, config = RepsCache(request.cache), question.config
    return encode_question(
        question.chosen,
        lambda source, ids: cached.encode(
            encoder, source, ids, fingerprint=opened.fingerprint, chunk_size=config.explain.chunk_size
        ),
        dim=length_of(encoder, image_size=question.image_size), seed=derive_seed(config.run.seed, "ask"), device=device,
        text=encoder.text,
    )  # fmt: skip


def _answering(request: Request, question: Question, encoder: FrozenEncoder, encoded: Encoded) -> Answering:
    explain = question.config.explain
    return Answering(
        encoder, encoded.asked, {name: build_attribution(question.config, name) for name in explain.attributions},
        _removal(question.config, question.chosen), question.views, seed=derive_seed(question.config.run.seed, "explain"),
        chunk_size=explain.chunk_size, curve_steps=explain.curve_steps, quantile=request.quantile, keep_draws=len(question.encoders) > 1,
    )  # fmt: skip


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
    blocks = Blocks(question.inputs, todo, size=question.block_size, deadline=deadline)
    predict(trainer, Asking(answering, blocks, skip_unreadable=config.data.on_bad_image == "skip"))
    return trainer.is_global_zero


def _removal(config: Config, chosen: Chosen) -> Removal:
    """A removal; one that draws from images is given some of the foil."""
    kind, foil = REMOVALS.load(config.explain.removal), chosen.foil
    if "pool" not in kind.__init__.__code__.co_varnames:
        return load_removal(config.explain.removal)
    if foil is None or foil.source is None:
        raise ConfigError(f"explain.removal={config.explain.removal}: draws from the foil's pictures, and there are none")
    return load_removal(config.explain.removal, pool=foil.source.load(foil.ids[:_POOL]))


def _device(config: Config) -> torch.device:
    """Where this process encodes."""
    kind = device_type(config)
    local = next((os.environ[name] for name in ("LOCAL_RANK", "SLURM_LOCALID") if name in os.environ), "0")
    return torch.device(kind, int(local)) if kind == "cuda" else torch.device(kind)
