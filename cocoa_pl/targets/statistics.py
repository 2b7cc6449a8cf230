"""How much a score can be trusted: the size of the foil, how well a target separates, whether corpus and foil overlap.

The foil's mean stands for a typical image. For a fixed image, a mean of m independent terms in [low, high] obeys Hoeffding's inequality

    P(|error| >= eps) <= 2 exp(-2 m eps^2 / (high - low)^2)                  (Lin, Chen, Kim & Lee, ICLR 2023)

with [0, 1] for cosines of non-negative representations and [-1, 1] for others. Maps depend on differences of scores alone, in which most of
that error cancels: :func:`foil_size_advice` measures what is left.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from cocoa_pl.errors import ConfigError, DataError
from cocoa_pl.rng import generator
from cocoa_pl.targets.base import Similarity, as_compared, check_lengths, check_pair, check_reps
from cocoa_pl.types import Target

_COLLAPSED = 1e-3  # a spread below this share of their length: representations that cannot tell images apart


def foil_size_for(eps: float, delta: float, low: float, high: float) -> int:
    """Foil images after which the mean of terms in [low, high] errs by ``eps`` or more with probability ``delta`` at most (Hoeffding).

    Raises:
        ConfigError: eps not positive, delta outside (0, 1), or low not below high.

    Example:
        >>> [foil_size_for(0.05, delta, low, 1) for low in (0, -1) for delta in (0.05, 0.01)]
        [738, 1060, 2952, 4239]
    """
    if not eps > 0:
        raise ConfigError(f"eps={eps}: must be greater than 0")
    return math.ceil((_width(delta, low, high) / eps) ** 2)


def hoeffding_error(num: int, delta: float, low: float, high: float) -> float:
    """The error that the mean of ``num`` terms in [low, high] reaches with probability ``delta`` at most (Hoeffding).

    Raises:
        ConfigError: num below 1, delta outside (0, 1), or low not below high.

    Example:
        >>> round(hoeffding_error(738, 0.05, 0, 1), 4)
        0.05
    """
    if num < 1:
        raise ConfigError(f"num={num}: must be 1 or more")
    return _width(delta, low, high) / math.sqrt(num)


def _width(delta: float, low: float, high: float) -> float:
    """The error of a mean of one term."""
    if not 0 < delta < 1:
        raise ConfigError(f"delta={delta}: must lie between 0 and 1")
    if not low < high:
        raise ConfigError(f"low={low}, high={high}: low must be below high")
    return (high - low) * math.sqrt(math.log(2 / delta) / 2)


@dataclass(frozen=True)
class FoilSizeAdvice:
    """What the foil's size costs in score differences, and the size that a wanted error takes.

    Attributes:
        num_foil: F, images in the foil that was measured.
        error: standard error of a score difference that comes from drawing F foil images, root mean square over pairs.
        wanted: the error asked for.
        needed: foil images that it takes.
        spread: root mean square of the COCOA score differences themselves; None where no corpus was given.
    """

    num_foil: int
    error: float
    wanted: float
    needed: int
    spread: float | None

    def error_at(self, num: int) -> float:
        """The error with ``num`` foil images: it falls with the root of their number."""
        return self.error * math.sqrt(self.num_foil / num)

    def __str__(self) -> str:
        share = "" if not self.spread else f", {self.error / self.spread:.1%} of the differences themselves ({self.spread:.2g})"
        return (
            f"{self.num_foil} foil images: score differences err by {self.error:.2g}{share}; {self.needed} would do for {self.wanted:.2g}"
        )


def foil_size_advice(
    reps: Tensor, foil_reps: Tensor, *, corpus_reps: Tensor | None = None, wanted: float = 0.01, similarity: Similarity = "cosine"
) -> FoilSizeAdvice:
    """How far score differences, which are all that maps depend on, err for the foil being a sample.

    It is the error that a bootstrap over the foil finds with ever more replicates, in closed form (with the unbiased variance):
    Var_f(<h^_i - h^_j, f^>) / F, averaged over pairs i, j of representations.

    Args:
        reps: (P, D), images whose scores are compared: best, perturbed versions of an explicand; or (N, P, D), P versions of each of N
            explicands, of which only those of one explicand are compared.
        foil_reps: (F, D), at least two.
        corpus_reps: (M, D); with it, the advice says how large COCOA's score differences are.
        wanted: the standard error that would do.
        similarity: ``cosine`` or ``dot``.

    Raises:
        DataError: fewer than two images to compare or in the foil, or representations that no target can be made of.
        ConfigError: wanted is not positive.

    Example:
        >>> draw = torch.Generator().manual_seed(0)
        >>> print(foil_size_advice(torch.rand(9, 8, generator=draw), torch.rand(200, 8, generator=draw)))
        200 foil images: score differences err by 0.0089; 159 would do for 0.01
    """
    if not wanted > 0:
        raise ConfigError(f"wanted={wanted}: must be greater than 0")
    reps, foil = check_reps(reps, what="compared", own=True), check_reps(foil_reps, what="foil")
    check_lengths(compared=reps, foil=foil)
    if reps.shape[-2] < 2 or len(foil) < 2:
        raise DataError(f"{reps.shape[-2]} images to compare and {len(foil)} in the foil: at least two of each are needed")
    reps, foil = as_compared(reps, similarity), as_compared(foil, similarity)
    variance = float(_pairwise(reps @ (foil - foil.mean(0)).T).sum()) / (len(foil) - 1)
    spread = None
    if corpus_reps is not None:
        corpus = check_reps(corpus_reps, what="corpus")
        check_lengths(corpus=corpus, foil=foil)
        direction = as_compared(corpus, similarity).mean(0) - foil.mean(0)
        spread = math.sqrt(float(_pairwise((reps @ direction)[..., None])))
    needed = max(1, math.ceil(variance / wanted**2))
    return FoilSizeAdvice(len(foil), math.sqrt(variance / len(foil)), wanted, needed, spread)


def _pairwise(values: Tensor) -> Tensor:
    """Mean of (v_i - v_j)^2 over pairs i != j of values (..., P, F), and over what stands before; (F,)."""
    square = (values - values.mean(dim=-2, keepdim=True)).square().sum(dim=-2) * 2 / (values.shape[-2] - 1)
    return square.reshape(-1, values.shape[-1]).mean(dim=0)


class Separation(NamedTuple):
    """Areas under the ROC curve."""

    auroc: Tensor  # (K,): 1 where every corpus image scores above every foil image, 0.5 for a target that cannot tell them apart
    standard_error: Tensor  # (K,), of DeLong, DeLong & Clarke-Pearson (1988); 0 where nothing overlaps


@torch.no_grad()
def separation(target: Target, corpus_reps: Tensor, foil_reps: Tensor) -> Separation:
    """How well a target tells corpus from foil: the probability that a corpus image scores higher (Mann-Whitney, ties count half).

    Give images that the target was not made of: its own corpus scores high by construction.

    Args:
        target: K targets, the same for all explicands.
        corpus_reps: (M, D), at least two.
        foil_reps: (F, D), at least two.

    Raises:
        DataError: fewer than two images of a kind, or a target with references of each explicand's own, for which these images have none.

    Example:
        >>> from cocoa_pl.targets import corpus_similarity
        >>> east = corpus_similarity(torch.tensor([[1.0, 0.0]]))
        >>> separation(east, torch.tensor([[3.0, 1.0], [1.0, 2.0]]), torch.tensor([[2.0, 1.0], [0.0, 1.0]])).auroc.tolist()
        [0.75]
    """
    corpus, foil = check_reps(corpus_reps, what="corpus"), check_reps(foil_reps, what="foil")
    if len(corpus) < 2 or len(foil) < 2:
        raise DataError(f"{len(corpus)} corpus and {len(foil)} foil images: at least two of each are needed")
    if getattr(target, "num_rows", None) is not None:
        raise DataError(f"the target {', '.join(target.names)} has references of each explicand's own: it has none for these images")
    rows = torch.zeros(len(corpus) + len(foil), dtype=torch.long, device=corpus.device)
    above, below = torch.split(target(torch.cat([corpus, foil]), rows).T.contiguous(), [len(corpus), len(foil)], dim=1)
    of_corpus, of_foil = _share_below(above, below), 1 - _share_below(below, above)  # each image's part in the area
    variance = of_corpus.var(dim=1) / len(corpus) + of_foil.var(dim=1) / len(foil)
    return Separation(of_corpus.mean(dim=1), variance.sqrt())


def _share_below(values: Tensor, others: Tensor) -> Tensor:
    """Share of others (K, F) below each of values (K, M), equal ones by half."""
    ordered, values = others.sort(dim=1).values, values.contiguous()
    below, not_above = (torch.searchsorted(ordered, values, right=right) for right in (False, True))
    return (below + not_above).float() / (2 * others.shape[1])


def shared_images(corpus_reps: Tensor, foil_reps: Tensor, *, tolerance: float = 1e-6) -> int:
    """How many foil images are in the corpus too, as far as representations can tell: equal ones, up to a share of their length.

    Zero representations say nothing of their images and do not count. Where all representations are nearly the same, as a collapsed encoder
    makes them, none counts. Images are found if they were encoded in the same way both times.

    Equal representations are neighbours on any line: all are projected on one, and only neighbours are compared, in (M + F) D steps.

    Args:
        corpus_reps: (M, D) or (N, M, D).
        foil_reps: (F, D).
        tolerance: largest difference, as a share of the length of the foil's representation.

    Raises:
        DataError: representations that no target can be made of.

    Example:
        >>> reps = torch.rand(9, 5, generator=torch.Generator().manual_seed(0))
        >>> shared_images(reps[:4], reps[2:]), shared_images(reps[:4], reps[4:]), shared_images(torch.ones(4, 5), torch.ones(6, 5))
        (2, 0, 0)
    """
    return _num_shared(*check_pair(corpus_reps, foil_reps), tolerance)


def warn_of_overlap(corpus: Tensor, foil: Tensor) -> None:
    """Warn the caller's caller of foil images that are in the corpus too; both checked already."""
    if num := _num_shared(corpus, foil, 1e-6):
        found = f"{num} of {len(foil)} foil images are in the corpus too, judging by their representations"
        warnings.warn(f"{found}: they cancel out of the score; draw the foil without the corpus", stacklevel=3)


@torch.no_grad()
def _num_shared(corpus: Tensor, foil: Tensor, tolerance: float) -> int:
    corpus = corpus.flatten(0, -2)
    both = torch.cat([corpus, foil])
    if float((both - both.mean(0)).norm()) <= _COLLAPSED * float(both.norm()):
        return 0
    line = torch.randn(foil.shape[1], generator=generator("shared_images")).to(foil.device)
    corpus, foil = (reps[reps.any(dim=1)] for reps in (corpus, foil))
    places, order = (corpus @ line).sort()
    reach = 4 * tolerance * foil.norm(dim=1) * line.norm()  # more than equal representations can lie apart, rounding included
    middle = foil @ line
    first, end = torch.searchsorted(places, middle - reach), torch.searchsorted(places, middle + reach, right=True)
    left = (first < end).nonzero()[:, 0]
    num = 0
    while len(left):
        apart = (foil[left] - corpus[order[first[left]]]).norm(dim=1)
        equal = apart <= tolerance * foil[left].norm(dim=1)
        num += int(equal.sum())
        first[left] += 1
        left = left[~equal & (first[left] < end[left])]
    return num
