"""200 mutated checkpoints, configs and pictures: taken or refused in one line; nothing hangs, is executed, or breaks what was there."""

from __future__ import annotations

import contextlib
import faulthandler
import shutil
import signal
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cocoa_pl import runs
from cocoa_pl.cli import parse_explain, parse_train, run
from tests.e2e import mutated_checkpoints, mutations
from tests.e2e.asking import FEW, SIDE, write_encoder, write_pictures

ROOT = Path(__file__).parents[2]
NUM_CHECKPOINTS, NUM_CONFIGS, NUM_PICTURES = 70, 70, 60
_SECONDS = 20  # of a case, on a machine with other work
_REFUSED = 2
_PROGRAMS = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen", "pickle.find_class")
_OUTCOMES: Counter[tuple[str, int]] = Counter()

pytestmark = pytest.mark.filterwarnings("ignore")  # a script prints them, and goes on


class _Watch:
    """Hears what Python is about to execute while it listens; a hook cannot be taken away again."""

    def __init__(self) -> None:
        self.listens = False
        self.heard: list[str] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.listens:
            return
        if event in _PROGRAMS or (event == "exec" and mutations.MARK in getattr(arguments[0], "co_names", ())):
            self.heard.append(f"{event} {arguments}"[:200])
        if event == "compile" and mutations.MARK in str(arguments[0]):
            self.heard.append(f"{event} {arguments}"[:200])


@pytest.fixture(scope="module")
def watch() -> _Watch:
    return _Watch()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, smoke_run: Path) -> Path:
    """A folder with a run, a few pictures, an encoder, and a good report in the place where reports go."""
    root = tmp_path_factory.mktemp("fuzz")
    write_encoder(root)
    write_pictures(root / "pictures", 1, seed=0)
    write_pictures(root / "foil", 12, seed=1)
    shutil.copytree(smoke_run, root / "run")
    with contextlib.chdir(root):
        runs.explain(parse_explain(_question("pictures")))
    return root


@pytest.fixture
def command(
    place: Path, watch: _Watch, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., int]]:
    """Runs a script in this process, and sees to all that must hold whatever it was given; gives the exit code."""
    monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    interrupt = signal.getsignal(signal.SIGINT)

    def call(kind: str, main: Callable[[], object]) -> int:
        before = _content(place)
        with _no_longer_than(_SECONDS):
            watch.heard.clear()
            watch.listens = True
            try:
                with pytest.raises(SystemExit) as ended:
                    run(lambda: main() and None)
            finally:
                watch.listens = False
        code, errors = int(ended.value.code or 0), capsys.readouterr().err.splitlines()
        _OUTCOMES[kind, code] += 1
        assert code in (0, _REFUSED), errors
        assert [line.startswith("error: ") for line in errors if "Traceback" in line or not line.startswith("warning: ")] == [True] * (
            code // 2
        )
        assert not watch.heard
        assert not (place / mutations.MARK).exists()
        if code == _REFUSED:
            after = _content(place)
            assert {name: after.get(name) for name in before} == before
        return code

    yield call
    signal.signal(signal.SIGINT, interrupt)


@pytest.mark.parametrize("seed", range(NUM_CHECKPOINTS))
def test_a_mutated_checkpoint(seed: int, place: Path, smoke_run: Path, command: Callable[..., int]) -> None:
    content = mutated_checkpoints.checkpoint((smoke_run / "last.ckpt").read_bytes(), seed)
    match seed // len(mutated_checkpoints.CHECKPOINTS):
        case 0 | 3:
            path = mutations.write(place / "mutated.ckpt", content)
            command("checkpoint", lambda: runs.explain(parse_explain(_question("pictures", "--ckpt", str(path), encoder=False))))
        case 1:
            path = mutations.write(place / "mutated.ckpt", content)
            command(
                "checkpoint", lambda: runs.explain(parse_explain(["--ckpt", str(path), "--out", "report", *FEW, "trainer.accelerator=cpu"]))
            )
        case _:
            shutil.rmtree(place / "run")
            shutil.copytree(smoke_run, place / "run")
            mutations.write(place / "run" / "last.ckpt", content)

            def resume() -> None:
                config, checkpoint = parse_train(["--resume", "run/last.ckpt" if seed % 2 else "run"])
                runs.train(config, resume=checkpoint)

            command("resumed", resume)


@pytest.mark.parametrize("seed", range(NUM_CONFIGS))
def test_a_mutated_config(seed: int, place: Path, command: Callable[..., int]) -> None:
    """As far as what it says: what is printed can be read again."""
    files = sorted((ROOT / "configs").glob("*.yaml"))
    path = mutations.write(place / "mutated.yaml", mutations.config(files[seed % len(files)].read_bytes(), seed))
    command("config", lambda: parse_train(["--config", str(path), "--print-config"]))


@pytest.mark.parametrize("seed", range(NUM_PICTURES))
def test_a_mutated_picture(seed: int, place: Path, command: Callable[..., int]) -> None:
    """As what is explained, or in a folder that is a data set; it is left out where that is allowed."""
    ending, content = mutations.picture(seed)
    shutil.rmtree(place / "mutated", ignore_errors=True)
    folder = place / "mutated"
    if seed % 3:
        folder.mkdir()
        what, more = str(mutations.write(folder / f"mutated.{ending}", content)), ()
    else:
        shutil.copytree(place / "foil", folder)
        mutations.write(folder / f"a.{ending}", content)
        skip = "skip" if seed % 2 else "error"
        what, more = "train:0,1", ("data.name=image_folder", "data.root=mutated", "data.val_fraction=0.5", f"data.on_bad_image={skip}")
    command("picture", lambda: runs.explain(parse_explain(_question(what, *more))))


def test_they_are_200_of_which_some_are_good() -> None:
    """Random noise must leave some files readable and break others, or the mutations are too strong or too weak."""
    assert NUM_CHECKPOINTS + NUM_CONFIGS + NUM_PICTURES == 200
    if sum(_OUTCOMES.values()) == 200:  # unless some were deselected
        kinds = {kind for kind, _ in _OUTCOMES}
        assert {kind for kind, code in _OUTCOMES if code == 0} == kinds
        assert {kind for kind, code in _OUTCOMES if code == _REFUSED} == kinds


def _question(what: str, *more: str, encoder: bool = True) -> list[str]:
    """A command line that explains something by one method with few masks."""
    own = ["--encoder", "someones_encoder:make", "--image-size", str(SIDE)] if encoder else []
    return [*own, "--input", what, "--foil", "foil", "--cache", "none", "--out", "report", *more, *FEW]


def _content(folder: Path) -> dict[str, bytes]:
    """Every file that the mutations are not: what was there before."""
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextlib.contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    """Fail where Python still answers, else say where it stands and end the process."""

    def stop(signum: int, frame: object) -> None:
        raise TimeoutError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    faulthandler.dump_traceback_later(3 * seconds, exit=True, file=sys.__stderr__)
    try:
        yield
    finally:
        signal.alarm(0)
        faulthandler.cancel_dump_traceback_later()
        signal.signal(signal.SIGALRM, before)
