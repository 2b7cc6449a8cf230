"""What a block's answer says of texts: how high each ranks, which concept it is, its words, and whether its maps depend on it."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from cocoa_pl.asking.prompts import is_missing
from cocoa_pl.asking.question import Directed, OfExplicands
from cocoa_pl.metrics.prompts import map_correlations
from cocoa_pl.monitor.explaining import Explained
from cocoa_pl.types import Rows

WITH_NONSENSE, WITH_ABSENT, WITH_PRESENT = "prompt_agreement", "absent_agreement", "present_agreement"
"""Rank correlation of a map with that of nonsense, of what is not in the picture, and of other texts that are (their mean)."""

_KINDS = {"nonsense": WITH_NONSENSE, "absent": WITH_ABSENT}


def text_rows(whole: Directed, unit: Tensor) -> Rows:
    """Of every target of text ``rank/`` and ``missing/<suffix>``; where it has them ``label/`` (n,) and ``words/<suffix>`` (n, W).

    Args:
        whole: the targets.
        unit: (n, D) representations of the rows.
    """
    out: Rows = {}
    for suffix, target in _texts(whole).items():
        ranks = target.ranks(unit)
        out |= {f"rank/{suffix}": ranks, f"missing/{suffix}": _missing(target, ranks)}
        if target.labels is not None:
            out[f"label/{suffix}"] = target.labels
        if target.prompted is not None and target.prompted.words:
            out[f"words/{suffix}"] = unit @ target.prompted.word_directions.T
    return out


def agreement_rows(whole: Directed, unit: Tensor, explained: Explained, *, methods: Iterable[str], num: int) -> Rows:
    """Of every map towards a text how far it agrees with those of other texts, ``prompt_agreement/<trace>`` and so on.

    Args:
        whole: the targets.
        unit: (V * n, D) representations of the rows.
        explained: their maps; of original views, the first rows, also those of texts that maps are compared with.
        methods: names; one that knows of no score, a control, is left out.
        num: n. Rows of other views are NaN.
    """
    texts, hidden, out = _texts(whole), list(whole.hidden()), Rows()
    if not texts:
        return out
    there = torch.stack([~_missing(target, target.ranks(unit))[:num] for target in texts.values()])
    for method in methods:
        if f"hidden/{method}/{hidden[0]}" not in explained.rows:
            continue
        own = [explained.rows[f"map/{method}{suffix}"][:num] for suffix in texts]
        agreement = map_correlations(torch.stack([*own, *(explained.rows[f"hidden/{method}/{name}"] for name in hidden)]))
        for k, (suffix, target) in enumerate(texts.items()):
            others = there & there[k]
            others[k] = False
            found = {WITH_PRESENT: agreement[k, : len(own)].where(others, torch.nan).nanmean(0)}
            for name in target.hidden():
                found[_KINDS[name.partition("/")[0]]] = agreement[k, len(own) + hidden.index(name)]
            if WITH_ABSENT in found:  # two texts of what is not there may well have one map
                found[WITH_ABSENT] = found[WITH_ABSENT].where(there[k], torch.nan)
            out |= {f"{kind}/{method}{suffix}": _of_all_views(values, len(unit)) for kind, values in found.items()}
    return out


def _texts(whole: Directed) -> dict[str, OfExplicands]:
    return {suffix: target for suffix, target in whole.targets.items() if target.prompted is not None}


def _missing(target: OfExplicands, ranks: Tensor) -> Tensor:
    assert target.prompted is not None
    return is_missing(ranks, len(target.prompted.texts) - (target.labels is not None))  # a concept is one of them itself


def _of_all_views(values: Tensor, num_rows: int) -> Tensor:
    return torch.cat([values, values.new_full((num_rows - len(values),), torch.nan)])
