"""Bad input to ``explain.py``, kind by kind: one line that names it, exit code 2, and nothing left behind."""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import resource
import shutil
import signal
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl import runs
from cocoa_pl.cli import parse_explain, run
from cocoa_pl.errors import DataError
from cocoa_pl.report.folder import write_report
from cocoa_pl.runs import explaining
from tests import programs
from tests.e2e.asking import write_encoder, write_pictures
from tests.e2e.bad_questions import (
    STRANGE,
    Evil,
    Kind,
    array,
    bomb,
    file,
    folder,
    of_file,
    of_run,
    other_run,
    picture,
    question,
    resnet,
    saved,
    truncated,
)  # fmt: skip

ROOT = Path(__file__).parents[2]
_LONGEST = 400
_INTERRUPTED = 130
MISSING = "gpu" if torch.backends.mps.is_available() or not torch.cuda.is_available() else "mps"  # no machine has both

CHECKPOINTS = [
    Kind("missing", lambda _: of_file("nowhere.ckpt"), ["nowhere.ckpt: no such checkpoint"]),
    Kind("no words", lambda _: ["--ckpt"], ["--ckpt", "expected at least one argument"]),
    Kind("an empty word", lambda _: of_file(""), ["--ckpt", "is empty"]),
    Kind("none at all", lambda _: question(encoder=None), ["--ckpt: which checkpoint?"]),
    Kind("empty file", lambda _: of_file(file("empty.pth", "")), ["empty.pth", "an empty file"]),
    Kind("truncated", lambda _: of_file(truncated(resnet(), "cut.pth")), ["cut.pth: cannot be read"]),
    Kind(
        "a run's, truncated", lambda run: of_file(file("cut.ckpt", (run / "last.ckpt").read_bytes()[:9000])),
        ["cut.ckpt: cannot be read"],
    ),
    Kind("text", lambda _: of_file(file("notes.ckpt", "hello")), ["notes.ckpt: cannot be read"]),
    Kind("text, named", lambda _: of_file(file("notes.ckpt", "hello"), encoder="torchvision:resnet18"), ["notes.ckpt: cannot be read"]),
    Kind("text as a program", lambda _: of_file(file("notes.pt", "hello"), encoder="torchscript"), ["notes.pt: cannot be read"]),
    Kind("text as safetensors", lambda _: of_file(file("x.safetensors", "hello, world")), ["x.safetensors: cannot be read"]),
    Kind("exported program", lambda _: of_file(file("x.pt2", "hello, world")), ["x.pt2: ", "--trust-pickle"]),
    Kind("text as an exported program", lambda _: of_file(file("x.pt2", "hello"), "--trust-pickle"), ["x.pt2: cannot be read"]),
    Kind("cannot be read", lambda _: of_file("/proc/self/mem"), ["/proc/self/mem: cannot be read"]),
    Kind("neither file nor folder", lambda _: of_file("/dev/null"), ["/dev/null: no such checkpoint"]),
    Kind("folder without", lambda _: of_file(folder("run")), ["run: no such checkpoint; the folder holds no .ckpt file"]),
    Kind("glob without match", lambda _: of_file("run/*.ckpt"), ["run/*.ckpt: no file matches"]),
    Kind("pickled code", lambda _: of_file(file("evil.ckpt", pickle.dumps(Evil()))), ["evil.ckpt", "nothing was executed"]),
    Kind(
        "pickled code beside weights", lambda _: of_file(saved({"model": resnet(), "x": Evil()})),
        ["nothing was executed", "--trust-pickle"],
    ),
    Kind("no weights", lambda _: of_file(saved({"epoch": 3})), ["weights.pth: holds no weights"]),
    Kind(
        "another architecture", lambda _: of_file(saved(resnet()), encoder="torchvision:resnet50"),
        ["does not hold the weights of torchvision resnet50", "did you mean --encoder torchvision:resnet18?"],
    ),
    Kind("unknown weights", lambda _: of_file(saved({"w": torch.zeros(3, 3)})), ["holds no encoder that is recognised", "--encoder"]),
    Kind(
        "a missing tensor", lambda _: of_file(saved(resnet(layer4__1__bn2__running_var=None))),
        ["1 missing, the first 'layer4.1.bn2.running_var'"],
    ),
    Kind(
        "another shape", lambda _: of_file(saved(resnet(conv1__weight=torch.zeros(64, 1, 7, 7)))),
        ["'conv1.weight' (64, 1, 7, 7) where (64, 3, 7, 7)"],
    ),
    Kind("weights of another function", lambda _: question(ckpt=saved(resnet())), ["weights.pth", "someones_encoder:make"]),
    Kind("NaN", lambda _: of_file(saved(resnet(conv1__weight=torch.full((64, 3, 7, 7), torch.nan)))), ["NaN"]),
    Kind("a run's of another width", lambda run: of_run(run, "model.width=16"), ["last.ckpt: weights do not fit the encoder; other shape"]),
    Kind("a run's of another backbone", lambda run: of_run(run, "model.backbone=resnet18"), ["last.ckpt: weights do not fit the encoder"]),
    Kind(
        "two runs as one", lambda run: ["--ckpt", run / "last.ckpt", other_run(run)],
        ["other.ckpt: is of another run", "data options differ"],
    ),
    Kind("someone else's, without a question", lambda _: ["--ckpt", saved(resnet())], ["not a checkpoint written by train.py", "--input"]),
]  # fmt: skip

ENCODERS = [
    Kind("unknown architecture", lambda _: of_file(saved(resnet()), encoder="torchvision:resnet81"), ["torchvision:resnet81", "resnet18"]),
    Kind("unknown architecture of timm", lambda _: of_file(saved(resnet()), encoder="timm:resnet81"), ["timm:resnet81", "resnet18"]),
    Kind("half a name", lambda _: of_file(saved(resnet()), encoder="resnet18"), ["did you mean torchvision:resnet18?"]),
    Kind("no name", lambda _: question(encoder="torchvision:"), ["--ckpt"]),
    Kind("architecture without weights", lambda _: question(encoder="torchvision:resnet18"), ["--ckpt"]),
    Kind("no module", lambda _: question(encoder="nowhere:make"), ["--encoder nowhere:make: nowhere cannot be imported"]),
    Kind(
        "a module that fails", lambda _: question(encoder=f"{file('fails.py', 'import nowhere')[:-3]}:make"),
        ["fails cannot be imported"],
    ),
    Kind("a path of a file", lambda _: question(encoder="./strange.py:make"), ["--encoder ./strange.py:make"]),
    Kind("no function", lambda _: question(encoder="someones_encoder:mak"), ["mak does not exist", "did you mean 'make'?"]),
    Kind("not a function", lambda _: question(encoder="strange:not_a_function"), ["not_a_function is no function"]),
    Kind("a function that raises", lambda _: question(encoder="strange:raises"), ["strange:raises: raised RuntimeError: no such weights"]),
    Kind("a function that exits", lambda _: question(encoder="strange:stops"), ["strange:stops: raised SystemExit"]),
    Kind("a function of a file", lambda _: question(encoder="strange:of_a_file"), ["needs a file; give --ckpt"]),
    Kind(
        "a function of something else", lambda _: question(encoder="strange:made_of", ckpt="nowhere.pth"),
        ["nowhere.pth: no such checkpoint"],
    ),
    Kind("returns a text", lambda _: question(encoder="strange:text"), ["returned str; it must return an nn.Module"]),
    Kind("returns a scalar", lambda _: question(encoder="strange:scalar"), ["strange:scalar: returned a torch.float32 tensor ()"]),
    Kind("returns five dimensions", lambda _: question(encoder="strange:five_dims"), ["returned a torch.float32 tensor (2, 8, 2, 2, 2)"]),
    Kind("returns nothing", lambda _: question(encoder="strange:empty"), ["returned a torch.float32 tensor (2, 0)"]),
    Kind("another size", lambda _: question(encoder="strange:only_of_64"), ["does not take images (2, 3, 32, 32)"]),
    Kind("in training mode", lambda _: question(encoder="strange:in_training_mode"), ["dropout", ".eval()"]),
    Kind("fails at some pictures", lambda _: question(encoder="strange:PairsOnly"), ["the encoder raised ValueError: batches of two"]),
    Kind(
        "without gradient", lambda _: question("explain.attributions=[gradient]", encoder="strange:without_gradient"),
        ["carries no gradient", "use rise"],
    ),
    Kind(
        "changes what gradients need", lambda _: question("explain.attributions=[gradient]", encoder="strange:in_place"),
        ["the encoder raised", "inplace"],
    ),
    Kind("gives NaN", lambda _: question(encoder="strange:nan"), ["NaN"]),
    Kind("gives NaN without a foil", lambda _: question(encoder="strange:nan", foil="none"), ["NaN"]),
    Kind("no projections", lambda _: question("explain.space=projections"), ["explain.space=projections: only a checkpoint of train.py"]),
    Kind("unknown layer", lambda _: question("explain.layer=3"), ["layer=3: no such layer; choose from: 0, 1, 2"]),
    Kind(
        "a run's unknown layer", lambda run: of_run(run, "explain.layer=stages.9"),
        ["layer=stages.9: no such layer; the nearest of", "stages.3"],
    ),
    Kind("untrained", lambda _: question("--untrained"), ["--untrained: only a checkpoint of train.py"]),
    Kind("untrained, of a file", lambda _: of_file(saved(resnet()), "--untrained"), ["--untrained: only a checkpoint of train.py"]),
]  # fmt: skip

PICTURES = [
    Kind("missing", lambda _: question(input="nowhere.jpg"), ["--input nowhere.jpg: no such file or folder"]),
    Kind("a name of two lines", lambda _: question(input="no\nwhere.jpg"), ["--input no", "where.jpg: no such file or folder"]),
    Kind("no words", lambda _: ["--encoder", "someones_encoder:make", "--input"], ["--input", "expected at least one argument"]),
    Kind("an empty word", lambda _: question(input=""), ["--input", "is empty"]),
    Kind("none for an encoder of another origin", lambda _: question(input=None), ["--input: which pictures?"]),
    Kind("none for a file of another origin", lambda _: of_file(saved(resnet()), input=None), ["--input: which pictures?"]),
    Kind("empty folder", lambda _: question(input=folder("empty")), ["--input empty: holds no picture"]),
    Kind("folder of texts", lambda _: question(input=str(Path(file("texts/a.md", "hello")).parent)), ["holds no picture", "texts/a.md"]),
    Kind("glob without match", lambda _: question(input="pictures/*.gif"), ["--input pictures/*.gif: matches no picture"]),
    Kind("truncated", lambda _: question(input=picture("cut.jpg", keep=0.5)), ["cut.jpg cannot be read as a picture", "truncated"]),
    Kind("no bytes", lambda _: question(input=file("zero.png", "")), ["zero.png cannot be read as a picture"]),
    Kind("a text", lambda _: question(input=file("text.png", "hello")), ["text.png cannot be read as a picture"]),
    Kind("decompression bomb", lambda _: question(input=bomb("bomb.png")), ["bomb.png has 60000 x 60000 pixels", "reduce it"]),
    Kind("a folder with a picture's name", lambda _: question(input=folder("x.png")), ["--input x.png: holds no picture"]),
    Kind("cannot be read", lambda _: question(input="/proc/self/mem"), ["/proc/self/mem cannot be read"]),
    Kind("neither file nor folder", lambda _: question(input="/dev/null"), ["--input /dev/null: is neither a file nor a folder"]),
    Kind("too large a side", lambda _: question(input=bomb("a/bomb.png"), foil="none"), ["reduce it"]),
    Kind(
        "every one unreadable, left out", lambda _: question("data.on_bad_image=skip", input=file("zero.png", "")),
        ["none of the pictures (1) can be read", "zero.png"],
    ),
    Kind("ids without a data set", lambda _: question(input="train:0-9"), ["--input train:0-9: no data set is known", "data.name"]),
    Kind("ids out of range", lambda run: of_run(run, input="val:0-99"), ["--input val:0-99: there is no image 24; val has 24"]),
    Kind("ids that are none", lambda run: of_run(run, input="val:a-b"), ["'a-b' is no image or range of images"]),
    Kind("ids of no split", lambda run: of_run(run, input="test:3"), ["--input test:3: no such file or folder"]),
    Kind("an unknown data set", lambda _: question("data.name=cifar1", input="val:0"), ["data.name=cifar1: unknown", "cifar10"]),
    Kind(
        "a data set that is not there", lambda _: question("data.name=cifar10", "data.root=nowhere", input="val:0"),
        ["nowhere", "download"],
    ),
    Kind(
        "a data set without pictures", lambda _: question("data.name=image_folder", f"data.root={folder('e')}", input="val:0"),
        ["holds no picture"],
    ),
    Kind("empty standard input", lambda _: question(input="-"), ["--input -: standard input is empty"]),
    Kind("standard input names nothing", lambda _: question(input="-"), ["--input gone.png: no such file or folder"], stdin="gone.png\n"),
    Kind("standard input twice", lambda _: question(input="-", foil="-"), ["-"], stdin="pictures\n"),
    Kind("a corpus cannot be read", lambda _: question(corpus=picture("cut.png", keep=0.5)), ["cut.png cannot be read as a picture"]),
    Kind("a foil cannot be read", lambda _: question(foil=["foil", file("zero.png", "")]), ["zero.png cannot be read as a picture"]),
]  # fmt: skip

QUESTIONS = [
    Kind("unknown word", lambda _: question(corpus="cats"), ["--corpus cats: no such file or folder, and a class needs a data set"]),
    Kind("an empty word", lambda _: question(corpus=""), ["--corpus", "is empty"]),
    Kind("unknown kind", lambda _: question(corpus="clases:3"), ["unknown 'clases' before the colon", "did you mean 'class'?"]),
    Kind("missing file", lambda _: question(corpus="cats.png"), ["--corpus cats.png: no such file or folder"]),
    Kind("missing folder", lambda _: question(corpus="photos/cats"), ["--corpus photos/cats: no such file or folder"]),
    Kind("empty folder", lambda _: question(corpus=folder("cats")), ["--corpus cats: holds no picture"]),
    Kind("no neighbours", lambda _: question(corpus="neighbours:0"), ["--corpus neighbours:0: '0' is no number of neighbours"]),
    Kind("neighbours without number", lambda _: question(corpus="neighbours"), ["how many? as in neighbours:10"]),
    Kind(
        "more neighbours than pictures", lambda _: question(corpus="neighbours:24"),
        ["--corpus neighbours:24: ", "24", "name more pictures"],
    ),
    Kind("neighbours in no folder", lambda _: question(corpus="neighbours:2:nowhere"), ["'nowhere' is no folder to look in"]),
    Kind("more clusters than pictures", lambda _: question(corpus="clusters:9:pictures"), ["--corpus clusters:9: ", "name more pictures"]),
    Kind("one cluster", lambda _: question(corpus="clusters:1:foil", foil=None), ["--corpus clusters:1: one cluster has no others"]),
    Kind(
        "more clusters than different pictures", lambda _: question(corpus="clusters:4:same", foil="none"),
        ["the encoder tells only 1 groups apart"],
    ),
    Kind(
        "class without a data set", lambda _: question(corpus="class:dog"),
        ["and a class needs a data set: data.name=..., data.root=..."],
    ),
    Kind(
        "class without labels", lambda _: question("data.name=image_folder", "data.root=foil", corpus="class:dog"),
        ["--corpus class:dog: the data has no labels"],
    ),
    Kind(
        "unknown class", lambda _: question(*labelled(), corpus="class:cat"),
        ["--corpus class:cat: unknown class 'cat'", "did you mean 'cats'?"],
    ),
    Kind("unknown class by number", lambda run: of_run(run, corpus="class:99"), ["unknown class 99"]),
    Kind("unknown class as a foil", lambda run: of_run(run, foil="class:circel"), ["--foil class:circel: unknown class 'circel'"]),
    Kind("representations missing", lambda _: question(corpus="reps.npy"), ["--corpus reps.npy: no such file"]),
    Kind(
        "representations of another length", lambda _: question(corpus=array(np.ones((30, 5)))),
        ["reps.npy have length 5, those of this encoder 8"],
    ),
    Kind("another length as a foil", lambda _: question(foil=array(np.ones((30, 5)))), ["reps.npy have length 5, those of this encoder 8"]),
    Kind("one dimension", lambda _: question(corpus=array(np.ones(8))), ["reps.npy: (8,) of float64; it must hold representations (M, D)"]),
    Kind("whole numbers", lambda _: question(corpus=array(np.ones((9, 8), dtype=int))), ["reps.npy: (9, 8) of int64"]),
    Kind("NaN", lambda _: question(corpus=array(np.full((9, 8), np.nan))), ["reps.npy: 9 of 9 rows hold NaN"]),
    Kind("zeros", lambda _: question(corpus=array(np.zeros((9, 8)))), ["reps.npy have 9 rows of zeros"]),
    Kind("no rows", lambda _: question(foil=array(np.zeros((0, 8)))), ["reps.npy: (0, 8)"]),
    Kind("pickled objects", lambda _: question(corpus=array(np.array([Evil()], dtype=object))), ["reps.npy cannot be read as an array"]),
    Kind("truncated array", lambda _: question(corpus=file("x.npy", b"\x93NUMPY\x01\x00v")), ["x.npy cannot be read as an array"]),
    Kind("archive without a name", lambda _: question(corpus=archive(a=3, b=4)), ["holds 2 arrays; say which by reps.npz#NAME: a, b"]),
    Kind("archive without this name", lambda _: question(corpus=f"{archive(a=3)}#c"), ["reps.npz#c: no such array; the file holds: a"]),
    Kind("corpus equal to foil", lambda _: question(corpus="foil"), ["every one of the 24 pictures is in a corpus too"]),
    Kind("two corpora that are one", lambda _: question(corpus=["foil", "foil"], foil=None), ["corpus"]),
    Kind("two corpora of one name", lambda _: question(corpus=["a=foil", "a=pictures"]), ["both are called 'a'"]),
    Kind("a name that is none", lambda _: question(corpus="a,b=foil"), ["'a,b' is no name"]),
    Kind("none as a corpus", lambda _: question(corpus="none"), ["--corpus none: is for --foil"]),
    Kind("self as a foil", lambda _: question(foil="self"), ["--foil self: is for --corpus"]),
    Kind("foil missing", lambda _: question(foil="nowhere/*.png"), ["--foil nowhere/*.png: matches no file"]),
    Kind("foil of two kinds", lambda _: question(foil=["foil", "class:dog"]), ["only pictures can be joined, and class:dog is a class"]),
    Kind("too few for a foil", lambda _: question(foil=None), ["--foil: 3 pictures to explain are too few", "--foil none"]),
    Kind(
        "removal without pictures", lambda _: question("explain.removal=random_image", foil="none"),
        ["explain.removal=random_image", "foil"],
    ),
]  # fmt: skip

OPTIONS = [
    Kind("against nothing", lambda run: of_run(run, against="nowhere.ckpt"), ["nowhere.ckpt: no such checkpoint"]),
    Kind("against a text", lambda run: of_run(run, against=file("notes.ckpt", "hello")), ["notes.ckpt: cannot be read"]),
    Kind("against another size", lambda run: of_run(run, against=saved(resnet())), ["32 and 224 px; --image-size gives them one size"]),
    Kind("against another size, no question", lambda run: ["--ckpt", run / "last.ckpt", "--against", saved(resnet())], ["224 px", "32 px"]),
    Kind(
        "against, with a series", lambda run: of_file(f"{run}/*.ckpt", image_size=None, against=run / "last.ckpt"),
        ["--against: two encoders are compared"],
    ),
    Kind("against-encoder alone", lambda _: question(against_encoder="torchvision:resnet18"), ["--against-encoder: needs --against"]),
    Kind("untrained, against", lambda run: of_run(run, "--untrained", against=run / "last.ckpt"), ["--untrained: explains one encoder"]),
    Kind("untrained series", lambda run: ["--ckpt", f"{run}/*.ckpt", "--untrained"], ["--untrained: explains one encoder"]),
    Kind("size of a run's", lambda run: of_run(run, image_size="64"), ["--image-size: a checkpoint of train.py knows its own"]),
    Kind("mean of a run's", lambda run: of_run(run, mean="0.5", std="0.5"), ["--mean: a checkpoint of train.py knows its own"]),
    Kind("mean without std", lambda _: question(mean="0.5"), ["--mean and --std go together"]),
    Kind("mean of two channels", lambda _: question(mean="0.5,0.5", std="1"), ["--mean 0.5,0.5: must be one number in [0, 1] or three"]),
    Kind(
        "mean in bytes", lambda _: question(mean="123.7,116.3,103.5", std="58.4,57.1,57.4"),
        ["--mean 123.7,116.3,103.5: must be one number in [0, 1] or three"],
    ),
    Kind("mean of words", lambda _: question(mean="imagenet", std="1"), ["--mean imagenet: must be one number in [0, 1] or three"]),
    Kind("mean and std of different length", lambda _: question(mean="0.5", std="0.2,0.2,0.2"), ["--mean has 1 numbers, --std 3"]),
    Kind("std of 0", lambda _: question(mean="0.5", std="0"), ["--std 0", "must be above 0"]),
    Kind("std of NaN", lambda _: question(mean="0.5", std="nan"), ["--std nan: must be one number in [0, 1] or three"]),
    Kind("size 0", lambda _: question(image_size="0"), ["--image-size 0: must be a whole number of pixels"]),
    Kind("size of a word", lambda _: question(image_size="large"), ["--image-size large: must be a whole number of pixels"]),
    Kind("too small a size", lambda _: question(image_size="8"), ["8"]),
    Kind("budget of a word", lambda _: question(budget="soon"), ["--budget soon: must be a time above 0 such as 90s"]),
    Kind("budget of nothing", lambda _: question(budget="0s"), ["--budget 0s: must be a time above 0"]),
    Kind("budget without a question", lambda run: ["--ckpt", run / "last.ckpt", "--budget", "9s"], ["--budget: goes with pictures"]),
    Kind("box of 1.5", lambda _: question(box="1.5"), ["--box 1.5: must be otsu, or a quantile between 0 and 1"]),
    Kind("box without a question", lambda run: ["--ckpt", run / "last.ckpt", "--box", "0.9"], ["--box: goes with pictures"]),
    Kind(
        "unknown option", lambda _: question("explain.num_mask=3"),
        ["unknown option 'explain.num_mask'", "did you mean 'explain.num_masks'?"],
    ),
    Kind(
        "unknown option after a list", lambda _: question(input=["pictures", "explain.num_mask=3"]),
        ["did you mean 'explain.num_masks'?"],
    ),
    Kind(
        "unknown section after a list", lambda _: question(input=["pictures", "explian.num_masks=3"]),
        ["unknown option 'explian.num_masks'", "did you mean 'explain.num_masks'?"],
    ),
    Kind("no key", lambda _: question("--", "num_masks"), ["'num_masks': an option is written section.key=value"]),
    Kind("number as a word", lambda _: question("explain.num_masks=many"), ["explain.num_masks=many: must be a whole number"]),
    Kind("too few masks", lambda _: question("explain.num_masks=1"), ["explain.num_masks=1: must be at least 4"]),
    Kind(
        "unknown method", lambda _: question("explain.attributions=[rize]"),
        ["explain.attributions=rize: unknown", "did you mean 'rise'?"],
    ),
    Kind("no method", lambda _: question("explain.attributions=[]"), ["explain.attributions=[]: must name at least one method"]),
    Kind(
        "method without layers", lambda _: question("explain.attributions=[grad_cam]", encoder="strange:Colour"),
        ["the encoder has no layer whose output is a map"],
    ),
    Kind("unknown removal", lambda _: question("explain.removal=blurr"), ["explain.removal=blurr: unknown", "did you mean 'blur'?"]),
    Kind("unknown view", lambda _: question("explain.views=[original,flipp]"), ["explain.views=flipp: unknown", "did you mean 'flip'?"]),
    Kind("more cells than pixels", lambda _: question("explain.grid_size=99"), ["99"]),
    Kind("unknown precision", lambda _: question("explain.precision=16"), ["explain.precision=16: unknown"]),
    Kind("unknown accelerator", lambda _: question("trainer.accelerator=gpus"), ["trainer.accelerator=gpus"]),
    Kind("no such accelerator", lambda _: question("trainer.accelerator=tpu"), ["trainer"]),
    Kind("device that is not there", lambda _: question(f"trainer.accelerator={MISSING}"), ["trainer.*: "]),
    Kind(
        "a run's data gone", lambda run: ["--ckpt", run / "last.ckpt", "data.name=cifar10", "data.root=gone"],
        ["gone", "data.root=FOLDER"],
    ),
    Kind("no reference", lambda run: ["--ckpt", run / "last.ckpt", "explain.reference=gone.ckpt"], ["gone.ckpt: no such checkpoint"]),
    Kind("region outside", lambda run: ["--ckpt", run / "last.ckpt", "explain.region='0,0,2,2'"], ["region 0,0,2,2: must be"]),
    Kind("unknown flag", lambda _: question("--inptu", "x"), ["unrecognized arguments", "--inptu"]),
    Kind("unknown flag before its value", lambda _: ["--chkpt", "last.ckpt"], ["--chkpt"]),
]  # fmt: skip

OUTPUTS = [
    Kind("a file", lambda _: [*question(), "--out", file("file", "mine")], ["file: cannot write into this folder"]),
    Kind(
        "below a file", lambda _: [*question(), "--out", f"{file('file', 'mine')}/report"],
        ["file/report: cannot write into this folder"],
    ),
    Kind("where nothing can be written", lambda _: [*question(), "--out", "/proc/report"], ["/proc/report: cannot write into this folder"]),
    Kind("a name that is too long", lambda _: [*question(), "--out", "x" * 300], ["cannot write into this folder (File name too long)"]),
    Kind("an empty word", lambda _: [*question(), "--out", ""], ["--out", "is empty"]),
]  # fmt: skip


def labelled() -> tuple[str, str]:
    """The options of a data set with the classes cats and dogs."""
    for name in ("cats", "dogs"):
        for number in range(12):
            picture(f"labelled/{name}/{number}.png")
    return "data.name=image_folder", "data.root=labelled"


def archive(**lengths: int) -> str:
    """A file ``reps.npz`` of arrays by name."""
    arrays: dict[str, Any] = {name: np.ones((length, 8)) for name, length in lengths.items()}
    np.savez("reps.npz", **arrays)
    return "reps.npz"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """3 pictures to explain, 24 of a foil, 5 that are the same, and two files of encoders."""
    root = tmp_path_factory.mktemp("template")
    write_encoder(root)
    file(root / "strange.py", STRANGE)
    write_pictures(root / "pictures", 3, seed=0)
    write_pictures(root / "foil", 24, seed=1)
    for number in range(5):
        picture(root / "same" / f"{number}.png")
    return root


@pytest.fixture
def here(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder, with a copy of the template; what the command changes in this process is changed back."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(warnings, "formatwarning", warnings.formatwarning)
    before, interrupt = set(sys.modules), signal.getsignal(signal.SIGINT)
    yield tmp_path
    signal.signal(signal.SIGINT, interrupt)
    for name in {"someones_encoder", "strange", "fails"} & sys.modules.keys() - before:
        del sys.modules[name]


def command(argv: Sequence[str | Path]) -> int:
    """``explain.py`` in this process: its exit code."""

    def main() -> None:
        runs.explain(parse_explain([str(word) for word in argv]))

    with pytest.raises(SystemExit) as ended:
        run(main)
    return int(ended.value.code or 0)


def content(*folders: Path) -> dict[str, tuple[int, int]]:
    """Everything below some folders, with the size of files and when they were changed."""
    found = [path for folder in folders for path in folder.rglob("*")]
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) if path.is_file() else (0, 0) for path in found}


TABLE = {
    "checkpoint": CHECKPOINTS, "encoder": ENCODERS, "pictures": PICTURES, "question": QUESTIONS, "options": OPTIONS, "output": OUTPUTS,
}  # fmt: skip


@pytest.mark.parametrize("kind", [pytest.param(kind, id=f"{group}: {kind.name}") for group, kinds in TABLE.items() for kind in kinds])
def test_it_is_one_line_and_nothing_is_left(
    kind: Kind, here: Path, smoke_run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    argv = list(kind.make(smoke_run))
    argv += [] if "--out" in argv else ["--out", "report"]
    monkeypatch.setattr(sys, "stdin", io.StringIO(kind.stdin))
    before = content(here, smoke_run)
    code = command(argv)
    stderr = capsys.readouterr().err
    assert code == 2
    assert stderr.startswith("error: ")
    assert len(stderr.splitlines()) == 1
    assert len(stderr) <= _LONGEST
    for words in kind.words:
        assert words in stderr
    assert content(here, smoke_run) == before


def test_the_table_is_long() -> None:
    assert sum(map(len, TABLE.values())) >= 150


def good(*more: str, out: str = "report", **changed: str | Path | Sequence[str | Path] | None) -> int:
    """The exit code of a command with nothing wrong about it but what is changed."""
    return command([*question(*more, **changed), "--out", out])


class TestWhatWasThere:
    @pytest.mark.parametrize("changed", [{"encoder": "strange:nan"}, {"input": "broken.png"}, {"corpus": "class:dog"}])
    def test_a_folder_with_files_stays_as_it_was(self, here: Path, changed: dict[str, str]) -> None:
        picture("broken.png", keep=0.5)
        file("report/notes.txt", "mine")
        before = content(here)
        assert good(**changed) == 2
        assert content(here) == before

    def test_a_report_survives_a_question_that_fails(self, here: Path) -> None:
        assert good() == 0
        before = content(here)
        assert good(foil="nowhere") == 2
        assert good(encoder="strange:nan") == 2
        assert content(here) == before


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: question(encoder="strange:nan"), "representations of the pictures in foil hold NaN"),
        (lambda: question("--trust-pickle", encoder=None, ckpt=file("x.pt2", "hello")), "x.pt2: cannot be read"),
        (lambda: question(input=picture("broken.png", keep=0.5)), "broken.png cannot be read as a picture"),
    ],
    ids=["encoder", "checkpoint", "picture"],
)
def test_in_a_process_of_its_own(here: Path, make: Callable[[], list[str | Path]], words: str) -> None:
    argv = make()
    before = content(here)
    done = programs.run(str(ROOT / "explain.py"), [*map(str, argv), "--out", "report"], cwd=here)
    assert done.returncode == 2
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: ")
    assert words in done.stderr
    assert {path: told for path, told in content(here).items() if "__pycache__" not in path} == before


class TestMany:
    """70 pictures are two blocks."""

    @pytest.fixture(autouse=True)
    def _many(self, here: Path) -> None:
        for number in range(70):
            shutil.copy("pictures/pictures000.png", f"{folder('many') if number == 0 else 'many'}/{number:02d}.png")

    def test_one_that_cannot_be_read_costs_nothing_of_the_others(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        picture("many/66.png", keep=0.5)
        assert good(input="many") == 2
        stderr = capsys.readouterr().err
        assert len(stderr.splitlines()) == 1
        assert "error: many/66.png cannot be read as a picture" in stderr
        assert "data.on_bad_image=skip goes on without it, and keeps what is done" in stderr
        assert [path.name for path in Path("report").iterdir()] == [".parts"]
        assert [path.name for path in Path("report").rglob("*.*z")] == ["0000000.npz"]
        with pytest.warns(UserWarning, match=r"^1 of 70 pictures cannot be read and are left out: 66\.png\.?$"):
            assert good("data.on_bad_image=skip", input="many") == 0
        assert "1 of 2 blocks of pictures were done before" in capsys.readouterr().out
        report = json.loads(Path("report/report.json").read_text())
        assert report["num_finished"] == 69
        assert any("1 of 70 pictures cannot be read and are left out: 66.png" in fact for fact in report["facts"])
        assert not Path("report/.parts").exists()

    def test_an_interrupt_leaves_what_is_done(self, here: Path, capsys: pytest.CaptureFixture[str]) -> None:
        Image.new("RGB", (40, 40), "white").save("many/66.png")
        assert good(input="many", encoder="strange:Interrupted", foil="none") == _INTERRUPTED
        assert capsys.readouterr().err == ""
        assert [path.name for path in Path("report").rglob("*") if path.is_file()] == ["0000000.npz"]

    def test_a_full_disk(self, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        """A real failure of write(2), in the first part, and then in the report."""
        before = content(here)
        with _full_disk(1000):
            assert good(input="many") == 2
        assert "0000000.npz: cannot be written (File too large)" in capsys.readouterr().err
        assert content(here) == before

        def full(*args: Any, **kwargs: Any) -> None:
            with _full_disk(1000):
                write_report(*args, **kwargs)

        monkeypatch.setattr(explaining, "write_report", full)
        assert good(input="many") == 2
        assert "attributions.npz: cannot be written (File too large)" in capsys.readouterr().err
        assert sorted(path.name for path in Path("report").rglob("*") if path.is_file()) == ["0000000.npz", "0000001.npz"]
        monkeypatch.undo()
        monkeypatch.chdir(here)
        assert good(input="many") == 0
        assert "2 of 2 blocks of pictures were done before" in capsys.readouterr().out


@contextlib.contextmanager
def _full_disk(size: int) -> Iterator[None]:
    """Files may not grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


class TestNotBad:
    """What looks wrong and is not."""

    def test_a_cache_that_cannot_be_written_is_a_warning(self, here: Path) -> None:
        with pytest.warns(UserWarning, match="representations are not kept for the next question: .*file"):
            assert good(cache=file("file", "mine")) == 0
        assert Path("file").read_text() == "mine"

    def test_pictures_of_any_proportion(self, here: Path) -> None:
        sizes = [picture(f"odd/{width}x{height}.png", (width, height)) for width, height in ((3, 200), (500, 1), (1, 1))]
        assert good(input=sizes) == 0
        assert json.loads(Path("report/report.json").read_text())["num_finished"] == 3

    def test_size_and_statistics_beside_a_run_are_those_of_the_other_encoder(self, here: Path, smoke_run: Path) -> None:
        network = saved(resnet())
        assert command([*of_run(smoke_run, image_size="32", mean="0.5", std="0.25", against=network), "--out", "report"]) == 0
        frames = json.loads(Path("report/report.json").read_text())["frames"]
        assert frames[1]["encoder"]["mean"] == [0.5, 0.5, 0.5]
        assert "mean" not in frames[0]["encoder"]

    def test_a_run_from_a_larger_machine(self, here: Path, smoke_run: Path) -> None:
        checkpoint = torch.load(smoke_run / "last.ckpt", weights_only=True)
        checkpoint["cocoa_pl"]["config"]["trainer"] |= {"accelerator": MISSING, "devices": 8, "strategy": "ddp"}
        assert command([*of_file(saved(checkpoint, "large.ckpt"), image_size=None), "--out", "report"]) == 0


def test_a_message_is_one_line_whatever_names_hold(capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise DataError("a\nb\x1b[31m\u2028 \udcff ü.png: no such file")

    with pytest.raises(SystemExit, match="2"):
        run(fail)
    assert capsys.readouterr().err == "error: a\\nb\\x1b[31m\\u2028 \\udcff ü.png: no such file\n"
