"""KernelSHAP: Shapley values of superpixels, for many targets from one set of coalitions (Lundberg & Lee, NeurIPS 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor

from cocoa_pl.attributions.masking import masked_scores
from cocoa_pl.attributions.shapley import all_pairs, drawn_pairs, shapley_values
from cocoa_pl.attributions.superpixels import Grid, SegmentFn, Slic
from cocoa_pl.errors import ConfigError
from cocoa_pl.types import Attributed, Baseline, ScoreFn


@dataclass(frozen=True)
class KernelShap:
    """Shapley values of superpixels, each shared evenly over its pixels.

    A pixel's attribution is the value of its superpixel divided by the number of its pixels. So a map sums to score(x) - score(baseline),
    as that of integrated gradients does, and superpixels of unequal size rank by what a pixel of theirs brings.

    An explicand of d superpixels is scored under max(``num_samples``, 4 d) coalitions, as with fewer than four a superpixel the errors of
    its values soar. Where there are no more than that, all 2^d - 2 are taken, and the values are exact.

    Args:
        num_samples: coalitions scored for an explicand, at least, besides all and none of its superpixels; even, as they come in pairs.
        segment_fn: images (N, C, H, W) to superpixels (N, H, W): a :class:`Grid`, :class:`Slic`, or a function of one's own.

    Raises:
        ConfigError: ``num_samples`` is odd or not positive.

    Example:
        >>> weight = torch.tensor([1.0, 2.0, -3.0, 0.5])
        >>> score = lambda images, rows: (images.flatten(1) @ weight)[:, None]
        >>> x = torch.ones(1, 1, 2, 2)
        >>> maps = KernelShap(segment_fn=Grid(grid_size=2))(score, x, torch.zeros_like(x))
        >>> [round(value, 4) for value in maps.flatten().tolist()]
        [1.0, 2.0, -3.0, 0.5]
    """

    num_samples: int = 512
    segment_fn: SegmentFn = field(default_factory=Grid)

    def __post_init__(self) -> None:
        if self.num_samples < 2 or self.num_samples % 2:
            raise ConfigError(f"num_samples={self.num_samples}: must be even and at least 2, as coalitions come in pairs")

    def num_forwards(self, num: int, height: int, width: int) -> int:
        """Every coalition of every explicand, all and none of its superpixels; an upper bound where images differ in their superpixels.

        A ``segment_fn`` without a method ``most(height, width)`` is taken to make no more superpixels than ``num_samples`` is enough for.
        """
        most = getattr(self.segment_fn, "most", None)
        return num * (2 + (self.num_samples if most is None else self._num_coalitions(most(height, width))))

    def __call__(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Tensor:
        """Explicands (N, C, H, W) and their baseline to attributions (K, N, H, W)."""
        return self.attribute(score_fn, explicands, baseline, seed=seed, chunk_size=chunk_size).maps

    @torch.no_grad()
    def attribute(self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, *, seed: int = 0, chunk_size: int = 256) -> Attributed:
        """Maps (K, N, H, W) with their standard errors, the correlation (K, N) to expect with maps of another seed, and coalitions taken.

        Where explicands differ in their number of coalitions, it is the largest that is told.
        """
        segments = self.segment_fn(explicands)
        counts = segments.flatten(1).amax(dim=1) + 1
        known = torch.unique(counts).tolist()
        groups = [torch.nonzero(counts == count)[:, 0] for count in known]  # explicands of equally many superpixels
        parts = [self._group(score_fn, explicands, baseline, segments, rows, seed=seed, chunk_size=chunk_size) for rows in groups]
        order = torch.cat(groups).argsort()
        maps, errors = (torch.cat(kind, dim=1)[:, order] for kind in zip(*parts, strict=True))
        noise, variance = errors.square().mean(dim=(2, 3)), maps.var(dim=(2, 3), correction=0)
        reliability = (1 - noise / variance.clamp_min(torch.finfo(maps.dtype).tiny)).clamp(0, 1)
        return Attributed(maps, errors, reliability, self._num_coalitions(known[-1]))

    def _group(
        self, score_fn: ScoreFn, explicands: Tensor, baseline: Baseline, segments: Tensor, rows: Tensor, *, seed: int, chunk_size: int
    ) -> tuple[Tensor, Tensor]:
        """Maps and standard errors (K, n, H, W) of explicands ``rows`` (n,), all of the same number of superpixels."""
        keep, weight = self._pairs(int(segments[rows[0]].max()) + 1, seed)
        nothing = keep.new_zeros(1, keep.shape[1])
        coalitions = torch.cat([keep, ~keep, nothing, ~nothing]).to(explicands)

        def keep_fn(own: Tensor, masks: Tensor) -> Tensor:
            return coalitions[masks].gather(1, segments[own].flatten(1)).view(-1, 1, *segments.shape[1:])

        scores = masked_scores(
            score_fn, explicands, baseline, keep_fn, rows=rows, num_masks=len(coalitions), chunk_size=chunk_size
        ).cpu().double()  # the problem is small, and not every device has double precision  # fmt: skip
        kept, rest, ends = scores.split_with_sizes([len(keep), len(keep), 2], dim=-1)
        found = shapley_values(keep, weight, kept - rest, ends[..., 1] - ends[..., 0])
        values, errors = (_spread(each.float().to(explicands.device), segments[rows]) for each in found)
        return values, errors

    def _pairs(self, num_features: int, seed: int) -> tuple[Tensor, Tensor | None]:
        """All pairs of coalitions with their weights if they are affordable, else pairs drawn by their weights."""
        num = self._num_coalitions(num_features)
        return all_pairs(num_features) if num == (1 << num_features) - 2 else (drawn_pairs(num_features, num // 2, seed=seed), None)

    def _num_coalitions(self, num_features: int) -> int:
        return min((1 << num_features) - 2, max(self.num_samples, 4 * num_features))


def kernel_shap_grid(num_samples: int = 512, grid_size: int = 7) -> KernelShap:
    """Shapley values of the cells of a grid, ``grid_size`` along the shorter side."""
    return KernelShap(num_samples, Grid(grid_size))


def kernel_shap_slic(num_samples: int = 512, num_segments: int = 50, compactness: float = 20.0) -> KernelShap:
    """Shapley values of regions of like colour, about ``num_segments`` in an image (SLIC, by scikit-image)."""
    return KernelShap(num_samples, Slic(num_segments, compactness))


def _spread(values: Tensor, segments: Tensor) -> Tensor:
    """Values (K, n, d) of superpixels (n, H, W) to a map (K, n, H, W), each divided by the number of its pixels."""
    flat = segments.flatten(1)
    pixels = values.new_zeros(values.shape[1:]).scatter_add(1, flat, values.new_ones(flat.shape))
    share = values / pixels
    return share.gather(2, flat.expand(len(values), -1, -1)).view(len(values), *segments.shape)
