"""An explanation saved, loaded, drawn and tabulated."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.errors import CheckpointError, ConfigError, OutputError
from cocoa_pl.explainer import Explainer
from cocoa_pl.explanation import Explanation
from cocoa_pl.targets import bootstrap, cocoa, label_free


def pictures(num: int, *, seed: int = 0) -> Tensor:
    return torch.rand(num, 3, 12, 14, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def explanation() -> Explanation:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3)), pool=True)
    corpus, foil = encoder.encode(pictures(6, seed=1)), encoder.encode(pictures(9, seed=2))
    explainer = Explainer(encoder, attributions=["integrated_gradients", "rise"], removal="blur")
    return explainer.explain(
        pictures(3), cocoa(corpus, foil), seed=4, replicates={"cocoa": bootstrap(corpus, foil, num_replicates=20, seed=0)}
    )


def test_it_comes_back_as_it_was(explanation: Explanation, tmp_path: Path) -> None:
    written = explanation.save(tmp_path / "folder" / "mine")
    assert written == tmp_path / "folder" / "mine.npz"
    for path in (written, tmp_path / "folder" / "mine", tmp_path / "folder" / "mine.json"):
        back = Explanation.load(path)
        for group in ("attributions", "standard_errors", "reliability", "intervals"):
            mine, theirs = getattr(explanation, group), getattr(back, group)
            assert mine.keys() == theirs.keys()
            assert all(torch.equal(mine[name], theirs[name]) for name in mine)
        for name in ("scores", "explicands", "baseline", "score_intervals"):
            assert torch.equal(getattr(back, name), getattr(explanation, name))
        assert (back.targets, back.seed, back.num_samples) == (("cocoa",), 4, {"rise": 1000})
        assert back.settings == explanation.settings


def test_settings_say_how_it_was_made(explanation: Explanation) -> None:
    assert explanation.settings["methods"]["rise"].startswith("Rise(num_masks=1000, grid_size=7")
    assert explanation.settings["removal"] == "Blur(sigma=5.0, radius=10)"
    assert explanation.settings["num_forwards"] == 3 * (1 + 50 + 1001)
    assert set(explanation.settings["versions"]) == {"cocoa_pl", "torch"}


@pytest.mark.parametrize("damage", ["missing", "truncated", "json", "format", "other"])
def test_files_that_hold_no_explanation(explanation: Explanation, tmp_path: Path, damage: str) -> None:
    npz = explanation.save(tmp_path / "mine")
    if damage == "missing":
        npz.unlink()
    elif damage == "truncated":
        npz.write_bytes(npz.read_bytes()[:100])
    elif damage == "json":
        npz.with_suffix(".json").write_text("{")
    elif damage == "format":
        content = json.loads(npz.with_suffix(".json").read_text()) | {"format": 99}
        npz.with_suffix(".json").write_text(json.dumps(content))
    else:
        np.savez(npz, scores=np.array([object()], dtype=object))
    with pytest.raises(CheckpointError, match=r"format 99" if damage == "format" else r"no explanation that can be read"):
        Explanation.load(npz)


def test_an_unwritable_place(explanation: Explanation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        explanation.save(tmp_path / "file" / "mine")


def test_a_plot_has_one_map_a_method_and_explicand(explanation: Explanation, tmp_path: Path) -> None:
    sheet = explanation.plot(tmp_path / "sheet.png", names=["a", "b", "c"])
    with Image.open(tmp_path / "sheet.png") as written:
        assert written.size == sheet.size
    colours = np.asarray(sheet).reshape(-1, 3).astype(int)
    assert (colours.max(1) - colours.min(1) > 60).mean() > 0.02  # coloured maps, not grey ones
    assert explanation.plot(target="cocoa").size == explanation.plot().size
    with pytest.raises(ConfigError, match=r"target=coca: not explained here; .*did you mean 'cocoa'"):
        explanation.plot(target="coca")


def test_a_frame_has_one_row_a_map(explanation: Explanation) -> None:
    frame = explanation.to_frame()
    assert len(frame) == 2 * 1 * 3
    rise = frame[frame.method == "rise"]
    assert rise.reliability.between(0.5, 1).all()
    assert (rise.num_samples == 1000).all()
    assert (frame.score_low <= frame.score).all()
    assert (frame.score <= frame.score_high).all()
    assert not frame.flat.any()
    sums = explanation.attributions["integrated_gradients"].sum((-2, -1))[0]
    np.testing.assert_allclose(frame[frame.method == "integrated_gradients"].map_sum, sums.numpy(), rtol=1e-5)


def test_intervals_hold_the_map_and_shrink_with_the_corpus(explanation: Explanation) -> None:
    low, high = explanation.intervals["rise"]
    assert low.shape == explanation.attributions["rise"].shape
    inside = (low <= explanation.attributions["rise"]) & (explanation.attributions["rise"] <= high)
    assert inside.float().mean() > 0.9


def test_a_map_without_any_value_is_flat() -> None:
    encoder = FrozenEncoder(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), pool=True)
    nn.init.constant_(encoder.module[0].bias, -100)
    given = Explainer(encoder, attributions=["integrated_gradients"]).explain(pictures(2), label_free(encoder.encode(pictures(2))))
    assert given.is_flat("integrated_gradients").all()
    assert given.to_frame().flat.all()
    assert given.plot().width > 0
