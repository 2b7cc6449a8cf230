"""A localisation study as a story: open the encoder, draw the cases, measure, write tables and pictures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from tqdm.auto import tqdm

from cocoa_pl.allocator import keep_freed_memory
from cocoa_pl.build import (
    EncoderOptions,
    build_attribution,
    build_removal_of,
    build_splits,
    device_type,
    freeze,
    open_encoder,
    restore_module,
)
from cocoa_pl.config import Config, load_config
from cocoa_pl.data.annotations import read_annotations
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.files import require_folder, write_bytes, write_png
from cocoa_pl.localise.cases import Cases, draw_cases
from cocoa_pl.localise.command import LocaliseRequest
from cocoa_pl.localise.measuring import Results, localise
from cocoa_pl.localise.pictures import sheet
from cocoa_pl.localise.tables import by_case, markdown
from cocoa_pl.models.checkpoint import read_checkpoint
from cocoa_pl.models.sources import is_ours
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.texts.specs import parse_text_foil
from cocoa_pl.texts.templates import fill

_LARGE = 64  # side in pixels above which RISE takes more cells


@dataclass(frozen=True)
class _Subject:
    """What is studied."""

    title: str
    encoder: FrozenEncoder
    untrained: FrozenEncoder | None
    source: Source
    typical: Source


def study(request: LocaliseRequest) -> Results:
    """Do it, and write ``localisation.md``, ``localisation.csv`` and a sheet of pictures for each method.

    Raises:
        CocoaError: encoder, pictures or texts cannot be used; nothing was written.
    """
    keep_freed_memory()
    config, open_subject = _understood(request)
    subject = open_subject()
    if subject.encoder.text is None:
        raise ConfigError(f"{subject.title}: has no text side; open_clip:..., transformers:... and train.py's image_text have one")
    cases = draw_cases(subject.source, num=request.num, seed=derive_seed(config.run.seed, "localise"))
    typical = _typical(subject.typical, config)
    folder = require_folder(request.out)
    explain = config.explain
    bar = tqdm(total=len(cases), unit="picture", desc="localise", leave=False, disable=not config.trainer.progress_bar)

    def advance(done: int) -> None:
        bar.update(done - bar.n)

    with bar:
        results = localise(
            subject.encoder, cases, typical=typical, attributions={name: build_attribution(config, name) for name in explain.attributions},
            removal=build_removal_of(config, typical), untrained=subject.untrained, seed=derive_seed(config.run.seed, "explain"),
            chunk_size=explain.chunk_size, num_shown=request.num_shown, progress=advance,
        )  # fmt: skip
    _write(folder, results, cases, config, title=subject.title, num_typical=len(typical))
    return results


def _write(folder: Path, results: Results, cases: Cases, config: Config, *, title: str, num_typical: int) -> None:
    explain = config.explain
    facts = [
        f"{len(cases)} pictures, in each of which one object is named; foil: the {len(cases.vocabulary)} texts of the data. The label-free "
        f"targets are contrasted with {num_typical} pictures. Means with 95 % intervals over pictures.",
        f"RISE: {explain.num_masks} masks of {explain.grid_size} cells; integrated gradients: {explain.num_steps} steps; GradientSHAP: "
        f"{explain.num_samples} draws; removal: {explain.removal}; seed {config.run.seed}.",
    ]
    page = markdown(results, title=f"Localisation by {title}", facts=facts)
    write_bytes(folder / "localisation.md", page.encode())
    write_bytes(folder / "localisation.csv", by_case(results, cases).encode())
    if any(len(maps) for maps in results.maps.values()):
        for method in explain.attributions:
            write_png(folder / f"{method}.png", sheet(results, cases, method=method))
    print(f"{page}\n{folder}: localisation.md, localisation.csv, and a sheet of pictures for each method", flush=True)


def _understood(request: LocaliseRequest) -> tuple[Config, Callable[[], _Subject]]:
    path = request.checkpoint
    if path is not None and request.encoder is None and is_ours(path):
        return _of_run(request, path)
    if request.annotations is None:
        raise ConfigError("--annotations: an encoder of another origin comes without pictures; give a table of them")
    config = load_config(overrides=request.overrides)
    return config, lambda: _foreign(request, config)


def _of_run(request: LocaliseRequest, path: Path) -> tuple[Config, Callable[[], _Subject]]:
    checkpoint = read_checkpoint(path)
    stored = {name: section for name, section in checkpoint["cocoa_pl"]["config"].items() if name != "trainer"}
    config = load_config(stored, overrides=request.overrides)
    if config.model.method != "image_text" or config.explain.space != "projections":
        raise CheckpointError(f"{path}: has no text side; a run of model.method=image_text with explain.space=projections has one")

    def subject() -> _Subject:
        device = torch.device(device_type(config))
        trained, before = (
            freeze(restore_module(checkpoint, config, path=path, untrained=untrained), config, device=device) for untrained in (False, True)
        )
        splits = build_splits(config)
        source = splits.val if request.annotations is None else _annotated(request, splits.image_size)
        return _Subject(f"{config.run.name}, epoch {checkpoint['epoch'] + 1}", trained, before, source, splits.train)

    return config, subject


def _foreign(request: LocaliseRequest, config: Config) -> _Subject:
    opened = open_encoder(request.checkpoint, config, EncoderOptions(request.encoder, request.trust_pickle))
    if "explain.grid_size" not in {text.partition("=")[0] for text in request.overrides} and opened.image_size > _LARGE:
        config.explain.grid_size = 7
    source = _annotated(request, opened.image_size)
    return _Subject(opened.title, opened.on(torch.device(device_type(config))), None, source, source)


def _annotated(request: LocaliseRequest, image_size: int) -> Source:
    assert request.annotations is not None
    more: tuple[str, ...] = ()
    if request.foil_text:
        foil = parse_text_foil(request.foil_text)
        more = (*(name if request.template is None else fill(request.template, name) for name in foil.concepts), *foil.sentences)
    return read_annotations(request.annotations, image_size=image_size, more=more, template=request.template)


def _typical(source: Source, config: Config) -> Tensor:
    order = torch.randperm(len(source), generator=generator(config.run.seed, "typical"))
    return source.load(order[: config.explain.foil_size].tolist())
