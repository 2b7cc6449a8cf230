"""Findings of looks where texts are explained: what each map is towards, and how sure its scores are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import nn

from cocoa_pl.asking.quality import target_quality
from cocoa_pl.attributions import Rise
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.monitor import Monitor, read
from cocoa_pl.removal import Black
from cocoa_pl.report.figures import name_of, trace_title
from cocoa_pl.report.findings import Findings, Frame
from cocoa_pl.report.looks import findings_of_looks
from tests.coloured import encoder, explain_set, text_encoder

VIEWS = ("original", "flip", "grayscale")


@pytest.fixture(scope="module")
def given() -> ExplainSet:
    return explain_set(num=3, views=VIEWS)


def findings(given: ExplainSet, *, texts: Sequence[bool]) -> Findings:
    readings, qualities = [], []
    for with_texts in texts:
        monitor = Monitor(
            given, attributions={"rise": Rise(num_masks=16, grid_size=4)}, removal=Black(), curve_steps=2, texts=with_texts
        )  # fmt: skip
        readings.append(read(given, monitor.look(encoder())))
        qualities.append(target_quality(given, encoder()))
    frames = [Frame(f"epoch {number}", {}, reading.scalars) for number, reading in enumerate(readings)]
    return findings_of_looks(readings, frames, qualities, title="Looks", facts=[], settings={})


def test_every_map_says_which_text_it_is_towards(given: ExplainSet) -> None:
    found = findings(given, texts=[True, True])
    assert [(trace.key, trace.target) for trace in found.traces] == [("rise", "the original image"), ("rise-text", "its text")]
    assert found.labels is not None
    assert found.labels.shape == (2, 2, 3, 3)
    assert (found.labels[:, 0] == "").all()
    for e, phrase in enumerate(given.phrases):
        assert (found.labels[:, 1, e] == phrase).all()
    agreement = found.columns["absent_agreement"]
    assert np.isnan(agreement[:, 0]).all()
    assert np.isfinite(agreement[:, 1, :, 0]).all()
    assert np.isnan(agreement[:, 1, :, 1:]).all(), "measured on the originals alone"


def test_without_texts_there_are_no_labels(given: ExplainSet) -> None:
    found = findings(given, texts=[False])
    assert found.labels is None
    assert "absent_agreement" not in found.columns


def test_a_score_towards_a_text_errs_as_the_mean_over_its_foil(given: ExplainSet) -> None:
    found = target_quality(given, encoder())["-text"]
    foil = nn.functional.normalize(text_encoder().encode(given.text_foil), dim=1)
    for row, image in enumerate(given.explicands):
        unit = nn.functional.normalize(image.mean((1, 2)), dim=0)
        likeness = torch.tensor([float(unit @ one) for one in foil])
        assert float(found.score_error[row]) == pytest.approx(float(likeness.std()) / len(foil) ** 0.5, rel=1e-4)
    assert bool(found.auroc.isnan().all())
    assert found.auroc.shape == found.score_error.shape == (len(given.explicands),)
    assert "-text" not in target_quality(given, encoder(with_texts=False))


def test_pictures_are_called_by_their_text(given: ExplainSet) -> None:
    assert name_of(given, 1) == f"{given.phrases[1]}, {given.names[1]}"
    assert trace_title("rise-text") == "RISE towards its text"
