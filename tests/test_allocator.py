"""The allocator's setting is taken where there is one, and passes give the same numbers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from cocoa_pl.allocator import keep_freed_memory

_FAULTS = """
import resource, torch
from cocoa_pl import keep_freed_memory
torch.set_num_threads(1)
if {keep}: assert keep_freed_memory()
def touch():
    return sum(float(torch.ones(12_000_000)[-1]) for _ in range(10))
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a setting of glibc")
def test_large_blocks_are_used_again() -> None:
    faults = [
        int(subprocess.run([sys.executable, "-c", _FAULTS.format(keep=keep)], capture_output=True, text=True, check=True).stdout)
        for keep in (False, True)
    ]
    assert faults[1] < faults[0] / 5


def test_elsewhere_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert keep_freed_memory() is False
