"""Names and numbers of a study as people read them.

Shape legend
    S  seeds          E  explicands of a seed
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from torch import Tensor

from cocoa_pl.metrics.intervals import Interval, t_interval
from cocoa_pl.study.results import RANDOMISED, SETTINGS, Areas, Factor, Level, Results

UNKNOWN = "-"
QUANTITIES = {"insertion": 1, "deletion": -1, "gap": 1}
"""What is known of a cell, and its direction: 1 where higher is better, -1 where lower is."""
CASCADE = "cascade"
"""Name of the factor whose levels are layers lost."""
RISE = "rise"
"""Name of the method whose factors are varied, and whose reliability is known."""
NAMES = {
    "cocoa": "COCOA", "contrastive_label_free": "contrastive label-free", "label_free": "label-free", "corpus": "corpus",
    RANDOMISED: "randomised network", "random": "random order", "smooth_random": "smooth random", "centre_bias": "centre bias",
    "edges": "edges", "gradient_x_input": "gradient x input", "smoothgrad": "SmoothGrad", "gradient_shap": "GradientSHAP",
    "kernel_shap": "KernelSHAP", "kernel_shap_slic": "KernelSHAP (SLIC)", RISE: "RISE", "grad_cam": "Grad-CAM",
    "corpus_majority": "corpus majority probability", "corpus_similarity": "contrastive corpus similarity",
    "explicand_probability": "explicand's class probability", "representation_shift": "representation shift (with a minus sign)",
    "same": "same class", "different": "different class", "num_masks": "number of masks", "blur_sigma": "sigma of the blur",
}  # fmt: skip


def words_of(name: str) -> str:
    """A name for people.

    Example:
        >>> words_of("contrastive_label_free"), words_of("integrated_gradients")
        ('contrastive label-free', 'integrated gradients')
    """
    return NAMES.get(name, name.replace("_", " "))


def by_seed(values: Tensor) -> Tensor:
    """Means over the explicands, values (S, E) to (S,); NaN is left out."""
    means: Tensor = values.double().nanmean(dim=1)
    return means


def by_unit(values: Tensor) -> Tensor:
    """What an interval of a factor is made of, values (S, E) to (S,); of one seed to its explicands, (E,)."""
    return by_seed(values) if len(values) > 1 else values[0].double()


def difference(first: Areas, second: Areas, quantity: str = "gap") -> Interval:
    """Interval over seeds of first minus second, on the same explicands; one that is NaN in either is left out."""
    return t_interval(by_seed(getattr(first, quantity).double() - getattr(second, quantity).double()))


def excludes_zero(interval: Interval) -> bool:
    """Whether an interval lies on one side of 0; not if it has no ends.

    Example:
        >>> excludes_zero(Interval(0.2, 0.1, 0.3, 5)), excludes_zero(Interval(0.2, -0.1, 0.5, 5))
        (True, False)
    """
    return interval.low > 0 or interval.high < 0


def told(interval: Interval, *, signed: bool = False) -> str:
    """Mean and ends; the mean alone where nothing is known of the spread.

    Example:
        >>> told(Interval(0.2, 0.1, 0.3, 5), signed=True), told(Interval(0.2, math.nan, math.nan, 1))
        ('+0.200 [+0.100, +0.300]', '0.200')
    """
    if math.isnan(interval.mean):
        return UNKNOWN
    mean, low, high = (number(value, signed=signed) for value in (interval.mean, interval.low, interval.high))
    return mean if math.isnan(interval.low) else f"{mean} [{low}, {high}]"


def number(value: float, *, signed: bool = False) -> str:
    """Three digits; a sign even of what rounds to nothing where it matters on which side of 0 a value is, else none.

    Example:
        >>> number(-0.0001), number(-0.0001, signed=True), number(0.0, signed=True)
        ('0.000', '-0.000', '0.000')
    """
    return f"{value:+.3f}" if signed and value else f"{round(value, 3) + 0.0:.3f}"


def level_of(factor: Factor, name: str) -> Level | None:
    """The level of that name."""
    return next((level for level in factor.levels if level.name == name), None)


def level_name(factor: Factor, level: Level) -> str:
    """A level for people; of the cascade the layer lost last."""
    return "none" if factor.name == CASCADE and not level.name else level.name if factor.name != "removal" else words_of(level.name)


def level_difference(level: Level, reference: Level, measure: str) -> Tensor | None:
    """Gap of a level minus that of the reference on the same explicands, (S, E); None where one of them is not known."""
    if measure not in level.gaps or measure not in reference.gaps:
        return None
    return level.gaps[measure].double() - reference.gaps[measure].double()


def encoders(results: Results) -> list[str]:
    """Titles of all encoders, in the order asked for."""
    known = [facts.title for facts in results.encoders]
    return list(dict.fromkeys([*known, *(cell.encoder for cell in results.grid), *(factor.encoder for factor in results.factors)]))


def settings(results: Results, *, encoder: str = "") -> Iterator[str]:
    """Settings that the grid has, of any encoder or of one."""
    there = {cell.setting for cell in results.grid if encoder in ("", cell.encoder)}
    return (setting for setting in SETTINGS if setting in there)
