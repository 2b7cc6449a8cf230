"""Explicands that all processes explain together: each some of the masks or steps, or some of the explicands, and one meeting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cocoa_pl.attributions.copies import of_rows
from cocoa_pl.sharing import Team
from cocoa_pl.streaming import baseline_of
from cocoa_pl.types import Attributed, Attribution, Baseline, Divisible, Rows, ScoreFn, attributed

_BY_ROW = ("maps", "standard_error", "reliability", "draw")


@dataclass(frozen=True)
class Shared:
    """A method done by a team. Every process asks for the same, does its share and gets the whole.

    Masks, steps or draws are shared out where the method's maps are sums over them; else explicands are.

    Args:
        method: any.
        team: of this process.

    Example:
        >>> from cocoa_pl.attributions.rise import Rise
        >>> from cocoa_pl.sharing import ALONE
        >>> mean = lambda images, rows: images.mean((1, 2, 3))[:, None]
        >>> image = torch.rand(1, 3, 8, 8)
        >>> alone, shared = (method(mean, image, 0 * image, seed=0) for method in (Rise(num_masks=32), Shared(Rise(num_masks=32), ALONE)))
        >>> bool(torch.allclose(alone, shared))
        True
    """

    method: Attribution
    team: Team

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Of this process, about."""
        return -(-self.method.num_forwards(num, height, width) // self.team.size)

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands and baseline (N, C, H, W) to attributions (K, N, H, W)."""
        return self.attribute(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size).maps

    def attribute(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Attributed:
        """The maps with what the method knows of their noise.

        Raises:
            PeerError: another process failed.
        """
        method = self.method
        if not isinstance(method, Divisible) or not method.num_parts:
            return self._by_rows(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size)
        samples = self.team.span(method.num_parts)
        own = method.part(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size, samples=samples)
        return method.whole(self.team.total(own), explicands, baseline)

    def _by_rows(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int, chunk_size: int) -> Attributed:
        rows = torch.tensor(self.team.turns(len(explicands)), dtype=torch.int64, device=explicands.device)
        own: Rows = {"row": rows}
        if len(rows):
            score_of, some = of_rows(score_fn, rows), baseline_of(baseline, rows)
            own |= _packed(attributed(self.method, score_of, explicands[rows], some, seed=seed, chunk_size=chunk_size))
        return _unpacked(self.team.meet(own), explicands.device)


def share_out(methods: Mapping[str, Attribution], team: Team) -> dict[str, Attribution]:
    """The methods done by a team; as they are where it is of one."""
    return {name: method if team.size == 1 else Shared(method, team) for name, method in methods.items()}


def _packed(made: Attributed) -> Rows:
    by_row = {name: values for name in _BY_ROW if (values := getattr(made, name)) is not None}
    of_all = {name: torch.tensor([float(value)]) for name in ("num_samples", "dims") if (value := getattr(made, name)) is not None}
    return by_row | of_all


def _unpacked(parts: list[Rows], device: torch.device) -> Attributed:
    """The maps of all rows in their order, from those of every process."""
    known = [part for part in parts if "maps" in part]
    order = torch.cat([part["row"] for part in known]).argsort()
    whole = {name: torch.cat([part[name] for part in known], dim=1)[:, order].to(device) for name in _BY_ROW if name in known[0]}
    num, dims = (float(known[0][name]) if name in known[0] else None for name in ("num_samples", "dims"))
    return Attributed(**whole, num_samples=None if num is None else int(num), dims=dims)
