"""Look again at a run's explain set: at one checkpoint, at all of a run, at one against another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cocoa_pl.asking.quality import Qualities, target_quality
from cocoa_pl.build import (
    build_explain_set,
    build_monitor,
    build_predictor,
    build_reference,
    build_splits,
    freeze,
    open_encoder,
    restore_module,
)
from cocoa_pl.build.encoders import file_digest
from cocoa_pl.callbacks.working import in_team
from cocoa_pl.cli import Request
from cocoa_pl.config import Config, load_config, to_dict
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.monitor import Look, Monitor, Reading, read
from cocoa_pl.report.findings import Findings, Frame
from cocoa_pl.report.looks import findings_of_looks
from cocoa_pl.runs.opening import distinct_titles, options_of
from cocoa_pl.sharing import Team

_NO_PART_OF_MAPS = (
    "num_strips", "num_gallery", "every_n_epochs", "budget_share", "reference", "region", "num_pairs", "pair_targets", "curve_steps",
)  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """The findings, and the readings behind them."""

    findings: Findings
    readings: tuple[Reading, ...]


def look(request: Request) -> Looked:
    """Explain the run's explain set under every checkpoint asked for.

    With unchanged options the scalars of a checkpoint are exactly those that training logged, on the same hardware.

    Raises:
        CocoaError: a checkpoint or the run's data cannot be used.
    """
    trainer = build_predictor(load_config(overrides=request.overrides), [])  # the run's may have been another machine
    return in_team(trainer, lambda team, device: _look_at_all(request, team, device))


def _look_at_all(request: Request, team: Team, device: torch.device) -> Looked:
    paths = list(request.checkpoints)
    heads = _one_run(paths)
    paths = sorted(heads, key=lambda path: heads[path][0]) if request.series else paths[:1]
    config = load_config(heads[paths[-1]][1], overrides=request.overrides)
    splits = build_splits(config)
    given = build_explain_set(config, splits)
    monitor = build_monitor(config, given)
    readings, frames, qualities, notes = list[Reading](), list[Frame](), list[Qualities](), list[str]()
    plans = [(path, request.untrained) for path in paths]
    if request.series:
        plans.insert(0, (paths[0], True))
    start: Look | None = None
    for path, untrained in plans:
        before = readings[-1].look if readings else None
        one = _look(path, config, monitor, before, start, untrained=untrained, device=device, team=team)
        readings.append(one.reading)
        frames.append(one.frame)
        qualities.append(one.quality)
        start = one.reading.look if untrained and request.series else start
    if request.against is not None:
        other = open_encoder(request.against, config, options_of(request, against=True))
        if other.image_size != splits.image_size:
            raise ConfigError(f"--against {request.against}: sees images of {other.image_size} px, the run's are {splits.image_size} px")
        encoder = other.on(device)
        if monitor.texts and encoder.text is None:
            raise ConfigError(f"--against {request.against}: has no text side, and the run explains likeness to texts")
        seen = monitor.look(encoder, previous=readings[-1].look, num_masks=readings[-1].look.num_masks, team=team)
        reading = read(given, seen, previous=readings[-1].look)
        readings.append(reading)
        frames.append(Frame(other.title, other.about, reading.scalars))
        notes += other.notes
        qualities.append(target_quality(given, encoder))
        titles = distinct_titles([frame.title for frame in frames], [paths[0], request.against])
        frames = [replace(frame, title=title) for frame, title in zip(frames, titles, strict=True)]
    names = ", ".join(frame.title for frame in frames) if len(frames) < 4 else f"{len(frames)} checkpoints of {paths[0].parent.name}"
    findings = findings_of_looks(
        readings, frames, qualities, title=f"What {config.run.name} looks at: {names}", facts=[*_facts(monitor), *notes],
        settings={"config": to_dict(config), "seed": config.run.seed},
    )  # fmt: skip
    return Looked(findings, tuple(readings))


@dataclass(frozen=True)
class _Look:
    reading: Reading
    frame: Frame
    quality: Qualities


def _look(
    path: Path, config: Config, monitor: Monitor, before: Look | None, start: Look | None, *, untrained: bool, device: torch.device,
    team: Team,
) -> _Look:  # fmt: skip
    """One checkpoint, beside the looks that it holds and the one before it in this report."""
    checkpoint, given, asked_reference = read_checkpoint(path), monitor.explain_set, config.explain.reference
    module = restore_module(checkpoint, config, path=path, untrained=untrained)
    earlier = _earlier_looks(checkpoint, monitor.traces, given, now=to_dict(config))
    now = earlier.get("start") if untrained else earlier.pop("current", None)
    if untrained:
        earlier = {}
    num_masks = None if now is None else now.num_masks
    encoder = freeze(module, config, device=device)
    seen = monitor.look(encoder, previous=earlier.get("previous", before), num_masks=num_masks, team=team)
    if asked_reference != load_config(checkpoint["cocoa_pl"]["config"]).explain.reference:
        earlier.pop("reference", None)
    if asked_reference is not None and "reference" not in earlier:
        earlier["reference"] = monitor.look(build_reference(config, Path(asked_reference))(device), num_masks=num_masks, team=team)
    shown: dict[str, Look | None] = {"previous": before, "start": start} if before is not None else {**earlier}
    reading = read(given, seen, **shown)
    scalars = read(given, seen, **earlier).scalars if before is not None and earlier else reading.scalars
    epoch = 0 if untrained else checkpoint["epoch"] + 1
    about = {
        "name": f"{config.model.backbone} of train.py", "file": path.name, "sha256": file_digest(path), "epoch": epoch,
        "untrained": untrained,
    }  # fmt: skip
    title = f"epoch {epoch}" if epoch else "untrained"
    return _Look(reading, Frame(title, about, scalars), target_quality(given, encoder))


def _one_run(paths: Sequence[Path]) -> dict[Path, tuple[int, dict[str, Any]]]:
    """Checkpoints of one run to step and config; of several at one step the first.

    Raises:
        CheckpointError: one is damaged, not ours, or of another run.
    """
    heads: dict[Path, tuple[int, dict[str, Any]]] = {}
    for path in paths:
        checkpoint = read_checkpoint(path)
        step, config = int(checkpoint["global_step"]), checkpoint["cocoa_pl"]["config"]
        first = next(iter(heads.values()), (0, config))[1]
        for section in ("data", "model", "explain"):
            if config.get(section) != first.get(section):
                raise CheckpointError(f"{path}: is of another run than {next(iter(heads))}: its {section} options differ")
        if step not in {known for known, _ in heads.values()}:
            heads[path] = step, config
    return heads


def _facts(monitor: Monitor) -> list[str]:
    given = monitor.explain_set
    likes = [*([] if given.labels is None else ["its class"]), *(["its text"] if monitor.texts else [])]
    facts = [
        f"What makes an image like itself and like {' and '.join(likes)}, and not like any image?"
        if likes
        else "What makes the views of an image like the image itself, and not like any image?",
        f"{given.num_images} validation images under {len(given.views)} views: what makes each view like the original image, beyond its "
        f"likeness to {len(given.foil)} random training images (the foil).",
    ]
    if given.labels is not None:
        facts.append(f"Towards the class: likeness to {given.corpora.shape[1]} training images of the image's own class, beyond the foil.")
    if monitor.texts:
        facts.append(
            f"Towards its text: likeness to a text that names the object of the mask, such as “{given.phrases[0]}”, beyond that to "
            f"{len(given.text_foil)} texts that the data knows; insertion and deletion are measured with {len(given.measure_text_foil)} "
            "others."
        )
    measured = f"Insertion and deletion are measured with {len(given.measure_foil)} other foil images"
    return [*facts, f"{measured}{'' if given.labels is None else f' and {given.measure_corpora.shape[1]} others of the class'}."]


def _earlier_looks(checkpoint: dict[str, Any], traces: Sequence[str], given: ExplainSet, *, now: dict[str, Any]) -> dict[str, Look]:
    """The looks that drift is measured against, where the checkpoint holds them and they show the same explicands.

    Where the checkpoint's own epoch was explained, that look is among them as ``current``: it tells how many masks were taken.
    """
    states = [state for state in checkpoint.get("callbacks", {}).values() if isinstance(state, dict) and "looks" in state]
    if not states or states[0]["ids"] != given.ids.tolist():
        return {}
    before = to_dict(load_config(checkpoint["cocoa_pl"]["config"]))
    looks = {name: Look.unpack(packed) for name, packed in states[0]["looks"].items()}
    shape = tuple(given.explicands.shape)
    same = [all(t in look.attributions and len(look.attributions[t]) == shape[0] for t in traces) for look in looks.values()]
    if not all(same) or any(before["explain"].get(key) != value for key, value in now["explain"].items() if key not in _NO_PART_OF_MAPS):
        return {}  # other masks or steps: what differs would be their noise, not the encoder
    explained = states[0]["epochs"][-1] == checkpoint["epoch"] + 1
    if explained:
        return looks
    return {
        name: looks[stored] for name, stored in (("start", "start"), ("previous", "current"), ("reference", "reference")) if stored in looks
    }
