"""Double precision, by which law 7 is checked: the same numbers as single precision to its rounding, in every method and in explain.py."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from cocoa_pl.cli import Request
from cocoa_pl.config import Config
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.explainer import Explainer
from cocoa_pl.removal import Blur
from cocoa_pl.runs import explain, train
from cocoa_pl.targets import stack
from cocoa_pl.types import Attribution, Target

Logged = Callable[[Path], dict[tuple[int, str], float]]
_MACHINE = {"explain/seconds", "explain/share_of_epoch"}


def test_every_method_takes_an_encoder_in_double_precision(
    tiny_encoder: FrozenEncoder, tiny_explicands: Tensor, tiny_targets: Callable[[Tensor], list[Target]],
    every_method: Mapping[str, Attribution],
) -> None:  # fmt: skip
    normalise = {"mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.2)}
    exact = FrozenEncoder(tiny_encoder.module, precision="64", pool=True, **normalise)
    assert {part.dtype for part in exact.module.parameters()} == {torch.float64}
    targets = stack(tiny_targets(tiny_explicands)[:3])
    for name, method in every_method.items():
        single, double = (
            Explainer(encoder, attributions={name: method}, removal=Blur()).explain(tiny_explicands, targets, seed=4).attributions[name]
            for encoder in (tiny_encoder, exact)
        )
        assert double.dtype == torch.float32
        torch.testing.assert_close(double, single, rtol=1e-3, atol=float(single.abs().max()) * 1e-4, msg=name)


def test_an_encoder_of_double_weights_is_explained_in_single_precision() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(12, 4)).double()
    reps = FrozenEncoder(network)(torch.rand(2, 3, 2, 2))
    assert reps.dtype == torch.float32


def test_explaining_the_last_checkpoint_of_a_run_in_double_precision(
    tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged
) -> None:
    short = ("data.num_train=64", "trainer.epochs=1", "explain.attributions=[rise]", "explain.views=[original, flip]", "run.logger=csv")
    train(smoke_config(tmp_path, "trainer.precision=64", "explain.precision=64", *short))
    state = torch.load(tmp_path / "smoke/last.ckpt", weights_only=True)["state_dict"]
    assert {part.dtype for part in state.values() if part.is_floating_point()} == {torch.float64}
    explain(Request((tmp_path / "smoke/last.ckpt",), out=tmp_path / "report"))
    again = json.loads((tmp_path / "report/report.json").read_text())["scalars"]
    before = {name: value for (step, name), value in logged(tmp_path / "smoke").items() if step == 1 and name.startswith("explain/")}
    assert before.keys() - _MACHINE == again.keys()
    assert {name: value for name, value in again.items() if value is not None} == pytest.approx(
        {name: value for name, value in before.items() if again.get(name) is not None}, rel=0, abs=0
    )
