"""Law 7: two processes equal one: loss, gradient, explanation metrics."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from lightly.loss import NTXentLoss
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cocoa_pl.config import Config, to_yaml

ROOT = Path(__file__).parents[2]
Logged = Callable[[Path], dict[tuple[int, str], float]]


def _network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 4)).double()


def _views() -> Tensor:
    return torch.randn(2, 8, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def _loss_and_gradient(network: nn.Module, views: Tensor) -> tuple[Tensor, Tensor]:
    loss = NTXentLoss(temperature=0.2, gather_distributed=True)(*network(torch.cat(list(views))).chunk(2))
    loss.backward()
    return loss.detach(), torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def _one_of_two(rank: int, port: int, out: str) -> None:
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2)
    network = DistributedDataParallel(_network())
    loss, gradient = _loss_and_gradient(network, _views()[:, rank * 4 : rank * 4 + 4])
    torch.distributed.all_reduce(loss)
    torch.save((loss / 2, gradient), f"{out}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_nt_xent_and_its_gradient(tmp_path: Path) -> None:
    expected_loss, expected = _loss_and_gradient(_network(), _views())
    torch.multiprocessing.spawn(_one_of_two, args=(_free_port(), str(tmp_path)), nprocs=2)
    for rank in range(2):
        loss, gradient = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(loss, expected_loss, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("num_explicands", [2, 1], ids=["even", "fewer rows than some ranks would like"])
def test_explanations_of_the_same_weights(tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged, num_explicands: int) -> None:
    values = []
    for devices in (1, 2):
        root = tmp_path / str(devices)
        few = f"explain.num_explicands={num_explicands}"
        config = smoke_config(root, "trainer.epochs=1", f"trainer.devices={devices}", few, "explain.views=[original,flip,crop]")
        (tmp_path / "config.yaml").write_text(to_yaml(config))
        command = [sys.executable, str(ROOT / "train.py"), "--config", str(tmp_path / "config.yaml")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=os.environ | {"OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr[-3000:]
        assert [path.name for path in root.iterdir()] == ["smoke"], "only one process makes a folder"
        values.append(logged(root / "smoke"))
    untrained = [{name: value for (step, name), value in found.items() if step == 0 and name.startswith("explain/")} for found in values]
    # a second process encodes the corpora and the foil for itself
    for found in untrained:
        assert found.pop("explain/num_forwards") > 0
    assert untrained[1] == pytest.approx(untrained[0], abs=1e-5, nan_ok=True)
    assert (1, "explain/rise/gap") in values[1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
