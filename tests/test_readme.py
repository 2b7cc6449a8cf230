"""Every command line of README.md, docs and configs parses: no page promises an option, a config or a file layout that is not there."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from cocoa_pl.cli import parse_explain, parse_train
from cocoa_pl.config import StudyConfig, help_text, read_yaml
from cocoa_pl.localise.command import parse_localise
from cocoa_pl.study.command import parse_study

ROOT = Path(__file__).parents[1]
PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))) if page.is_file()]
WITH_COMMANDS = (*PAGES, *sorted((ROOT / "configs").rglob("*.yaml")))  # those have them in comments
COMMAND = re.compile(r"(?:\bpython3?|\btorchrun\b[^\n`]*?) (?P<script>train|explain)\.py(?P<rest>[^\n`|&;]*)")
MODULE = re.compile(r"\bpython3? -m cocoa_pl\.(?P<script>localise|study)(?P<rest> (?:--|configs/)[^\n`|&;]*)")
MAKE = re.compile(r"\bmake (?P<script>train) ARGS=(?P<rest>'[^'\n]*'|\"[^\"\n]*\")")


@dataclass(frozen=True)
class Command:
    """A command line as it stands on a page."""

    page: str
    script: str
    rest: str

    def __str__(self) -> str:
        return f"{self.page}: {self.script}{self.rest}"

    @property
    def is_synopsis(self) -> bool:
        """Whether it describes a form, as in ``train.py [--config YAML] [key=value ...]``, instead of being one to type."""
        return " [" in self.rest or "..." in self.rest

    def words(self) -> list[str]:
        return shlex.split(self.rest, comments=True)


def commands_in(text: str, *, page: str) -> list[Command]:
    joined = text.replace("\\\n", " ")
    found = [Command(page, match["script"], match["rest"]) for form in (COMMAND, MODULE) for match in form.finditer(joined)]
    return found + [Command(page, match["script"], f" {match['rest'][1:-1]}") for match in MAKE.finditer(joined)]


def all_commands() -> list[Command]:
    return [
        command for page in WITH_COMMANDS for command in commands_in(page.read_text(encoding="utf-8"), page=str(page.relative_to(ROOT)))
    ]


@pytest.mark.parametrize("command", all_commands(), ids=str)
def test_command_parses(command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    monkeypatch.chdir(tmp_path)
    parse = {"train": parse_train, "explain": parse_explain, "localise": parse_localise, "study": parse_study}[command.script]
    if command.is_synopsis:
        known = help_of(parse, capsys)
        assert [option for option in re.findall(r"--[a-z-]+", command.rest) if option not in known] == []
        return
    words = command.words()
    for option in ("--resume", "--ckpt", "--against"):
        if option in words and command.script != "study":
            make_run(Path(words[words.index(option) + 1]))
    if command.script == "study":
        make_encoders(words)
    for option in ("--corpus", "--foil"):
        make_pictures(words, option)
    if "--annotations" in words:
        Path(words[words.index("--annotations") + 1]).write_text("picture,text,box\n")
    for word in words:
        if word.startswith("@"):
            Path(word[1:]).write_text("one\ntwo\nthree\n")
    if {"--help", "-h", "--print-config"} & set(words):  # they answer and leave
        with pytest.raises(SystemExit, match=r"^0$"):
            parse(words)
    else:
        parse(words)


def test_the_readme_shows_all_commands() -> None:
    scripts = {command.script for command in commands_in((ROOT / "README.md").read_text(encoding="utf-8"), page="README.md")}
    assert scripts == {"train", "explain", "localise", "study"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_and_links_exist(page: Path) -> None:
    """Options written in code as section.key=value, and links to files of the repository."""
    text = page.read_text(encoding="utf-8")
    known = options_of_studies()
    written = re.findall(r"`((?:run|data|augment|model|optim|trainer|explain|checkpoint|study)\.[a-z_.]+)=", text)
    assert [option for option in written if f"  {option}=" not in known] == []
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link and not link.startswith("#")]
    assert [link for link in links if not (page.parent / link).exists()] == []


@cache
def options_of_studies() -> str:
    """The help on them, and on those of runs."""
    return help_text() + help_text(StudyConfig)


def test_commands_are_found_wherever_a_page_has_them() -> None:
    text = (
        "Type `python train.py a.b=1` or\n\n    $ .venv/bin/python explain.py --ckpt x \\\n        c.d=2  # why\n\nmake train ARGS='e=3'\n"
    )
    text += "torchrun --nproc-per-node 2 train.py trainer.strategy=ddp\n"
    found = commands_in(text, page="x")
    assert [(command.script, command.words()) for command in found] == [
        ("train", ["a.b=1"]),
        ("explain", ["--ckpt", "x", "c.d=2"]),
        ("train", ["trainer.strategy=ddp"]),
        ("train", ["e=3"]),
    ]


def make_run(path: Path) -> None:
    """A checkpoint, or the folder of a run, where a page says that there is one."""
    assert not path.is_absolute(), f"{path}: pages name files by relative paths"
    path = Path(str(path).replace("*", "1"))  # a glob names the files of a series
    folder, checkpoint = (path.parent, path) if path.suffix else (path, path / "last.ckpt")
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint.touch()
    (folder / "config.yaml").touch()


def make_encoders(words: list[str]) -> None:
    """The runs and weights that a study names, in its config and beside it, as [TITLE=]PATH or KIND@PATH."""
    named = [word for word in words[words.index("--ckpt") + 1 :] if not word.startswith("--")] if "--ckpt" in words else []
    if words[0].endswith(".yaml"):
        named += read_yaml(words[0])["study"]["encoders"]
    for word in named:
        file = word.partition("=")[2] or word
        if "." not in word.partition("=")[0] and not (":" in file and "@" not in file):
            make_run(Path(file.rpartition("@")[2]))


def make_pictures(words: list[str], option: str) -> None:
    """The folders that a page names as a corpus or a foil."""
    named = words[words.index(option) + 1 :] if option in words else []
    for word in named[: next((place for place, word in enumerate(named) if word.startswith("--") or "." in word), None)]:
        Path(word.rpartition("=")[2]).mkdir(parents=True, exist_ok=True)


def help_of(parse: object, capsys: pytest.CaptureFixture[str]) -> str:
    assert callable(parse)
    with pytest.raises(SystemExit):
        parse(["--help"])
    return capsys.readouterr().out
