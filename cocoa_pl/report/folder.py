"""A report folder: a page for people, tables and raw maps for programs, pictures."""

from __future__ import annotations

from pathlib import Path

from cocoa_pl.report.findings import Findings
from cocoa_pl.report.html import write_html
from cocoa_pl.report.pictures import MaskOf, write_pictures
from cocoa_pl.report.portable import portable
from cocoa_pl.report.summary import summary
from cocoa_pl.report.tables import write_attributions, write_metrics, write_report_json, write_words

REPORT_PARTS = ("report.html", "attributions.npz", "metrics.csv", "words.csv", "drift.csv", "heatmaps", "masks", "strips")
"""What a report replaces, besides ``report.json``."""
_MOST_PICTURES = 1000  # that get PNGs


def write_report(folder: Path, findings: Findings, *, mask_of: MaskOf) -> None:
    """Write ``report.html``, ``report.json``, ``metrics.csv``, ``attributions.npz``, ``heatmaps/`` and ``masks/``, and print a summary.

    ``words.csv`` as well, where words of prompts have values. None of them names an absolute path.

    Raises:
        OutputError: the folder cannot be written to.
    """
    findings = portable(findings)
    write_attributions(folder / "attributions.npz", findings)
    write_metrics(folder / "metrics.csv", findings)
    write_words(folder / "words.csv", findings)
    num = write_pictures(folder, findings, mask_of=mask_of, max_pictures=_MOST_PICTURES)
    write_report_json(folder / "report.json", findings)
    shown = write_html(folder / "report.html", findings)
    print(summary(findings))
    of_all = "" if shown == len(findings.pictures) else f" (the first {shown} of {len(findings.pictures)} pictures)"
    print(f"\n{folder / 'report.html'}{of_all}")
    words = ", words.csv" if findings.word_values else ""
    print(f"beside it: report.json, metrics.csv{words}, attributions.npz; heatmaps/ and masks/ of {num} pictures")
