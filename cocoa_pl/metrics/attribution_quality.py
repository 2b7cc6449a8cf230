"""The metrics that keep values of explicands over batches and processes, until all of them are there to be averaged or compared.

Values are kept by the explicand's id. A sampler that fills up its last batch shows some explicands twice; they count once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from cocoa_pl.errors import ConfigError, DataError, choices_hint
from cocoa_pl.metrics.intervals import Interval, IntervalFn, paired_difference, t_interval
from cocoa_pl.metrics.perturbation import PerturbationCurves


class _ByExplicand(Metric):
    """Keeps a row of ``width`` numbers for every explicand."""

    full_state_update = False
    ids: list[Tensor]
    rows: list[Tensor]

    def __init__(self, width: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._width = width
        for name in ("ids", "rows"):
            self.add_state(name, default=[], dist_reduce_fx="cat")

    def sync(self, *args: Any, **kwargs: Any) -> None:
        """Meet the other processes, even if none of the explicands came here."""
        if not len(self.ids):
            self._add(torch.zeros(0, dtype=torch.int64), torch.zeros(0, self._width))
        super().sync(*args, **kwargs)

    def _add(self, ids: Tensor, rows: Tensor) -> None:
        self.ids.append(ids.to(self.device, torch.int64))
        self.rows.append(rows.detach().to(self.device, torch.float32))

    def _merged(self) -> tuple[Tensor, Tensor]:
        """Ids (M,), each once and in order, and their rows (M, width) on the CPU; of several values the first that is not NaN."""
        if not len(self.ids):
            return torch.zeros(0, dtype=torch.int64), torch.zeros(0, self._width)
        rows = dim_zero_cat(self.rows).cpu()
        ids, place = torch.unique(dim_zero_cat(self.ids).cpu(), return_inverse=True)
        place = place[:, None].expand_as(rows)
        turn = torch.arange(len(rows))[:, None].expand_as(rows).where(rows.isnan().logical_not(), len(rows))
        first = torch.full((len(ids), self._width), len(rows)).scatter_reduce(0, place, turn, "amin")
        merged = torch.cat([rows, rows.new_full((1, self._width), torch.nan)]).gather(0, first)
        again = merged.gather(0, place)
        differs = ~(torch.isclose(rows, again, rtol=1e-2, atol=1e-4) | rows.isnan()).all(1)
        if bool(differs.any()):
            some = ids[place[differs][0, 0]].item()
            raise DataError(f"explicand {some} came with two different values of one name: every explicand needs an id of its own")
        return ids, merged

    def _gathered(self) -> tuple[Tensor, Tensor]:
        """:meth:`_merged` over all processes; each of them must call it."""
        with self.sync_context(dist_sync_fn=self.dist_sync_fn, should_sync=self._to_sync, should_unsync=self._should_unsync):
            return self._merged()


class AttributionQuality(_ByExplicand):
    """Named values of explicands: their means, intervals, and paired differences.

    Args:
        names: of the values; the same on every process.

    Raises:
        ConfigError: a name twice.

    Example:
        >>> metric = AttributionQuality(["gap/rise", "gap/random"])
        >>> metric.update([7, 8], {"gap/rise": torch.tensor([0.4, 0.5]), "gap/random": torch.tensor([0.1, 0.0])})
        >>> metric.update([9, 7], {"gap/rise": torch.tensor([0.6, 0.4])})
        >>> {name: round(float(value), 3) for name, value in metric.compute().items()}
        {'gap/rise': 0.5, 'gap/random': 0.05}
        >>> print(metric.interval("gap/rise"), metric.paired("gap/rise", "gap/random"), sep=" and ")
        0.500 [0.252, 0.748] (n = 3) and 0.400 [-0.871, 1.671] (n = 2)
    """

    def __init__(self, names: Sequence[str], **kwargs: Any) -> None:
        super().__init__(len(names), **kwargs)
        self.names = tuple(names)
        if len(set(self.names)) < len(self.names):
            raise ConfigError(f"names {list(names)}: each must be there once")

    def update(self, ids: Tensor | Sequence[int], values: Mapping[str, Tensor]) -> None:
        """Add values, name to (n,), of explicands ids (n,). Names may come in several updates; NaN is a value that is missing.

        Raises:
            ConfigError: a name that was not announced.
            DataError: not one value for each id.
        """
        ids = torch.as_tensor(ids, dtype=torch.int64)
        rows = torch.full((len(ids), len(self.names)), torch.nan)
        for name, value in values.items():
            if value.shape != ids.shape:
                raise DataError(f"{name}: values {tuple(value.shape)} of {len(ids)} explicands; must be ({len(ids)},)")
            rows[:, self._column(name)] = value.detach().float().cpu()
        self._add(ids, rows)

    def compute(self) -> dict[str, Tensor]:
        """Mean of every name over the explicands that have a value, NaN where none has."""
        return dict(zip(self.names, self._merged()[1].double().nanmean(0).float().to(self.device), strict=True))

    def table(self) -> tuple[Tensor, dict[str, Tensor]]:
        """Ids (M,) in order and values, name to (M,), of all processes, every one of which must call this."""
        ids, rows = self._gathered()
        return ids, dict(zip(self.names, rows.unbind(1), strict=True))

    def interval(self, name: str, *, interval_fn: IntervalFn = t_interval) -> Interval:
        """The mean of a name with its confidence interval; every process must call this.

        Raises:
            ConfigError: no such name.
        """
        return interval_fn(self._gathered()[1][:, self._column(name)])

    def paired(self, first: str, second: str, *, interval_fn: IntervalFn = t_interval) -> Interval:
        """The mean of first minus second over the explicands that have both; every process must call this.

        Raises:
            ConfigError: no such name.
        """
        columns = [self._column(name) for name in (first, second)]
        return paired_difference(*self._gathered()[1][:, columns].unbind(1), interval_fn=interval_fn)

    def _column(self, name: str) -> int:
        if name not in self.names:
            raise ConfigError(f"unknown value '{name}'; {choices_hint(name, self.names)}")
        return self.names.index(name)


class InsertionDeletion(_ByExplicand):
    """Insertion and deletion of K measures over all explicands: mean areas, and the curves themselves.

    Args:
        names: of the measures, K.
        num_steps: T of the curves.

    Example:
        >>> metric = InsertionDeletion(["cocoa"], num_steps=2)
        >>> up = torch.tensor([[[0.0, 0.5, 1.0]]])
        >>> metric.update([3], PerturbationCurves(insertion=up, deletion=1 - up**2))
        >>> {name: float(value) for name, value in metric.compute().items()}
        {'insertion_auc/cocoa': 0.5, 'deletion_auc/cocoa': 0.625, 'gap/cocoa': -0.125}
    """

    def __init__(self, names: Sequence[str], *, num_steps: int = 50, **kwargs: Any) -> None:
        super().__init__(len(names) * 2 * (num_steps + 1), **kwargs)
        self.names, self.num_steps = tuple(names), num_steps

    def update(self, ids: Tensor | Sequence[int], curves: PerturbationCurves) -> None:
        """Add the curves, each (K, n, T + 1), of explicands ids (n,).

        Raises:
            DataError: curves of another shape.
        """
        ids = torch.as_tensor(ids, dtype=torch.int64)
        wanted = (len(self.names), len(ids), self.num_steps + 1)
        if curves.insertion.shape != wanted:
            raise DataError(
                f"curves {tuple(curves.insertion.shape)}: must be {wanted} for {len(self.names)} measures and {len(ids)} explicands"
            )
        self._add(ids, torch.stack(list(curves), 1).permute(2, 0, 1, 3).flatten(1))

    def compute(self) -> dict[str, Tensor]:
        """Means: ``insertion_auc/<name>`` (higher is better), ``deletion_auc/<name>`` (lower), ``gap/<name>`` (higher)."""
        return {name: area.nanmean().to(self.device) for name, area in self._curves(self._merged()[1]).areas(self.names).items()}

    def curves(self) -> tuple[Tensor, PerturbationCurves]:
        """Ids (M,) in order and their curves (K, M, T + 1), of all processes, every one of which must call this."""
        ids, rows = self._gathered()
        return ids, self._curves(rows)

    def _curves(self, rows: Tensor) -> PerturbationCurves:
        insertion, deletion = rows.view(len(rows), len(self.names), 2, self.num_steps + 1).permute(2, 1, 0, 3)
        return PerturbationCurves(insertion, deletion)
