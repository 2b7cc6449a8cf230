"""All metrics of maps by name, what each is judged beside, and which direction is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from cocoa_pl.errors import ConfigError, choices_hint
from cocoa_pl.metrics.agreement import cosine, spearman, ssim, top_overlap
from cocoa_pl.metrics.boxes import boxes_of_masks, corloc
from cocoa_pl.metrics.grid_pointing import half_preference
from cocoa_pl.metrics.localisation import energy_inside, mask_auroc, pointing_game
from cocoa_pl.metrics.masks import map_mask_iou
from cocoa_pl.metrics.sparsity import effective_share, entropy, gini
from cocoa_pl.metrics.transport import transport_distance


@dataclass(frozen=True)
class Measure:
    """A pure function of attributions (N, H, W), and what they are judged beside, to (N,).

    Attributes:
        fn: the function.
        beside: its second argument: object masks (N, H, W), object boxes (N, 4), other maps (N, H, W), or nothing.
        higher_is_better: None where neither direction is.
    """

    fn: Callable[..., Tensor]
    beside: Literal["masks", "boxes", "maps"] | None
    higher_is_better: bool | None


METRICS: Mapping[str, Measure] = {
    "gini": Measure(gini, None, None),
    "entropy": Measure(entropy, None, None),
    "effective_share": Measure(effective_share, None, None),
    "half_preference": Measure(half_preference, None, None),
    "pointing_game": Measure(pointing_game, "masks", True),
    "energy_inside": Measure(energy_inside, "masks", True),
    "mask_auroc": Measure(mask_auroc, "masks", True),
    "mask_iou": Measure(map_mask_iou, "masks", True),
    "corloc": Measure(corloc, "boxes", True),
    "spearman": Measure(spearman, "maps", True),
    "cosine": Measure(cosine, "maps", True),
    "top_overlap": Measure(top_overlap, "maps", True),
    "ssim": Measure(ssim, "maps", True),
    "transport_distance": Measure(transport_distance, "maps", False),
}


def measure(names: Sequence[str], attributions: Tensor, *, masks: Tensor | None = None, others: Tensor | None = None) -> dict[str, Tensor]:
    """Metrics of a batch, ready for :meth:`~cocoa_pl.metrics.attribution_quality.AttributionQuality.update`.

    Args:
        names: keys of ``METRICS``.
        attributions: (N, H, W), signed.
        masks: (N, H, W), 1 on the object; object boxes are drawn around them.
        others: (N, H, W), maps to compare with.

    Returns:
        Name to (N,).

    Raises:
        ConfigError: an unknown name, or a metric without what it is judged beside.

    Example:
        >>> import torch
        >>> maps = torch.eye(2)[None]
        >>> {name: float(value) for name, value in measure(["gini", "energy_inside"], maps, masks=torch.ones(1, 2, 2)).items()}
        {'gini': 0.5, 'energy_inside': 1.0}
    """
    beside = {"masks": masks, "boxes": None if masks is None else boxes_of_masks(masks), "maps": others}
    values = {}
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"unknown metric '{name}'; {choices_hint(name, METRICS)}")
        wanted = METRICS[name].beside
        if wanted is None:
            values[name] = METRICS[name].fn(attributions)
        elif (given := beside[wanted]) is not None:
            values[name] = METRICS[name].fn(attributions, given)
        else:
            raise ConfigError(f"metric '{name}' needs {'others=' if wanted == 'maps' else 'masks='}, which was not given")
    return values
