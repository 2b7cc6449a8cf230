"""``examples/monitor_your_own_module.py`` does what it says."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

EXAMPLE = Path(__file__).parents[2] / "examples/monitor_your_own_module.py"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::lightning_fabric.utilities.warnings.PossibleUserWarning")
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")
def test_a_module_in_the_manner_of_lightly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["monitor_your_own_module.py", "--out", str(tmp_path), "--epochs", "1"])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert "| rise-class |" in capsys.readouterr().out  # the folders' labels were found
    with np.load(tmp_path / "heatmaps/epoch-0001.npz") as look:
        assert look["rise"].shape == (12, 32, 32)
        assert np.isfinite(look["rise"]).all()
        assert np.ptp(look["rise"], axis=(1, 2)).min() > 0
    sheet = Image.open(tmp_path / "heatmaps/epoch-0001-rise-sheet.png").convert("RGB")
    assert len(sheet.getcolors(maxcolors=2**24) or []) > 500  # pictures and maps, not a blank page
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("explain/rise/gap")] == [0, 1]
    assert [event.step for event in events.Scalars("explain/rise/drift_previous")] == [1]
