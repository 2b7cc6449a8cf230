"""``python -m cocoa_pl.study`` from end to end: its folder, going on after a stop, and everything that is wrong said before long work."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.config import StudyConfig, load_as, read_yaml
from cocoa_pl.errors import CocoaError
from cocoa_pl.study import folder, grid
from cocoa_pl.study import study as story
from cocoa_pl.study.command import parse_study
from cocoa_pl.study.grid import Seed
from cocoa_pl.study.results import RANDOMISED, Results
from tests.study.small import small_run

pytestmark = pytest.mark.slow
TINY = (
    "study.classes=[1,4,7]", "study.seeds=[1,2]", "study.parts=[grid]", "study.per_class=1", "study.num_bank=48",
    "study.measures=[corpus_majority]", "study.sensitivity_per_class=1", "study.corpus_sizes=[1]", "study.foil_sizes=[3]",
    "study.removals=[black]", "study.blur_sigmas=[2]", "study.cascade_per_class=1", "study.views_per_class=1",
    "explain.attributions=[gradient]", "explain.corpus_size=2", "explain.foil_size=4", "explain.curve_steps=2",
    "explain.views=[original,flip]", "trainer.accelerator=cpu", "trainer.progress_bar=false",
)  # fmt: skip
FUNCTION = """
import torch

def make():
    return lambda images: torch.cat([images[:, :, ::8, ::8].flatten(1), images.mean((2, 3))], 1)

def nothing():
    return lambda images: images.mean((2, 3)) * float("nan")

class Fixed(torch.nn.Linear):
    def forward(self, images):
        return super().forward(images.flatten(1))

def fixed():
    return Fixed(3 * 16 * 16, 4)
"""
SCENES = ("data.name=scenes", "data.num_train=128", "data.num_val=40")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_run(tmp_path_factory.mktemp("runs"))


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where encoders of Python functions are found; and no time passes, so that files can be compared."""
    (tmp_path / "some_functions.py").write_text(FUNCTION)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(grid.time, "perf_counter", lambda: 0.0)


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pictures: they take longer than all numbers."""
    monkeypatch.setattr(folder, "plots", lambda results: {})
    monkeypatch.setattr(folder, "views_html", lambda views: "")
    monkeypatch.setattr(folder, "views_pdf", lambda views: b"")


def ask(*words: object, out: Path | str = "out") -> Results:
    given = list(map(str, words))
    names = {word.partition("=")[0] for word in given}
    tiny = [option for option in TINY if option.partition("=")[0] not in names]
    return story.study(parse_study([*tiny, "--out", str(out), "--ckpt", *given]))


def files(path: Path | str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(path).iterdir() if file.is_file()}


def counted(monkeypatch: pytest.MonkeyPatch, *, stop_at: int | None = None) -> list[int]:
    """Seeds of which parts (maps of methods, maps of controls) are computed from now on; stopped as by Ctrl-C when it comes to a part."""
    seen, compute = list[int](), Seed._compute

    def counting(seed: Seed, *given: object) -> dict[str, Tensor]:
        if len(seen) == stop_at:
            raise KeyboardInterrupt
        seen.append(seed.draw.seed)
        return compute(seed, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(Seed, "_compute", counting)
    return seen


def test_a_folder_has_everything(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    results = ask(run, "study.parts=[grid,views]", "study.settings=[same]", "study.controls=[random]")
    found = files("out")
    assert {"README.md", "grid.csv", "differences.csv", "views.csv", "views.html", "views.pdf", "study.yaml", "study.json"} <= found.keys()
    page = found["README.md"].decode()
    assert "classes: 1, 4, 7" in page
    shown = [line.partition("](")[2].rstrip(")") for line in page.splitlines() if line.startswith("![")]
    assert shown
    for name in shown:
        with Image.open(Path("out", name)) as picture:
            assert picture.width > 300
        assert name.replace(".png", ".svg") in found
    rows = list(csv.DictReader(found["grid.csv"].decode().splitlines()))
    assert len(rows) == len(results.grid) == 4 + 1 + 1
    record = json.loads(found["study.json"])
    assert record["seeds"] == [1, 2]
    assert {*record["files"], "study.json"} == found.keys()
    assert record["costs"]["tiny"]["alone"] > record["costs"]["tiny"]["forwards"]
    told = capsys.readouterr().out
    assert "images through the encoder;" in told
    assert "README.md tells what was found" in told
    again = load_as(StudyConfig, read_yaml("out/study.yaml"))
    assert again.study.encoders == [str(run)]


@pytest.mark.usefixtures("unseen")
def test_a_study_that_was_stopped_goes_on(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask(run, out="whole")
    with monkeypatch.context() as patch:
        first = counted(patch, stop_at=1)
        with pytest.raises(KeyboardInterrupt):
            ask(run)
    assert first == [1]
    assert not files("out")
    with monkeypatch.context() as patch:
        second = counted(patch)
        ask(run)
    assert second == [1, 2, 2]
    assert files("out") == files("whole")
    cells = sorted(Path("out/cells").iterdir(), key=lambda file: file.stat().st_mtime_ns)
    cells[-1].write_bytes(cells[-1].read_bytes()[:-7])
    with monkeypatch.context() as patch:
        third = counted(patch)
        story.study(parse_study(["out/study.yaml", "--out", "out"]))  # what a study wrote is the study
    assert third == [2]
    assert {name for name, content in files("out").items() if content != files("whole")[name]} == {"README.md", "study.json"}  # its name


@pytest.mark.usefixtures("unseen")
def test_the_bar_counts_what_is_left(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bars: list[Bar] = []

    class Bar:
        def __init__(self, *, total: int, desc: str, **_: object) -> None:
            self.total, self.desc, self.done = total, desc, 0
            bars.append(self)

        def update(self, num: int) -> None:
            self.done += num

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(story, "tqdm", Bar)
    for seeds in ("[1]", "[1,2]"):
        ask(run, f"study.seeds={seeds}")
    assert [(bar.desc, bar.done) for bar in bars] == [("tiny, grid", bar.total) for bar in bars]
    assert bars[0].total == bars[1].total > 0


def test_pictures_are_drawn_once_and_tables_after_each_encoder(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn, written, write = list[int](), list[int](), folder.Folder.write

    def plots(results: Results) -> dict[str, object]:
        drawn.append(len(results.encoders))
        return {}

    def writing(self: folder.Folder, results: Results, views: list[object]) -> None:
        write(self, results, views)  # type: ignore[arg-type]
        written.append(Path("out/grid.csv").read_text().count("\n"))

    monkeypatch.setattr(folder, "plots", plots)
    monkeypatch.setattr(folder.Folder, "write", writing)
    Path("out").mkdir()
    Path("out/study.json").write_text(json.dumps({"files": ["curves_old.png", "../kept.txt", 3]}))
    for name in ("out/curves_old.png", "kept.txt", "out/notes.txt"):
        Path(name).touch()
    ask(f"a={run}", f"b/c={run}")
    assert drawn == [2]
    assert written[1] - 1 == 2 * (written[0] - 1)
    assert not Path("out/curves_old.png").exists()  # of an earlier study, and no part of this one
    assert Path("kept.txt").exists()
    assert Path("out/notes.txt").exists()


@pytest.mark.usefixtures("unseen")
def test_a_plain_function_has_nothing_to_redraw_and_nothing_is_kept() -> None:
    results = ask("toy=some_functions:make", *SCENES, "--image-size", "32", "study.parts=[grid,sensitivity,sanity]")
    assert {facts.title for facts in results.encoders} == {"toy"}
    assert RANDOMISED not in {cell.target for cell in results.grid}
    assert "cascade" not in {factor.name for factor in results.factors}
    assert not Path("out/cells").exists()
    page = Path("out/README.md").read_text()
    assert "toy: is a plain function without weights to redraw" in page
    assert "none of its results are kept" in page


@pytest.mark.usefixtures("unseen")
@pytest.mark.parametrize(
    "options",
    [
        ("study.parts=[sensitivity,views]", "study.measures=[representation_shift]", "explain.attributions=[rise]", "explain.num_masks=4",
         "study.mask_counts=[6]"),
        ("study.seeds=[3]", "study.settings=[different]", "study.targets=[label_free]", "study.controls=[]"),
        ("study.parts=[grid]", "study.in_sample=true", "study.randomised=false", "explain.space=projections"),
    ],
    ids=lambda options: options[0],
)  # fmt: skip
def test_parts_by_themselves(run: Path, options: tuple[str, ...]) -> None:
    ask(run, *options)
    assert "nan" not in Path("out/README.md").read_text()


def without_labels(path: Path) -> None:
    path.mkdir()
    for index in range(30):
        Image.new("RGB", (32, 32), (index, 0, 0)).save(path / f"{index}.png")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["RUN", "study.classes=[1,cat]"], "study.classes: unknown class 'cat'"),
        (["RUN", "study.classes=[1]"], "one class takes part"),
        (["RUN", "study.per_class=99"], "lower study.per_class"),
        (["RUN", "explain.corpus_size=99"], "lower explain.corpus_size"),
        (["RUN", "explain.foil_size=999"], "lower explain.foil_size"),
        (["RUN", "study.parts=[sensitivity]", "study.corpus_sizes=[6]", "explain.foil_size=58"], "lower explain.foil_size"),
        (["RUN", "data.name=image_folder", "data.root=flat"], "has no labels"),
        (["RUN", "data.name=image_folder", "data.root=nowhere"], "nowhere is not a folder"),
        (["RUN", "data.name=fashion_mnist", "data.root=nowhere"], "fashion_mnist: no IDX files"),
        (["RUN", "trainer.accelerator=gpu"], "trainer.accelerator=gpu: torch finds no GPU"),
        (["RUN", "model.width=16"], "weights do not fit the encoder"),
        (["RUN", "--image-size", "32"], "--image-size: is of encoders of another origin"),
        (["RUN", "explain.grid_size=64", "explain.attributions=[rise]"], "tiny: grid_size=64 has more cells"),
        (["RUN", "explain.layer=nowhere"], "nowhere"),
        (["RUN", "f=some_functions:make", "explain.attributions=[grad_cam]"], "f: the encoder has no layer whose output is a map"),
        (["some_functions:make"], "data.name: which pictures?"),
        (["some_functions:make", "data.root=flat"], "data.name: which pictures?"),
        (["some_functions:made", *SCENES], "study.encoders: some_functions:made: made does not exist"),
        (["some_functions:nothing", *SCENES, "--image-size", "32"], "some_functions:nothing: its representations hold NaN"),
        (["some_functions:fixed", *SCENES, "--image-size", "16", "data.image_size=32"], "cannot take images of 32 px"),
        (["some_functions.py", *SCENES], "some_functions.py: "),
    ],
    ids=lambda value: value[-1] if isinstance(value, list) else "",
)
def test_what_is_wrong_is_said_in_a_line_before_anything_is_written(
    run: Path, words: list[str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available() and "trainer.accelerator=gpu" in words:
        pytest.skip("there is a GPU")
    without_labels(Path("flat"))
    computed = counted(monkeypatch)
    with pytest.raises(CocoaError) as error:
        ask(*(run if word == "RUN" else word for word in words))
    assert message in str(error.value)
    assert "\n" not in str(error.value)
    assert not Path("out").exists()
    assert not computed


def test_a_folder_that_cannot_be_written(run: Path) -> None:
    Path("taken").touch()
    with pytest.raises(CocoaError, match="taken: cannot write into this folder"):
        ask(run, out="taken")


@pytest.mark.usefixtures("unseen")
def test_without_a_folder_named_it_lies_beside_the_runs(run: Path) -> None:
    words = [*TINY, "study.parts=[views]", "run.root=runs", "--ckpt", f"open/clip: x={run}"]
    story.study(parse_study(words))
    assert Path("runs/study-open_clip_x/README.md").exists()
    assert "was trained on other data" not in Path("runs/study-open_clip_x/README.md").read_text()
