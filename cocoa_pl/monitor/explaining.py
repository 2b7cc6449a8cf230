"""Maps of a share of the rows with all that tells their noise and their change, from as few passes as the methods allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cocoa_pl.attributions.shared import share_out
from cocoa_pl.explainer import Explainer
from cocoa_pl.explanation import Explanation
from cocoa_pl.metrics.agreement import spearman
from cocoa_pl.monitor.budget import Stopwatch
from cocoa_pl.monitor.noise import NUM_CONTRASTS, across, spread, squared_length
from cocoa_pl.monitor.references import Directed, towards
from cocoa_pl.registry import CONTROLS
from cocoa_pl.rng import derive_seed
from cocoa_pl.sharing import ALONE, Team
from cocoa_pl.streaming import baseline_of
from cocoa_pl.targets import stack
from cocoa_pl.types import Attribution, Baseline, Rows, Target

_OF_ORIGINALS = ("fixed", "hidden", "absent_agreement")  # rows that only original views have


@dataclass(frozen=True)
class Explained:
    """Maps of this process's rows, and what is known of them."""

    rows: Rows
    baseline: Baseline
    num_samples: dict[str, int]
    dims: dict[str, float]

    def of(self, places: Tensor, *, plain: Tensor) -> Explained:
        """Of the rows at some places alone; ``plain`` are the places of original views, which some are of."""
        rows = {
            name: values[
                torch.isin(plain, places).to(values.device) if name.partition("/")[0] in _OF_ORIGINALS else places.to(values.device)
            ]
            for name, values in self.rows.items()
        }
        return Explained(rows, baseline_of(self.baseline, places), self.num_samples, self.dims)


def explain_with_noise(
    explainer: Explainer, images: Tensor, *, rows: Tensor, originals: Tensor, num_originals: int, reference: Directed,
    previous: Mapping[str, Tensor], seed: int, stopwatch: Stopwatch, team: Team = ALONE, absent: Mapping[str, Tensor] | None = None,
) -> Explained:  # fmt: skip
    """Explain rows towards their directions, their contrasts and the directions of the look before.

    A method that masks answers all three from the same passes. One with a sketch, integrated gradients, pays for each target: its contrasts
    are sketched, and the directions of the look before, and those of what is absent, are asked about for the original views alone. A
    control knows of no score and gets none of them.

    Args:
        explainer: with the methods.
        images: (N, 3, H, W), the rows' images.
        rows: (N,), positions in the explain set.
        originals: (N,), the original that each row is a view of.
        num_originals: E; rows below are original views.
        reference: of the encoder.
        previous: suffix to directions (E, D); empty in a first look.
        seed: of masks and contrasts.
        stopwatch: told how long masking took.
        team: who explains these rows together, each process some of the masks or steps; by default this process alone.
        absent: suffix to directions (E, D) that should give another map than the suffix's own; how far the two agree is found.
            Under any other name: directions whose maps are wanted as they are, ``hidden/<method>/<name>``.
    """
    directions = reference.directions()
    suffixes, masks = list(directions), derive_seed(seed, "masks")
    main: Target = towards(directions, originals)
    contrasts = reference.contrasts(rows, originals, seed=seed)
    earlier = {suffix: each.to(images.device) for suffix, each in previous.items()}
    others = dict(absent or {})
    plain = (rows < num_originals).nonzero()[:, 0]
    methods = explainer.attributions
    controls = {name: method for name, method in methods.items() if name in CONTROLS}
    sketched = {name: method for name, method in methods.items() if hasattr(method, "sketch")}
    masking = {name: method for name, method in methods.items() if name not in controls and name not in sketched}

    def run(chosen: Mapping[str, Attribution], target: Target, some: Tensor | None = None) -> Explanation:
        own = Explainer(explainer.encoder, attributions=share_out(chosen, team), removal=explainer.removal, chunk_size=explainer.chunk_size)
        return own.explain(images if some is None else images[some], target, seed=masks)

    made, contrasted, fixed, hidden = dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor](), dict[str, Tensor]()
    first = run({**sketched, **controls}, main)
    known: list[Explanation] = [first]
    made |= first.attributions
    if sketched:
        sketches: dict[str, Attribution] = {name: _sketch(method) for name, method in sketched.items()}
        contrasted |= run(sketches, contrasts).attributions
        if earlier and len(plain):
            fixed |= run(sketched, towards(earlier, originals[plain]), plain).attributions
        if others and len(plain):
            hidden |= run(sketched, towards(others, originals[plain]), plain).attributions
    if masking:
        with stopwatch.masking(images.device):
            whole = run(masking, stack([main, contrasts, *(towards(each, originals) for each in (earlier, others) if each)]))
        known.append(whole)
        num, num_contrasts = len(suffixes), len(contrasts.names)
        for name, maps in whole.attributions.items():
            made[name], contrasted[name] = maps[:num], maps[num : num + num_contrasts]
            asked = maps[num + num_contrasts :, plain]
            if earlier:
                fixed[name] = asked[: len(earlier)]
            if others and len(plain):
                hidden[name] = asked[len(earlier) :]
    if earlier:
        fixed |= {name: first.attributions[name][:, plain] for name in controls}
    out: Rows = {f"score/{suffix}": first.scores[k] for k, suffix in enumerate(suffixes)}
    for name, maps in made.items():
        told = next(each for each in known if name in each.attributions)
        for k, suffix in enumerate(suffixes):
            out |= _noise_of(f"{name}{suffix}", maps[k], told, name, k, contrasted.get(name))
            if name in fixed:
                out[f"fixed/{name}{suffix}"] = fixed[name][k]
            if name in hidden and suffix in others:
                out[f"absent_agreement/{name}{suffix}"] = spearman(maps[k][plain], hidden[name][list(others).index(suffix)])
        if name in hidden:
            out |= {f"hidden/{name}/{other}": hidden[name][i] for i, other in enumerate(others) if other not in directions}
    return Explained(
        out, first.baseline, {name: num for each in known for name, num in each.num_samples.items()},
        {name: dims for each in known for name, dims in each.dims.items()},
    )  # fmt: skip


def _noise_of(trace: str, maps: Tensor, told: Explanation, name: str, k: int, found: Tensor | None) -> Rows:
    """Map (N, H, W) of a trace, a draw of its error, and the sizes of both parts of that error."""
    num = len(found) // NUM_CONTRASTS if found is not None else 0
    contrasts = maps.new_zeros(NUM_CONTRASTS, *maps.shape) if found is None else found[k::num]  # contrast by contrast, K targets each
    draw, monte_carlo = contrasts[0], torch.zeros(len(maps), device=maps.device)
    if name in told.num_samples and name not in told.standard_errors:
        monte_carlo = torch.full_like(monte_carlo, torch.nan)  # random, and by how much it does not say
    if name in told.standard_errors:
        monte_carlo = told.standard_errors[name][k].square().flatten(1).sum(1)
        draw = draw + told.draws[name][k] if name in told.draws else torch.full_like(draw, torch.nan)
    contrasts = across(contrasts, maps)
    return {
        f"map/{trace}": maps,
        f"draw/{trace}": draw,
        f"monte_carlo/{trace}": monte_carlo,
        f"references/{trace}": squared_length(contrasts).mean(0),
        f"spread/{trace}": spread(contrasts),
    }


def _sketch(method: Any) -> Attribution:
    made: Attribution = method.sketch()
    return made
