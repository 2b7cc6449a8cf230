"""A localisation study as a story: open the encoder, draw the cases, measure, write tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
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
    config_of_run,
    device_type,
    open_encoder,
)
from cocoa_pl.config import Config, load_config
from cocoa_pl.data.annotations import AnnotatedPictures, AnnotatedTable, read_table
from cocoa_pl.data.source import Source
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import ConfigError, some
from cocoa_pl.files import require_folder, write_bytes, write_png
from cocoa_pl.localise.cases import Cases, draw_cases
from cocoa_pl.localise.command import LocaliseRequest
from cocoa_pl.localise.measuring import Results, localise
from cocoa_pl.localise.pictures import sheet
from cocoa_pl.localise.tables import by_case, markdown
from cocoa_pl.models.sources import is_ours
from cocoa_pl.rng import derive_seed, generator
from cocoa_pl.texts.hygiene import notice

_LARGE = 64  # side in pixels above which RISE takes more cells
_LARGE_GRID = 7
_SHOWN = 12  # words in a sentence


@dataclass(frozen=True)
class _Subject:
    """What is studied.

    Attributes:
        title: of the encoder.
        config: what the maps are made with.
        encoder: that is asked.
        untrained: the same before training, where that is known.
        source: of the pictures.
        typical: pictures that have nothing to do with them; None: those of the study are each other's.
        notes: whole sentences: what was decided here.
    """

    title: str
    config: Config
    encoder: FrozenEncoder
    untrained: FrozenEncoder | None
    source: Source
    typical: Source | None
    notes: tuple[str, ...] = ()


def study(request: LocaliseRequest) -> Results:
    """Do it, and write ``localisation.md``, ``localisation.csv`` and a sheet of pictures for each method.

    Raises:
        CocoaError: encoder, pictures or texts cannot be used; nothing was written.
    """
    keep_freed_memory()
    subject = _opened(request)
    config, text = subject.config, subject.encoder.text
    assert text is not None
    cases = draw_cases(subject.source, num=request.num, seed=derive_seed(config.run.seed, "localise"))
    typical = None if subject.typical is None else _typical(subject.typical, config)
    folder = require_folder(request.out)
    explain = config.explain
    passes = 1 if subject.untrained is None else 2
    bar = tqdm(total=passes * len(cases), unit="picture", desc="localise", leave=False, disable=not config.trainer.progress_bar)

    def advance(done: int) -> None:
        bar.update(done - bar.n)

    with bar:
        results = localise(
            subject.encoder, cases, typical=typical, attributions={name: build_attribution(config, name) for name in explain.attributions},
            removal=build_removal_of(config, cases.images if typical is None else typical), untrained=subject.untrained,
            seed=derive_seed(config.run.seed, "explain"), chunk_size=explain.chunk_size, num_shown=request.num_shown, progress=advance,
        )  # fmt: skip
    facts = (*_facts(cases, config, typical), *subject.notes, *cases.notes, *_unknown(text.unknown(cases.vocabulary)))
    _write(folder, results, cases, config, title=subject.title, facts=facts)
    return results


def _facts(cases: Cases, config: Config, typical: Tensor | None) -> tuple[str, ...]:
    explain = config.explain
    others = f"{len(typical)} pictures" if typical is not None else "the other pictures"
    settings = {
        "rise": f"RISE: {explain.num_masks} masks of {explain.grid_size} cells a side",
        "integrated_gradients": f"integrated gradients: {explain.num_steps} steps",
        "layer_integrated_gradients": f"layer integrated gradients: {explain.num_steps} steps",
        "gradient_shap": f"GradientSHAP: {explain.num_samples} draws",
    }
    contrasted = "" if typical is None and len(cases) == 1 else f" The label-free targets are contrasted with {others}."
    used = [settings.get(name, name.replace("_", " ")) for name in explain.attributions]
    return (
        f"{len(cases)} pictures, in each of which one object is named; foil: the {len(cases.vocabulary)} texts of the data.{contrasted} "
        "Means with 95 % intervals over pictures: Wilson's for shares, Student's for other values; of "
        "differences of shares the bootstrap's.",
        f"{'; '.join([*used, f'removal: {explain.removal}', f'seed {config.run.seed}'])}.",
    )


def _unknown(words: Sequence[str]) -> tuple[str, ...]:
    return (f"Words that the text encoder does not know, all one to it: {some(words, most=_SHOWN)}.",) if words else ()


def _write(folder: Path, results: Results, cases: Cases, config: Config, *, title: str, facts: Sequence[str]) -> None:
    page = markdown(results, title=f"Localisation by {title}", facts=facts)
    write_bytes(folder / "localisation.md", page.encode())
    write_bytes(folder / "localisation.csv", by_case(results, cases).encode())
    drawn = any(len(maps) for maps in results.maps.values())
    if drawn:
        for method in config.explain.attributions:
            write_png(folder / f"{method}.png", sheet(results, cases, method=method))
    print(f"{page}\n{folder}: localisation.md, localisation.csv{', and a sheet of pictures for each method' if drawn else ''}", flush=True)


def _opened(request: LocaliseRequest) -> _Subject:
    """Everything that a request names: first what can be wrong without an encoder."""
    table = None
    if request.annotations is not None:
        table = read_table(request.annotations, foil=request.foil_text, template=request.template)
    path = request.checkpoint
    ours = path is not None and request.encoder is None and is_ours(path)
    if table is None and not ours:
        raise ConfigError("--annotations: an encoder of another origin comes without pictures; give a table of them")
    config = config_of_run(path if ours else None, request.overrides)
    options = EncoderOptions(request.encoder, request.trust_pickle, request.image_size, request.mean, request.std)
    opened = open_encoder(path, config, options)
    if opened.text is None:
        raise ConfigError(
            f"{path or request.encoder}: has no text side; open_clip:..., transformers:..., a function that returns a pair and a run of "
            "model.method=image_text with explain.space=projections have one"
        )
    device = torch.device(device_type(config))
    untrained = open_encoder(path, config, options, untrained=True).on(device) if ours else None
    splits = build_splits(config) if ours else None
    notes = (*opened.notes, *(() if table is None else _left_out(table)))
    asked = {text.partition("=")[0] for text in request.overrides}
    if not ours and "rise" in config.explain.attributions and "explain.grid_size" not in asked and opened.image_size > _LARGE:
        config = load_config(overrides=[*request.overrides, f"explain.grid_size={_LARGE_GRID}"])
        notes += (f"RISE has {_LARGE_GRID} cells a side because pictures are {opened.image_size} px; explain.grid_size says otherwise.",)
    title = f"{config.run.name}, {opened.title}" if ours else opened.title
    pictures = None if table is None else AnnotatedPictures(table, image_size=opened.image_size)
    source, typical = (pictures, None) if splits is None else (splits.val if pictures is None else pictures, splits.train)
    assert source is not None
    return _Subject(title, config, opened.on(device), untrained, source, typical, notes)


def _left_out(table: AnnotatedTable) -> tuple[str, ...]:
    told = notice(table.removed)
    return (f"{told[0].upper()}{told[1:]}.",) if told else ()


def _typical(source: Source, config: Config) -> Tensor:
    order = torch.randperm(len(source), generator=generator(config.run.seed, "typical"))
    return source.load(order[: config.explain.foil_size].tolist())
