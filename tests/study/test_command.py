"""The command line of ``python -m cocoa_pl.study``: what it takes, and one line for whatever is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from cocoa_pl.config import StudyConfig, load_as
from cocoa_pl.errors import CheckpointError, CocoaError, ConfigError
from cocoa_pl.study.command import EncoderSpec, parse_encoder, parse_study


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to stand in, with two runs, some weights and a config."""
    monkeypatch.chdir(tmp_path)
    for file in (
        "simclr/last.ckpt",
        "simsiam/last.ckpt",
        "simsiam/best-epoch=003.ckpt",
        "weights.pt",
        "odd=name/last.ckpt",
        "a@b/last.ckpt",
    ):
        Path(file).parent.mkdir(exist_ok=True)
        Path(file).touch()
    Path("paper.yaml").write_text("study: {encoders: [SimCLR=simclr], per_class: 3}\n")
    Path("train.yaml").write_text("optim: {lr: 0.1}\n")
    Path("empty").mkdir()
    for number in range(7):
        Path(f"many/{number}").mkdir(parents=True)
        Path(f"many/{number}/last.ckpt").touch()
    return tmp_path


def specs(words: list[str]) -> list[tuple[str, str | None, str | None]]:
    return [(own.title, own.kind, None if own.checkpoint is None else str(own.checkpoint)) for own in parse_study(words).encoders]


def test_a_config_names_encoders_and_the_study() -> None:
    request = parse_study(["paper.yaml", "study.per_class=4", "--out", "found"])
    assert request.name == "paper"
    assert request.encoders == (EncoderSpec("SimCLR", None, Path("simclr/last.ckpt")),)
    assert (request.out, request.overrides, request.trust_pickle) == (Path("found"), ("study.per_class=4",), False)


def test_checkpoints_come_beside_a_config_and_options_beside_them() -> None:
    for words in (
        ["paper.yaml", "study.seeds=[1]", "--ckpt", "simsiam"],
        ["paper.yaml", "--ckpt", "simsiam", "study.seeds=[1]"],
        ["--ckpt", "simsiam", "--out", "x", "paper.yaml", "study.seeds=[1]"],
    ):
        assert specs(words) == [("SimCLR", None, "simclr/last.ckpt"), ("simsiam", None, "simsiam/last.ckpt")]
        assert parse_study(words).overrides == ("study.seeds=[1]",)
    assert specs(["--ckpt", "simclr", "--ckpt", "best=simsiam"]) == [
        ("simclr", None, "simclr/last.ckpt"),
        ("best", None, "simsiam/last.ckpt"),
    ]


def test_a_run_or_a_checkpoint_needs_no_ckpt() -> None:
    assert specs(["simclr/last.ckpt"]) == [("simclr", None, "simclr/last.ckpt")]
    assert specs(["odd=name", "paper.yaml", "study.seeds=[1]"]) == [
        ("SimCLR", None, "simclr/last.ckpt"),
        ("odd=name", None, "odd=name/last.ckpt"),
    ]
    assert parse_study(["simsiam/best-epoch=003.ckpt"]).name == "best-epoch=003"


def test_the_options_alone_tell_the_whole_study() -> None:
    request = parse_study(["paper.yaml", "study.encoders=[A=simclr]", "study.seeds=[1]", "--ckpt", "B=simsiam"])
    assert [own.title for own in request.encoders] == ["A", "B"]
    config = load_as(StudyConfig, request.layer, overrides=request.overrides)
    assert config.study.encoders == ["A=simclr", "B=simsiam"]
    assert (config.study.per_class, config.study.seeds) == (3, [1])
    assert parse_study(["--ckpt", "simclr"]).name == "simclr"


@pytest.mark.parametrize(
    ("text", "title", "kind", "file"),
    [
        ("simclr", "simclr", None, "simclr/last.ckpt"),
        ("My net=simclr", "My net", None, "simclr/last.ckpt"),
        ("simsiam/best-epoch=003.ckpt", "best-epoch=003", None, "simsiam/best-epoch=003.ckpt"),
        ("early=simsiam/best-epoch=003.ckpt", "early", None, "simsiam/best-epoch=003.ckpt"),
        ("odd=name", "odd=name", None, "odd=name/last.ckpt"),
        ("a@b", "a@b", None, "a@b/last.ckpt"),
        ("weights.pt", "weights", None, "weights.pt"),
        ("torchvision:resnet18@weights.pt", "weights", "torchvision:resnet18", "weights.pt"),
        ("R=timm:vit_tiny@weights.pt", "R", "timm:vit_tiny", "weights.pt"),
        ("torchscript@weights.pt", "weights", "torchscript", "weights.pt"),
        ("my.module:make@weights.pt", "weights", "my.module:make", "weights.pt"),
        ("my.module:make", "my.module:make", "my.module:make", None),
        ("clip=open_clip:ViT-B-32/openai", "clip", "open_clip:ViT-B-32/openai", None),
        ("transformers:google/siglip-base-patch16-224", "transformers:google/siglip-base-patch16-224",
         "transformers:google/siglip-base-patch16-224", None),
    ],
)  # fmt: skip
def test_an_encoder_is_a_run_a_file_or_a_kind(text: str, title: str, kind: str | None, file: str | None) -> None:
    assert parse_encoder(text) == EncoderSpec(title, kind, None if file is None else Path(file))


def test_a_run_where_one_stands_has_the_folders_name(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(runs / "simclr")
    assert parse_encoder("last.ckpt").title == "simclr"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be .TITLE=.WHAT"),
        ("title=", "must be .TITLE=.WHAT"),
        ("=simclr", "must be .TITLE=.WHAT"),
        (" =simclr", "must be .TITLE=.WHAT"),
        ("timm:x@", "must be .TITLE=.WHAT"),
        ("@weights.pt", "must be .TITLE=.WHAT"),
        ("torchvision:resnet18", "comes without weights; write torchvision:resnet18@CHECKPOINT"),
        ("net=export", "comes without weights; write export@CHECKPOINT"),
    ],
)
def test_what_names_no_encoder(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_encoder(text)


@pytest.mark.parametrize("text", ["nowhere", "a=nowhere.ckpt", "timm:x@nowhere.pt", "exported/net", "no/colon:here", "simsiam/first.ckpt"])
def test_a_file_that_is_not_there(text: str) -> None:
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        parse_encoder(text)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "study.encoders: which encoders"),
        (["study.per_class=3"], "study.encoders: which encoders"),
        (["nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["paper.yaml", "other.yaml"], "'other.yaml': one config is read, paper.yaml"),
        (["train.yaml"], "which encoders? train.yaml has no study section; give --ckpt PATH, or a config"),
        (["simclr", "train.yaml"], "optim.lr: plays no part in a study"),
        (["simclr", "explain.num_pairs=3"], "explain.num_pairs: plays no part in a study"),
        (["simclr", "checkpoint.top_k=3"], "checkpoint.top_k: plays no part in a study"),
        (["--ckpt", "simclr", "augment.flip=0.5"], "augment.flip: plays no part in a study"),
        (["nowhere.ckpt"], "nowhere.ckpt: no such checkpoint"),
        (["empty"], "empty/last.ckpt: no such checkpoint"),
        (["--ckpt", "many"], "many: holds no last.ckpt; the runs below it are many/0, many/1, many/2, many/3, many/4 and 2 more"),
        (["A=simclr"], "'A=simclr': an option is written section.key=value"),
        (["weights.pt"], "which encoders"),
        (["--ckpt", "simclr", "simclr"], "two are called 'simclr'; write TITLE=WHAT"),
        (["--ckpt", "A=simclr", "A=simsiam"], "two are called 'A'"),
        (["paper.yaml", "--ckpt", "SimCLR=simsiam"], "two are called 'SimCLR'"),
        (["--ckpt", "simclr", "study.per_clas=3"], "unknown option 'study.per_clas'; did you mean 'study.per_class'"),
        (["--ckpt", "simclr", "studdy.per_class=3"], "unknown option 'studdy.per_class'; did you mean 'study.per_class'"),
        (["--ckpt", "study.seeds=[1]"], "study.encoders: which encoders"),
        (["--ckpt", "simclr", "explain.attributions=[random]"], "explain.attributions=random: unknown"),
        (["--ckpt", "simclr", "--image-size", "two"], "--image-size two"),
        (["--ckpt", "simclr", "--mean", "2"], "--mean 2"),
        (["--ckpt", "simclr", "--std", "a,b"], "--std a,b"),
        (["--ckpt", "simclr", "--outt", "x"], "unrecognized arguments: --outt"),
        (["--ckpt", ""], "'': a word of the command line is empty"),
        (["--ckpt", "simclr", "--out", ""], "'': a word of the command line is empty"),
        (["--ckpt"], "--ckpt: expected at least one argument"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_one_line(words: list[str], message: str) -> None:
    with pytest.raises(CocoaError) as error:
        parse_study(words)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_help_tells_the_options_of_studies(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match=r"^0$"):
        parse_study(["--help"])
    told = capsys.readouterr().out
    assert "  study.per_class=25  (int)" in told
    assert "  explain.corpus_size=100  (int)" in told  # the paper's, not a run's
    assert "python -m cocoa_pl.study [CONFIG] [--ckpt PATH ...]" in told
