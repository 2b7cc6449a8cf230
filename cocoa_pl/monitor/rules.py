"""What a look is warned of: a rule for each kind of warning, with its thresholds and the reason for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Seen:
    """The scalars of one look, from the side of one trace; NaN stands for what is missing."""

    scalars: Mapping[str, float]
    first: Mapping[str, float]
    num_before: int
    trace: str = ""

    def run(self, name: str) -> float:
        return float(self.scalars.get(f"explain/{name}", math.nan))

    def of(self, name: str) -> float:
        return self.run(f"{self.trace}/{name}")

    def at_first(self, name: str) -> float:
        return self.first.get(f"explain/{self.trace}/{name}", math.nan)


Finding = tuple[bool, bool, str]
"""Whether the rule holds, whether it is gone, and the text of the warning."""


@dataclass(frozen=True)
class Rule:
    """What is judged of a look.

    Attributes:
        judge: gives the finding.
        looks_in_a_row: in so many looks it must hold.
        since_epoch: epochs before are not judged.
    """

    judge: Callable[[Seen], Finding]
    looks_in_a_row: int = 1
    since_epoch: int = 1


def has_collapsed(level: float, rank: float) -> bool:
    """Whether representations of this collapse level and effective rank are so much alike that no map of them can be trusted."""
    return level > 0.95 or rank < 2


def _collapse(seen: Seen) -> Finding:
    """A level of 0.95 leaves a twentieth of the spread of a full sphere: trained encoders have 0.3 to 0.5, untrained ones up to 0.9.

    The rank sees what the level misses: reps that fill one direction only. It is 6 in healthy encoders even of 8 images, 100 of 1500.
    """
    level, rank = seen.run("collapse_level"), seen.run("effective_rank")
    known = not (math.isnan(level) and math.isnan(rank))
    text = (
        f"The encoder gives nearly all images the same representation (collapse level {level:.2f}, effective rank {rank:.1f}), so none of "
        "its maps can be trusted: lower optim.lr, raise data.batch_size, or make the training views harder (augment.*)."
    )
    return has_collapsed(level, rank), known and not (level > 0.9 or rank < 3), text


def _budget(seen: Seen) -> Finding:
    """One slow look may be the machine's; three in a row are the options'. A look within the bound begins the count anew."""
    share, budget = seen.run("share_of_epoch"), seen.run("budget_share")
    text = (
        f"Explaining takes {share:.0%} of an epoch, for the third look in a row more than one and a half times its budget of {budget:.0%}, "
        "and training waits for it: raise explain.every_n_epochs, or lower explain.num_explicands or explain.num_masks."
    )
    return share > 1.5 * budget, share <= 1.5 * budget, text


def _border(seen: Seen) -> Finding:
    """How much more attribution a pixel of the frame gets than one inside; 0.3 to 1 in healthy runs, where it moves by a tenth.

    Must be 1.5, and 1.5 times that of the first look: the padding of an untrained network may favour the border by itself.
    """
    share, area, first = seen.of("border_share"), seen.run("border_area"), seen.at_first("border_share")
    now, before = _density(share, area), _density(first, area)
    text = (
        f"{seen.trace}: {share:.0%} of the attribution lies in the frame along the border, which is {area:.0%} of the image ({first:.0%} "
        "at the first look), so the encoder may answer to padding or margins rather than to what is shown: look at the maps, crop margins "
        "off the images, or lower the first of augment.crop_scale."
    )
    return now >= 1.5 and now >= 1.5 * before, now < 1.2 or now < 1.2 * before, text


def _region(seen: Seen) -> Finding:
    """Twice what its area would get by chance and a quarter more than at first, or most of the map and well above its area."""
    share, area, first = seen.of("energy_on_region"), seen.run("region_area"), seen.at_first("energy_on_region")
    most = max(0.5, 1.5 * area)
    text = (
        f"{seen.trace}: {share:.0%} of the positive attribution lies on the marked region, which is {area:.0%} of the image ({first:.0%} "
        "at the first look), so the encoder may take it as a shortcut: look at the maps, then cover or vary the region in training images."
    )
    return share > most or (share >= 2 * area and share >= 1.25 * first), share < 0.8 * min(2 * area, most), text


def _untrained(seen: Seen) -> Finding:
    """Few maps differ beyond their noise, and noise taken out they hardly differ: noisy maps of a trained encoder pass the second.

    From the third look on: before it, few maps having changed says only that training has just begun.
    """
    share, drift = seen.of("drift_start_flagged") if seen.num_before >= 2 else math.nan, seen.of("drift_start_corrected")
    text = (
        f"{seen.trace}: only {share:.0%} of the maps differ from the untrained encoder's by more than their noise (drift {drift:.2f} "
        "without it), so they show the image and the architecture rather than what was learnt: train longer, or look at another method."
    )
    return share < 0.5 and drift < 0.3, share > 0.6 or drift > 0.4, text


def _noisy(seen: Seen) -> Finding:
    """Reliability is the correlation with a map of other masks, corpus and foil; at 0.5 noise and map have the same variance.

    Three looks, as the maps of the first epochs are faint. The advice is Spearman and Brown's: k times the draws take r to
    k r / (1 + (k - 1) r).
    """
    r = seen.of("reliability")
    more = f"about {math.ceil(4 * (1 - r) / r)} times as many would bring it to 0.8" if 0.05 < r < 0.5 else "many times as many are needed"
    text = (
        f"{seen.trace}: for the third look in a row reliability is below 0.5 ({r:.2f}), so half of what the maps show is noise and "
        f"would come out otherwise with another draw: raise {_remedy(seen.trace)} ({more})."
    )
    return r < 0.5, r > 0.6, text


def _chance(seen: Seen) -> Finding:
    """The lower 95 % end of the paired difference to a smooth random map, at most 0 in three looks in a row from epoch 3 on.

    Paired, because what the explicands have in common cancels, so that a handful of them is enough: the gaps of 8 explicands clear 0 by
    far in healthy runs, whereas ``gap_low`` beside ``gap_random`` would count the spread between explicands as doubt about the map. Three
    looks, because one may fall short by luck; that there may be too few explicands is said in the text.
    """
    low = seen.of("gap_over_random_low")
    text = (
        f"{seen.trace}: for the third look in a row the gap ({seen.of('gap'):.3f}) is not shown to beat that of smooth random maps "
        f"({seen.of('gap_random'):.3f}; lower 95 % end of the difference {low:.3f}), so the maps may not say what the score depends on: do "
        "not rely on them, or raise explain.num_explicands to be sure."
    )
    return low <= 0, low > 0, text


def _prompt(seen: Seen) -> Finding:
    """Rank correlation of the maps towards a picture's text and towards one of something absent; both have the foil in common.

    Three looks, as the texts of the first epochs are all alike to the encoder.
    """
    agreement = seen.of("absent_agreement")
    text = (
        f"{seen.trace}: for the third look in a row maps towards a picture's text hardly differ from those towards a text of something "
        f"that is not there (rank correlation {agreement:.2f}), so they show what sets the picture apart rather than what the text names: "
        "train longer, or do not take them for the object's place."
    )
    return agreement > 0.8, agreement < 0.7, text


OF_THE_RUN = {"collapse": Rule(_collapse), "budget": Rule(_budget, looks_in_a_row=3)}
OF_A_TRACE = {
    "border": Rule(_border),
    "region": Rule(_region),
    "untrained": Rule(_untrained, since_epoch=2),
    "noisy": Rule(_noisy, looks_in_a_row=3),
    "chance": Rule(_chance, looks_in_a_row=3, since_epoch=3),
    "prompt": Rule(_prompt, looks_in_a_row=3),
}


def _density(share: float, area: float) -> float:
    """Attribution of a pixel inside an area over that of one outside; NaN where the area is all or nothing."""
    inside, outside = share * (1 - area), (1 - share) * area
    return inside / outside if outside > 0 else (math.inf if inside > 0 else math.nan)


def _remedy(trace: str) -> str:
    masked, of_text = trace.startswith("rise"), trace.endswith("-text")
    masks = "explain.num_masks, or explain.budget_share where it allows fewer"
    references = "the number of phrases in the data's vocabulary" if of_text else "explain.foil_size"
    drawn = masks if masked else references
    return f"explain.corpus_size and {drawn}" if trace.endswith("-class") else drawn
