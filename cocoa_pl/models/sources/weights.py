"""Weights put into the architecture that they are for, named or guessed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from cocoa_pl.errors import CheckpointError, ConfigError
from cocoa_pl.models.sources.architectures import Architecture
from cocoa_pl.models.sources.hints import SoloLearn, solo_learn
from cocoa_pl.models.sources.matching import Fit, fits
from cocoa_pl.models.sources.opened import Opened, Wishes, as_opened, fingerprint, one_line
from cocoa_pl.models.sources.probing import check_runs
from cocoa_pl.models.sources.readers import Content
from cocoa_pl.models.sources.reports import misfit, notes
from cocoa_pl.models.sources.timm_models import TimmNetwork
from cocoa_pl.models.sources.torchvision_models import GUESSED, TorchvisionNetwork


def open_weights(content: Content, path: Path, architecture: Architecture | None, wishes: Wishes) -> Opened:
    """The encoder whose weights a file holds.

    Args:
        content: of the file.
        path: of the file.
        architecture: None to guess among the common ones.
        wishes: of the command line.

    Raises:
        CheckpointError: the weights are not those of the architecture, or of none or of several that are known.
    """
    of_lightning = any(name.startswith("state_dict.") for name in content.tensors)
    run = solo_learn(content.hyper_parameters, path if of_lightning else None)
    network, best, remarks = fill(content, path, [architecture] if architecture else _candidates(run), run)
    known = best.architecture
    own = known.preparation(best.variant)
    preparation = wishes.over(run.over(own) if run else own)
    check_runs(network, what=f"{path}: {known.title}", preparation=preparation)
    guessed = () if architecture else (f"the architecture was guessed from the weights: --encoder {known.option}",)
    mark = fingerprint(f"{known.option} {best.variant} {network!r}", network.state_dict())
    return as_opened(network, preparation, name=known.title, mark=mark, notes=(*content.notes, *guessed, *remarks))


def fill(
    content: Content, path: Path, candidates: Sequence[Architecture], run: SoloLearn | None = None
) -> tuple[nn.Module, Fit, tuple[str, ...]]:
    """A network with all its weights from a file: how they were found, and notes on it.

    Raises:
        CheckpointError: the weights fit no candidate, or several.
    """
    shapes = {name: tensor.shape for name, tensor in content.tensors.items()}
    if not shapes:
        raise CheckpointError(f"{path}: holds no weights, not a checkpoint of an encoder")
    padding = run.padding if run else 1
    found = [fit for candidate in candidates for fit in fits(candidate, shapes, padding=padding)]
    complete = sorted((fit for fit in found if fit.complete), key=Fit.worth)
    if not complete:
        raise CheckpointError(f"{path}: {_refusal(candidates, found, shapes)}")
    best = complete[0]
    rivals = {fit.architecture.option for fit in complete if fit.averaged == best.averaged} - {best.architecture.option}
    if rivals:
        raise CheckpointError(
            f"{path}: holds several encoders; choose: --encoder {' or '.join([best.architecture.option, *sorted(rivals)])}"
        )
    try:
        network = _filled(best, {name: content.tensors[in_file] for name, in_file in best.names.items()})
    except RuntimeError as error:
        raise CheckpointError(f"{path}: weights cannot be copied into {best.architecture.title} ({one_line(error)})") from error
    remarks = tuple(notes(best, complete, shapes, network))
    return network, best, (*((run.note(),) if run else ()), *remarks)


def _filled(fit: Fit, weights: dict[str, Tensor]) -> nn.Module:
    """The network with these weights; it is not initialised at random first, unless its constructor makes more than weights."""
    counters = {name: torch.zeros((), dtype=torch.long) for name in fit.architecture.shapes(fit.variant) if name not in weights}
    state = {name: (value.float() if value.is_floating_point() else value).contiguous() for name, value in weights.items()} | counters
    network = fit.architecture.build_empty(fit.variant)
    if network is not None:
        network.load_state_dict(state, assign=True)
    else:
        with torch.random.fork_rng(devices=[]):
            network = fit.architecture.build(fit.variant)
        network.load_state_dict(state)
    return network.float().eval()


def _candidates(run: SoloLearn | None) -> list[Architecture]:
    candidates: list[Architecture] = [TorchvisionNetwork(name) for name in GUESSED]
    if run is not None and run.timm is not None:
        try:
            candidates.append(TimmNetwork(*run.timm))
        except ConfigError:  # no timm here, or a size it has not: then it is no candidate
            return candidates
    return candidates


def _refusal(candidates: Sequence[Architecture], found: Sequence[Fit], shapes: dict[str, torch.Size]) -> str:
    best = min(found, key=Fit.worth, default=None)
    if len(candidates) > 1:
        nearest = "" if best is None else f"; nearest is {best.architecture.option}: {misfit(best.architecture.title, best, shapes)}"
        return (
            f"holds no encoder that is recognised ({len(shapes)} tensors, the first {next(iter(shapes))!r}); "
            f"name it: --encoder torchvision:NAME, timm:NAME or package.module:function{nearest}"
        )
    words = misfit(candidates[0].title, best, shapes)
    others = (TorchvisionNetwork(name) for name in GUESSED)
    right = next((other.option for other in others if other != candidates[0] and any(fit.complete for fit in fits(other, shapes))), None)
    return f"{words}; did you mean --encoder {right}?" if right else words
