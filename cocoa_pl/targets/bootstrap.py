"""How much a score or a map owes to the images that happen to be in corpus and foil: bootstrap replicates as a target.

A replicate draws as many images again from corpus and foil, with replacement (Efron 1979). That is a weight for each image, so R replicates
of a target are R directions, weights @ reps, and their scores and maps come from the encodings that the target itself needs.
"""

from __future__ import annotations

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import counter_uniform, derive_seed
from cocoa_pl.targets.base import Similarity, as_compared, check_pair, check_reps
from cocoa_pl.targets.cosine import DirectionTarget

_LARGEST = 2**24  # more elements at once torch.quantile refuses


def bootstrap(
    corpus_reps: Tensor,
    foil_reps: Tensor | None = None,
    *,
    num_replicates: int = 200,
    seed: int,
    similarity: Similarity = "cosine",
    name: str = "bootstrap",
) -> DirectionTarget:
    """R replicates of COCOA, or of corpus similarity without a foil, for :func:`percentile_interval`.

    Replicate r is a function of (seed, r) and of the sizes of corpus and foil, common to all explicands: the first 100 of 200 are those of
    a run of 100. For contrastive label-free the corpus is ``explicand_reps[:, None]``, one image for each explicand. A corpus of one image
    is always drawn again, so that the interval shows what the foil alone contributes.

    Args:
        corpus_reps: (M, D), or (N, M, D), a corpus for each explicand.
        foil_reps: (F, D), or None.
        num_replicates: R.
        seed: of the draws.
        similarity: ``cosine`` or ``dot``.
        name: replicate r is called ``name_r``.

    Raises:
        DataError: representations that no target can be made of.
        ConfigError: fewer than two replicates.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> target = bootstrap(torch.rand(5, 4, generator=draw), torch.rand(9, 4, generator=draw), num_replicates=3, seed=0)
        >>> target.names, target(torch.rand(2, 4, generator=draw), torch.arange(2)).shape
        (('bootstrap_0', 'bootstrap_1', 'bootstrap_2'), torch.Size([2, 3]))
    """
    if num_replicates < 2:
        raise ConfigError(f"num_replicates={num_replicates}: must be 2 or more")
    corpus, foil = (check_reps(corpus_reps, what="corpus", own=True), None) if foil_reps is None else check_pair(corpus_reps, foil_reps)
    names = [f"{name}_{r}" for r in range(num_replicates)]
    shared = corpus.new_zeros(num_replicates, corpus.shape[-1])
    if foil is not None:
        weights = _weights(len(foil), num_replicates, derive_seed(seed, "bootstrap", "foil"), foil.device)
        shared = -weights @ as_compared(foil, similarity)
    weights = _weights(corpus.shape[-2], num_replicates, derive_seed(seed, "bootstrap", "corpus"), corpus.device)
    corpus = as_compared(corpus, similarity)
    if corpus.ndim == 2:
        return DirectionTarget(shared + weights @ corpus, names=names, similarity=similarity)
    return DirectionTarget.mixture(shared, corpus, weights.T, names=names, similarity=similarity)


def _weights(num: int, num_replicates: int, seed: int, device: torch.device) -> Tensor:
    """Weights (R, num) of means of ``num`` images drawn with replacement."""
    draws = counter_uniform(seed, torch.arange(num_replicates, device=device), num=num)
    chosen = (draws * num).long().clamp_max(num - 1)  # the largest draw times num may round to num
    return torch.zeros_like(draws).scatter_add_(1, chosen, torch.full_like(draws, 1 / num))


def percentile_interval(values: Tensor, *, level: float = 0.95) -> Tensor:
    """The ends (2, ...) of the middle ``level`` of replicates (R, ...), such as scores (R, N) or maps (R, N, H, W).

    It is Efron's (1979) percentile interval. Of a small corpus it is too narrow, as a sample has fewer different images than what it was
    drawn from.

    Raises:
        ConfigError: level outside (0, 1), or fewer than two replicates.

    Example:
        >>> low, high = percentile_interval(torch.arange(101.0)[:, None], level=0.9)
        >>> low.tolist(), high.tolist()
        ([5.0], [95.0])
    """
    if not 0 < level < 1:
        raise ConfigError(f"level={level}: must lie between 0 and 1")
    if len(values) < 2:
        raise ConfigError(f"{len(values)} replicates: an interval needs 2 or more")
    ends = torch.tensor([(1 - level) / 2, (1 + level) / 2], device=values.device)
    parts = torch.split(values.float().reshape(len(values), -1), max(1, _LARGEST // len(values)), dim=1)
    return torch.cat([torch.quantile(part, ends, dim=0) for part in parts], dim=1).reshape(2, *values.shape[1:])
