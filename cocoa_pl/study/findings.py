"""The paper's findings on the encoders of a study: each holds, does not hold, or is undecided, with its number and interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cocoa_pl.report.markdown import table
from cocoa_pl.study.judging import FACTOR_CLAIMS, FAILS, GRID_CLAIMS, HOLDS, UNDECIDED, rules
from cocoa_pl.study.results import Results
from cocoa_pl.study.writing import encoders, words_of

VERDICTS = (HOLDS, FAILS, UNDECIDED)
NOT_TESTED = "not tested"


@dataclass(frozen=True)
class Finding:
    """A claim, judged.

    Attributes:
        claim: a clause: it is true of the encoder, or not.
        encoder: its title.
        where: the method, in words; empty where the claim is of none.
        verdict: HOLDS, FAILS or UNDECIDED.
        evidence: numbers with their intervals.
    """

    claim: str
    encoder: str
    where: str
    verdict: str
    evidence: str


def findings(results: Results) -> list[Finding]:
    """All findings that can be judged, claim by claim, then encoder by encoder, then by method."""
    titles = encoders(results)
    found: list[Finding] = []
    for claim, judge, settings in GRID_CLAIMS:
        for setting in settings:
            said = f"{claim} ({words_of(setting)})"
            found += [Finding(said, title, *judged) for title in titles for judged in judge(results, title, setting)]
    for claim, name, judge_factor in FACTOR_CLAIMS:
        for factor in (factor for title in titles for factor in results.factors if (factor.encoder, factor.name) == (title, name)):
            found += [Finding(claim, factor.encoder, words_of(factor.method), *judged) for judged in judge_factor(factor)]
    return found


def findings_markdown(found: Sequence[Finding]) -> str:
    """A table of verdicts, a claim a row and an encoder a column; then the rules, and the numbers.

    Methods are merged: "holds" where all agree, else "holds (RISE); undecided (GradientSHAP)". Of one encoder :func:`summary_words` says
    as much as the table would, so that it is left out.
    """
    if not found:
        return "No finding could be judged: that takes intervals, which take two seeds at least, and COCOA beside what it is compared with."
    titles = list(dict.fromkeys(one.encoder for one in found))
    claims = list(dict.fromkeys(one.claim for one in found))
    verdicts = [
        [claim, *(merged([one for one in found if (one.claim, one.encoder) == (claim, title)]) for title in titles)] for claim in claims
    ]
    numbers = [
        ["" if before is not None and before.claim == one.claim else one.claim, one.encoder, one.where, one.verdict, one.evidence]
        for before, one in zip((None, *found), found, strict=False)
    ]
    return "\n\n".join(
        [
            *([table(["finding", *titles], verdicts)] if len(titles) > 1 else []),
            "\n".join(f"- {rule}" for rule in rules()),
            "<details><summary>The numbers behind each verdict</summary>",
            table(["finding", "encoder", "method", "verdict", "evidence"], numbers),
            "</details>",
        ]
    )


def summary_words(found: Sequence[Finding]) -> str:
    """The findings as a list, a line a claim: on which encoders it holds, does not hold, or is undecided, and by which methods.

    Example:
        >>> one = Finding("the sun shines", "north", "RISE", "holds", "")
        >>> other = Finding("the sun shines", "south", "RISE", "undecided", "")
        >>> print(summary_words([one, other]))
        - the sun shines: **holds** on north; **undecided** on south
    """
    claims = list(dict.fromkeys(one.claim for one in found))
    return "\n".join(f"- {claim}: {_verdicts([one for one in found if one.claim == claim])}" for claim in claims)


def merged(found: Sequence[Finding]) -> str:
    """The verdicts of an encoder on a claim, the methods together.

    Example:
        >>> merged([Finding("", "", "IG", "holds", ""), Finding("", "", "RISE", "undecided", ""), Finding("", "", "SHAP", "holds", "")])
        'holds (IG, SHAP); undecided (RISE)'
    """
    there = [verdict for verdict in VERDICTS if any(one.verdict == verdict for one in found)]
    if len(there) < 2:
        return there[0] if there else NOT_TESTED
    return "; ".join(f"{verdict} ({', '.join(one.where for one in found if one.verdict == verdict)})" for verdict in there)


def _verdicts(found: Sequence[Finding]) -> str:
    titles = list(dict.fromkeys(one.encoder for one in found))
    said = []
    for verdict in VERDICTS:
        where = [_where(title, found, verdict) for title in titles]
        if named := [words for words in where if words]:
            everywhere = named == titles and len(titles) > 1
            said.append(f"**{verdict}** on {f'all {len(titles)} encoders' if everywhere else ', '.join(named)}")
    return "; ".join(said)


def _where(title: str, found: Sequence[Finding], verdict: str) -> str:
    """The encoder where a verdict is of all its methods, with the methods where it is of some, nothing where it is of none."""
    own = [one for one in found if one.encoder == title]
    those = [one.where for one in own if one.verdict == verdict]
    return "" if not those else title if len(those) == len(own) else f"{title} ({', '.join(those)})"
