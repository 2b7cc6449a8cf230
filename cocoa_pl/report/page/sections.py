"""The words around the pictures: what to be warned of, how to read a map."""

from __future__ import annotations

from collections import Counter

from cocoa_pl.report.findings import Findings
from cocoa_pl.report.page.markup import many, number, split_flags, text

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
_WORDS = (
    "Beneath a map stands its prompt. A word's ground has the colours of the maps: how much the word raises or lowers the score of this "
    "picture. It is full at {scale} and beyond, for all prompts of this page."
)
_LABELS = "Where a target differs from picture to picture, such as concept 1, the name beneath it is what it stands for in this picture."
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
    "rank": (
        "Rank",
        "The share of the foil's texts that this picture is less like than the text of the corpus. 1: it is like this text more than like "
        "any of them. Where the rank is low, what the text names may not be there, and the map shows the next best.",
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
    "prompt_agreement": (
        "Prompt agreement",
        "The rank correlation of the map with that of a nonsense text in the same sentence. Near 1, the map shows what stands out to the "
        "encoder, whatever was asked.",
    ),
    "absent_agreement": (
        "Agreement with an absent text",
        "The rank correlation of the map with that of a text about something that is not in the picture. Near 1, the map shows what stands "
        "out to the encoder, whatever was asked.",
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
    "box_left": (
        "Boxes",
        "The outline is the box around the largest part of the map that is above its threshold: where the encoder finds what was asked "
        "for, if it finds it. All numbers has its ends, in pixels of the explained picture.",
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
    "not in the picture?": "Many of the foil's texts score higher, so what the text names may not be there: the map shows the next best.",
    "same for any text": "The map is nearly that of a nonsense text in the same sentence: it says little of what was asked.",
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
    entries += [("Names of targets", _LABELS)] if findings.labels is not None else []
    entries += [("Words", _WORDS.format(scale=number(findings.word_scale)))] if findings.word_values else []
    entries += [("Views", _VIEWS)] if len(findings.views) > 1 else []
    entries += [("Resolution", _RESOLUTION.format(native=native, side=side))] if native > side else []
    present = _flags(findings)
    entries += [(f"Warning: {flag}", words) for flag, words in _FLAGS.items() if flag in present]
    listed = "".join(f"<div><dt>{text(term)}</dt><dd>{text(words)}</dd></div>" for term, words in entries)
    return f'<section id="reading"><h2>How to read this</h2><dl>{listed}</dl></section>'


def _flags(findings: Findings) -> Counter[str]:
    """How many maps bear each flag; a map may bear several."""
    return Counter(flag for flags in findings.flags[:, :, findings.finished].flatten().tolist() for flag in split_flags(flags))
