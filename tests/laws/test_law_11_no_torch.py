"""Law 11: importing the package, ``--help`` and a wrong option need no torch."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "torchvision", "pytorch_lightning", "lightly", "sklearn", "numpy")


def python(*arguments: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """A finished process and the CPU seconds it took (wall time would measure what else the machine does)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, check=False, timeout=60, env=os.environ | {"COLUMNS": "100"}
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return done, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def imported(stderr: str) -> set[str]:
    """Top-level packages in the report of ``-X importtime``."""
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in stderr.splitlines() if line.startswith("import time:")}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("-c", "import cocoa_pl"), 0),
        (("-c", "import cocoa_pl.cli"), 0),
        (("train.py", "--help"), 0),
        (("explain.py", "--help"), 0),
        (("train.py", "--print-config", "optim.lr=1e-3"), 0),
        (("train.py", "optim.lrr=1"), 2),
        (("explain.py", "--ckpt", "nowhere.ckpt"), 2),
        (("-m", "cocoa_pl.localise", "--help"), 0),
        (("-m", "cocoa_pl.localise", "--encoder", "open_clip:ViT-B-32", "--annotations", "nowhere.csv"), 2),
        (("-m", "cocoa_pl.study", "--help"), 0),
        (("-m", "cocoa_pl.study", "--ckpt", "nowhere", "study.seeds=[1]"), 2),
    ],
)
def test_nothing_heavy_is_imported_and_it_takes_under_a_second(arguments: tuple[str, ...], code: int) -> None:
    done, seconds = python("-X", "importtime", *arguments)
    assert done.returncode == code, done.stderr[-500:]
    packages = imported(done.stderr)
    assert "cocoa_pl" in packages
    assert packages.isdisjoint(HEAVY)
    assert min(seconds, *(python(*arguments)[1] for _ in range(2 if seconds > 1 else 0)), 60) < 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("train.py", "optim.lrr=1"), "error: unknown option 'optim.lrr'; did you mean 'optim.lr'? (see --help)"),
        (("train.py", "optim.lr=-1"), "error: optim.lr=-1.0: must be greater than 0"),
        (("train.py", "--config", "none.yaml"), "error: --config none.yaml: cannot be read (No such file or directory)"),
        (("train.py", "--confg", "none.yaml"), "error: unrecognized arguments: --confg (see train.py --help)"),
        (
            ("train.py", "--resume", "nowhere"),
            "error: nowhere: no such checkpoint; give a .ckpt file or the folder of a run that holds last.ckpt",
        ),
        (("explain.py",), "error: --ckpt: which checkpoint? (see explain.py --help)"),
        (
            ("-m", "cocoa_pl.study"),
            "error: study.encoders: which encoders? give --ckpt PATH, or a config that names some, as in configs/study/",
        ),
    ],
)
def test_a_wrong_option_is_one_line_on_stderr_and_exit_code_2(arguments: tuple[str, ...], message: str) -> None:
    done, _ = python(*arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [message]
    assert done.stdout == ""


def test_every_public_name_is_imported_on_first_use() -> None:
    import cocoa_pl

    assert [getattr(getattr(cocoa_pl, name), "__name__", name) for name in cocoa_pl.__all__] == cocoa_pl.__all__
    with pytest.raises(AttributeError, match="no attribute 'coca'"):
        _ = cocoa_pl.coca


def test_an_unknown_name_is_an_attribute_error() -> None:
    import cocoa_pl

    with pytest.raises(AttributeError, match="has no attribute 'Rize'"):
        cocoa_pl.Rize  # noqa: B018
