"""Scripts in processes of their own that find torch and Lightning imported already: a start costs next to nothing, not ten seconds.

Such a process is forked from one that has imported them. It has an output, a folder and an exit code of its own, and can be killed. What
depends on how an interpreter starts is tested by real starts, as in test_main_job.py, test_bad_input.py and test_law_11_no_torch.py.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import shutil
import signal
import sys
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PRELOAD = [
    "cocoa_pl.runs",
    "cocoa_pl.runs.explaining",
    "lightly.transforms",
    "torch.utils.tensorboard",
    "tests.programs",
    "tests.e2e.killing",
]


def forked(target: Callable[..., None], *args: Any) -> ForkServerProcess:
    """A process that is started, with everything imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOAD)
    process = context.Process(target=target, args=args)
    process.start()
    return process


@dataclass(frozen=True)
class Done:
    """What is left of a program: exit code (below 0: the signal that ended it), standard output and errors."""

    returncode: int
    stdout: str
    stderr: str


class Program:
    """A script or module that runs.

    Args:
        name: path of a script, or name of a module, as of ``python`` and ``python -m``.
        argv: its words.
        cwd: folder it starts in.
        env: its environment, instead of the one that the first program of these tests found.
    """

    def __init__(self, name: str, argv: Sequence[str], *, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> None:
        told = tempfile.mkdtemp()
        self._files = [Path(told, each) for each in ("stdout", "stderr")]
        self._process = forked(_play, name, list(argv), str(cwd), None if env is None else dict(env), [str(file) for file in self._files])
        assert self._process.pid is not None
        self.pid = self._process.pid
        self._end = weakref.finalize(self, _end, self._process, told)  # also where a test fails before

    @property
    def runs(self) -> bool:
        """Whether it is still there."""
        return self._process.is_alive()

    def kill(self) -> Done:
        """End it by SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        return self.done()

    def done(self, *, seconds: float = 300) -> Done:
        """Wait for its end.

        Raises:
            AssertionError: it does not end in time; it is killed.
        """
        self._process.join(seconds)
        late = self._process.is_alive()
        stdout, stderr = (file.read_text() if file.exists() else "" for file in self._files)
        self._end()
        assert not late, f"not done after {seconds} s: {stderr[-2000:]}"
        assert self._process.exitcode is not None
        return Done(self._process.exitcode, stdout, stderr)


def _end(process: ForkServerProcess, told: str) -> None:
    if process.is_alive():
        process.kill()
        process.join()
    shutil.rmtree(told, ignore_errors=True)


def run(name: str, argv: Sequence[str], *, cwd: Path = ROOT, seconds: float = 300) -> Done:
    """A program from its start to its end."""
    return Program(name, argv, cwd=cwd).done(seconds=seconds)


def _play(name: str, argv: list[str], cwd: str, env: dict[str, str] | None, files: list[str]) -> None:
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    if env is not None:
        os.environ.clear()
        os.environ.update(env)
    os.chdir(cwd)
    sys.argv = [name, *argv]
    if name.endswith(".py"):
        sys.path.insert(0, str(Path(name).parent))
        runpy.run_path(name, run_name="__main__")
    else:
        sys.path.insert(0, cwd)
        runpy.run_module(name, run_name="__main__", alter_sys=True)
