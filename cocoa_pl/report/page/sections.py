"""The words around the pictures: what to be warned of, how to read a map."""

from __future__ import annotations

from collections import Counter

from cocoa_pl.report.findings import Findings
from cocoa_pl.report.page.markup import many, split_flags, text

_COLOURS = (
    "Red: {towards}. Blue: {away}. No colour: hardly any effect. The colour is full at the scale and beyond. A method and target has one "
    "scale for all pictures and encoders, so that these can be compared by eye; colours of different methods cannot. A map explains the "
    "score that this encoder gives, not what is in the picture."
)
_VIEWS = (
    "The same picture, changed. An encoder that does not mind the change should look at the same things. Views held out are those that "
    "training never made."
)
_RESOLUTION = (
    "Pictures and maps are averaged from {native} to {side} pixels for this page; attributions.npz has the maps as they were made."
)
_NUMBERS = {
    "score": (
        "Score",
        "What a map shares out over pixels: how much more the encoder finds the picture like the corpus than like the foil, as a "
        "difference of mean cosine similarities. Above zero: more like the corpus.",
    ),
    "score_error": (
        "Score error",
        "The number after \u00b1. Corpus and foil are samples: with others of their kind the score would differ by about this much, one "
        "standard error.",
    ),
    "auroc": (
        "Quality of a target (AUROC)",
        "The probability that a corpus picture scores above a foil picture, neither having a part in the target: 1 always, .5 by chance. "
        "Near .5 the encoder does not know what the target asks for, and maps towards it mean little.",
    ),
    "reliability": (
        "Reliability",
        "The correlation to expect between the map and one made with another draw of masks, corpus and foil. 1 repeats exactly; below .5 "
        "most of the map is noise.",
    ),
    "gap": (
        "Gap",
        "Pixels are put in by the order of the map, and taken out by it: the area under the score while they come, less the area while "
        "they go. The higher, the better the map ranks pixels.",
    ),
    "gap_random": (
        "Gap of a random map",
        "The same for a smooth random map. A map whose gap is no larger says no more than chance.",
    ),
    "drift": (
        "Drift",
        "How much a map changed since the encoder before: 0, the same ranking of pixels, to 1, an unrelated one. Noise alone makes some "
        "drift; a change counts where it is beyond that.",
    ),
}
_FLAGS = {
    "collapsed": "The encoder gives nearly all pictures the same representation; none of its maps can be trusted.",
    "flat": "No pixel is preferred to another: there is nothing to see in the map.",
    "unreliable target": "The target is not shown to tell corpus from foil, so its maps need not show what its name says.",
    "noisy": "Less than half of the map is signal. More masks, or a larger corpus and foil, make maps that repeat.",
    "moved": "The map changed since the encoder before, by more than its noise and by enough to be seen.",
}


def alerts(findings: Findings) -> str:
    """Warnings about encoders, then how many maps bear which flag; a quiet line where there is nothing to say."""
    said = []
    for frame in findings.frames:
        who = f"<b>{text(frame.title)}:</b> " if len(findings.frames) > 1 else ""
        said += [f"<li>{who}{text(warning)}</li>" for warning in frame.warnings]
    total = findings.flags[:, :, findings.finished].size
    for flag, count in _flags(findings).most_common():
        said.append(f'<li><i class="flag">{text(flag)}</i> {count} of {many(total, "map")}. {text(_FLAGS.get(flag, ""))}</li>')
    if said:
        return f'<aside aria-labelledby="warned"><h2 id="warned">Before you read the maps</h2><ul>{"".join(said)}</ul></aside>'
    return '<p class="quiet">No warnings.</p>' if total else ""


def reading(findings: Findings, *, side: int, native: int) -> str:
    """What colours, numbers and flags mean, in a sentence or two each; only what this report has."""
    away, towards = findings.words
    entries = [("Colours", _COLOURS.format(away=away, towards=towards))]
    entries += [entry for name, entry in _NUMBERS.items() if name in findings.columns]
    entries += [("Views", _VIEWS)] if len(findings.views) > 1 else []
    entries += [("Resolution", _RESOLUTION.format(native=native, side=side))] if native > side else []
    present = _flags(findings)
    entries += [(f"Warning: {flag}", words) for flag, words in _FLAGS.items() if flag in present]
    listed = "".join(f"<div><dt>{text(term)}</dt><dd>{text(words)}</dd></div>" for term, words in entries)
    return f'<section id="reading"><h2>How to read this</h2><dl>{listed}</dl></section>'


def _flags(findings: Findings) -> Counter[str]:
    """How many maps bear each flag; a map may bear several."""
    return Counter(flag for flags in findings.flags[:, :, findings.finished].flatten().tolist() for flag in split_flags(flags))
