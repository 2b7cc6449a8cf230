"""Law 7, whole runs: two processes, however they are started, log the numbers of one, to the last epoch."""

from __future__ import annotations

import math
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cocoa_pl.config import Config, to_yaml
from cocoa_pl.runs import train
from tests.programs import Done, Program

ROOT = Path(__file__).parents[2]
Logged = Callable[[Path], dict[tuple[int, str], float]]
_DIFFERS = {
    "explain/num_forwards",
    "explain/seconds",
    "explain/share_of_epoch",
}  # of rows that all explain together, every process scores the originals


def _tiny(make: Callable[..., Config], root: Path, *overrides: str) -> Config:
    """A run of two epochs in double precision, so that what the optimiser makes of rounding stays far below the tolerance."""
    return make(
        root, "data.num_train=32", "data.num_val=13", "data.num_bank=17", "data.batch_size=8", "explain.num_steps=3", "explain.foil_size=8",
        "explain.views=[original,flip]", "explain.num_pairs=1", "trainer.precision=64", "explain.precision=64",
        "trainer.sync_batchnorm=true", *overrides,
    )  # fmt: skip


def _command(folder: Path, config: Config, *overrides: str) -> list[str]:
    file = folder / "config.yaml"
    if not file.exists():  # a process may be reading it already
        file.write_text(to_yaml(config))
    return [str(ROOT / "train.py"), "--config", str(file), "trainer.strategy=ddp", *overrides]


def _under_slurm(folder: Path, config: Config, rank: int) -> Callable[[], Done]:
    """A process of two on one node, as srun would start it."""
    variables = {"NTASKS": "2", "NTASKS_PER_NODE": "2", "PROCID": str(rank), "LOCALID": str(rank), "NODEID": "0", "JOB_ID": "7"}
    variables |= {"JOB_NAME": "law", "JOB_NODELIST": "localhost", "NODELIST": "localhost"}
    own = {f"SLURM_{name}": value for name, value in variables.items()} | {"MASTER_ADDR": "127.0.0.1"}
    script, *words = _command(folder, config, "trainer.devices=2")
    return Program(script, words, env=_environment(folder) | own).done


def _of_two_nodes(folder: Path, config: Config, rank: int) -> Callable[[], Done]:
    """A node of two with one process each, as torchrun starts it."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", f"--node-rank={rank}", "--nproc-per-node=1"]
    launcher += ["--master-addr=127.0.0.1", f"--master-port={_port_of(folder)}"]
    command = [*launcher, *_command(folder, config, "trainer.num_nodes=2", "trainer.devices=1")]
    process = subprocess.Popen(command, env=_environment(folder), stderr=subprocess.PIPE, text=True)

    def done() -> Done:
        stderr = process.communicate(timeout=300)[1]
        return Done(process.returncode, "", stderr)

    return done


def _environment(folder: Path) -> dict[str, str]:
    base = {name: value for name, value in os.environ.items() if not name.startswith("SLURM_")}
    return base | {"OMP_NUM_THREADS": "1", "MASTER_PORT": str(_port_of(folder))}


def _port_of(folder: Path) -> int:
    """One port for all processes of a test."""
    file = folder / "port"
    if not file.exists():
        file.write_text(str(_free_port()))
    return int(file.read_text())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("start", "few"), [(_under_slurm, ("explain.num_explicands=3",)), (_of_two_nodes, ("explain.num_explicands=1", "data.num_val=12"))],
    ids=["three explicands, under SLURM", "one explicand, on two nodes"],
)  # fmt: skip
def test_whole_runs(
    tmp_path: Path, smoke_config: Callable[..., Config], logged: Logged, few: tuple[str, ...],
    start: Callable[[Path, Config, int], Callable[[], Done]],
) -> None:  # fmt: skip
    config = _tiny(smoke_config, tmp_path / "two", *few)
    started = [start(tmp_path, config, rank) for rank in range(2)]
    ends = [done() for done in started]
    assert [end.returncode for end in ends] == [0, 0], ends
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["smoke"], "only one process makes a folder"
    train(_tiny(smoke_config, tmp_path / "one", *few))
    _assert_same_curves(logged(tmp_path / "two/smoke"), logged(tmp_path / "one/smoke"))


def _assert_same_curves(two: Mapping[tuple[int, str], float], one: Mapping[tuple[int, str], float]) -> None:
    assert two.keys() == one.keys()
    compared = {key: value for key, value in one.items() if key[1] not in _DIFFERS}
    for prefix in ("explain/", "val/", "train/"):
        assert {step for step, name in compared if name.startswith(prefix)} >= {1, 2}
    for (step, name), value in compared.items():
        found = two[step, name]
        assert math.isclose(found, value, rel_tol=1e-6, abs_tol=1e-6) or (found != found and value != value), (step, name, found, value)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
