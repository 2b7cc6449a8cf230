"""The command line of ``explain.py``: every form it takes, without torch and without opening a file."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from cocoa_pl.asking.specs import Spec
from cocoa_pl.cli import Request, parse_explain
from cocoa_pl.config import option_names
from cocoa_pl.errors import CheckpointError, ConfigError, DataError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a run of eleven checkpoints, one of somebody else's, and two folders for pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COCOA_PL_CACHE", "kept")
    for name in ("run/last.ckpt", *(f"run/epoch={number}.ckpt" for number in range(10)), "other.pth", "photos/a.png", "foil/b.png"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    return tmp_path


def parsed(words: str) -> Request:
    return parse_explain(words.split())


ALL = tuple(Path(f"run/epoch={number}.ckpt") for number in range(10))


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("words", "checkpoints"),
        [
            ("--ckpt run/last.ckpt", [Path("run/last.ckpt")]),
            ("--ckpt other.pth --input photos", [Path("other.pth")]),
            ("--ckpt ./run/epoch=3.ckpt", [Path("run/epoch=3.ckpt")]),
            ("--ckpt run", [*ALL, Path("run/last.ckpt")]),
            ("--ckpt run/", [*ALL, Path("run/last.ckpt")]),
            ("--ckpt run/epoch*.ckpt", ALL),
            ("--ckpt **/epoch=[12].ckpt", ALL[1:3]),
            ("--ckpt run/last.ckpt run/epoch=1.ckpt", [Path("run/last.ckpt"), ALL[1]]),
            ("--ckpt run/epoch=1.ckpt run/epoch=[01].ckpt", [ALL[1], ALL[0]]),
            ("--ckpt run --input photos", [Path("run/last.ckpt")]),
            ("--ckpt run --foil foil", [Path("run/last.ckpt")]),
            ("--ckpt run --untrained", [Path("run/last.ckpt")]),
            ("--ckpt run --against other.pth", [Path("run/last.ckpt")]),
            ("--encoder mine:make --input photos", []),
        ],
    )
    def test_what_is_named(self, words: str, checkpoints: list[Path]) -> None:
        request = parsed(words)
        assert request.checkpoints == tuple(checkpoints)
        assert request.series == (len(checkpoints) > 1)

    def test_what_exists_wins_over_a_glob(self) -> None:
        Path("run/[x].ckpt").touch()
        assert parsed("--ckpt run/[x].ckpt").checkpoints == (Path("run/[x].ckpt"),)

    def test_against_a_folder_is_its_last(self) -> None:
        assert parsed("--ckpt other.pth --input photos --against run").against == Path("run/last.ckpt")

    @pytest.mark.parametrize("words", ["--ckpt gone.ckpt", "--ckpt gone/*.ckpt", "--ckpt photos", "--ckpt run/last.ckpt --against photos"])
    def test_none_is_refused(self, words: str) -> None:
        with pytest.raises(CheckpointError, match=r"no such checkpoint|no file matches"):
            parsed(words)


class TestQuestions:
    @pytest.mark.parametrize("words", ["--ckpt run/last.ckpt", "--ckpt run", "--ckpt run/last.ckpt --untrained explain.num_masks=8"])
    def test_without_one_the_explain_set_is_looked_at(self, words: str) -> None:
        assert not parsed(words).asks

    @pytest.mark.parametrize("words", ["--input photos", "--corpus self", "--foil none", "--encoder mine:make --input photos"])
    def test_with_one(self, words: str) -> None:
        assert parsed(f"--ckpt run/last.ckpt {words}").asks

    def test_words_of_several(self) -> None:
        request = parsed("--ckpt run/last.ckpt --input photos val:0-3 - --corpus near=neighbours:3 class:dog photos --foil foil val:4-9")
        assert request.inputs == ("photos", "val:0-3", "-")
        assert request.corpora == (
            Spec("near", "neighbours", num=3),
            Spec("dog", "class", ("dog",)),
            Spec("photos", "pictures", ("photos",)),
        )
        assert request.foil == Spec("foil + val 4-9", "pictures", ("foil", "val:4-9"))


class TestWords:
    """What is asked in words; what each word means is tested in tests/texts."""

    def test_corpora_foil_templates_and_bank(self) -> None:
        request = parse_explain(
            ["--ckpt", "run/last.ckpt", "--corpus-text", "a photo of a {cat}", "pet=dog", "--foil-text", "cifar100",
             "an empty room with no one", "--template", "a {} in the rain", "--concepts", "cifar100", "--top", "7", "--words"]
        )  # fmt: skip
        cat, pet = request.text_corpora
        assert (cat.name, cat.templates) == ("cat", ("a photo of a {}",))
        assert (pet.name, pet.prompts) == ("pet", ("a dog in the rain",))
        assert request.text_foil is not None
        assert (len(request.text_foil.concepts), request.text_foil.sentences) == (100, ("an empty room with no one",))
        assert request.concepts is not None
        assert (len(request.concepts.concepts), request.top, request.words) == (100, 7, True)
        assert request.concepts.templates == request.templates == ("a {} in the rain",)
        assert request.asks
        assert request.asks_in_words

    @pytest.mark.parametrize("words", ["--corpus-text cat dog", "--foil-text cifar100", "--concepts cifar100"])
    def test_each_alone_asks_in_words(self, words: str) -> None:
        request = parsed(f"--ckpt run {words}")
        assert request.asks_in_words
        assert request.checkpoints == (Path("run/last.ckpt"),)

    def test_options_among_texts_are_taken_out_and_texts_that_look_like_one_stay(self) -> None:
        request = parse_explain(
            [
                "--ckpt",
                "run",
                "--corpus-text",
                "cat",
                "explain.num_masks=8",
                "dog",
                "--foil-text",
                "St. Peter's dome = a church by the river",
            ]
        )
        assert request.overrides == ("explain.num_masks=8",)
        assert [corpus.name for corpus in request.text_corpora] == ["cat", "dog"]
        assert request.text_foil is not None
        assert len(request.text_foil.sentences) == 1

    @pytest.mark.parametrize(
        ("words", "said"),
        [
            ("--corpus-text cat", "--foil-text: what is 'cat' contrasted with"),
            ("--corpus-text cat --foil-text cat kitten", "--foil-text: the foil of 'cat' is emptied"),
            ("--corpus-text cat --foil-text dog --foil none", "--foil none: contradicts --foil-text"),
            ("--template photos --corpus self", "--template: puts concepts in sentences"),
            ("--template a{} --input photos", "--template: puts concepts in sentences"),
            ("--top 3 --corpus-text cat dog", "--top: is of a bank of concepts"),
            ("--top 3 --concepts cat dog", "--top 3: must be at most 2"),
            ("--top 0 --concepts cat dog", "--top 0: must be a whole number from 1"),
            ("--top many --concepts cat dog", "--top many: must be a whole number from 1"),
            (f"--top {'9' * 5000} --concepts cat dog", "must be a whole number from 1"),
            ("--words --concepts cat dog", "--words: are those of the texts asked about"),
            ("--words --corpus self", "--words: are those of the texts asked about"),
            ("--concepts cat dog --foil-text bird", "--foil-text: concepts of --concepts are contrasted with one another"),
            ("--concepts cat dog --foil photos", "--foil: concepts of --concepts are contrasted with one another"),
            ("--corpus cat=photos --corpus-text cat dog", "--corpus-text: 'cat' is what a target of --corpus is called too"),
            ("--corpus concept=photos --concepts cat dog --corpus-text x=cat x=dog", "both are called 'x'"),
            ("--concepts cifar10", "did you mean 'cifar100'"),
            ("--concepts cat", "--concepts: has 1 concept; it must have 2 to 20000"),
            ("--foil-text @gone.txt --corpus-text cat", "--foil-text @gone.txt: no such file"),
        ],
    )
    def test_what_contradicts_itself(self, words: str, said: str) -> None:
        with pytest.raises((ConfigError, DataError), match=re.escape(said)):
            parsed(f"--ckpt run {words}")

    @pytest.mark.parametrize("words", [["cat", " "], ["a photo of a {cat} and a {dog}"], ["a {} b"], ["a\x07bell is ringing"]])
    def test_no_texts(self, words: list[str]) -> None:
        with pytest.raises(ConfigError, match=r"^--corpus-text "):
            parse_explain(["--ckpt", "run", "--corpus-text", *words, "--foil-text", "dog"])

    def test_names_of_a_foil_need_a_place_in_the_text(self) -> None:
        with pytest.raises(ConfigError, match="mark its concept by braces"):
            parse_explain(["--ckpt", "run", "--corpus-text", "a cat that sleeps on a sofa", "--foil-text", "cifar100"])

    def test_the_place_of_a_concept_is_no_name(self) -> None:
        with pytest.raises(ConfigError, match="--concepts: 'concept 2' is what a target of --corpus is called too"):
            parse_explain(["--ckpt", "run", "--corpus", "concept 2=photos", "--concepts", "cifar100"])


class TestOptionsOfTheConfig:
    @pytest.mark.parametrize(
        "words",
        [
            "explain.num_masks=8 run.seed=3 --ckpt run/last.ckpt --input photos --corpus self --foil none",
            "--ckpt run/last.ckpt explain.num_masks=8 --input photos run.seed=3 --corpus self --foil none",
            "--ckpt run/last.ckpt --input photos explain.num_masks=8 --corpus self run.seed=3 --foil none",
            "--ckpt run/last.ckpt --input explain.num_masks=8 photos --corpus self --foil none run.seed=3",
            "--ckpt run/last.ckpt --input photos --corpus explain.num_masks=8 self --foil none -- run.seed=3",
        ],
    )
    def test_may_stand_anywhere(self, words: str) -> None:
        request = parsed(words)
        assert sorted(request.overrides) == ["explain.num_masks=8", "run.seed=3"]
        assert (request.checkpoints, request.inputs) == ((Path("run/last.ckpt"),), ("photos",))
        assert ([spec.name for spec in request.corpora], request.foil) == (["self"], Spec("none", "none"))

    def test_values_with_brackets(self) -> None:
        request = parsed("--ckpt run --input photos explain.attributions=[rise,gradient] explain.views=[original]")
        assert request.overrides == ("explain.attributions=[rise,gradient]", "explain.views=[original]")

    def test_files_and_names_that_look_like_one_stay(self) -> None:
        for name in ("data.v2=old.png", "run.x=1/a.png"):
            Path(name).parent.mkdir(exist_ok=True)
            Path(name).touch()
        request = parsed("--ckpt run --input data.v2=old.png run.x=*/a.png --corpus dat.a=photos date.b=class:dog")
        assert request.inputs == ("data.v2=old.png", "run.x=*/a.png")
        assert [spec.name for spec in request.corpora] == ["dat.a", "date.b"]
        assert request.overrides == ()

    @pytest.mark.parametrize("option", ["--ckpt run/last.ckpt", "--input photos", "--corpus self", "--foil foil"])
    def test_a_wrong_one_is_found_behind_any_list(self, option: str) -> None:
        with pytest.raises(ConfigError, match=r"did you mean 'explain.num_masks'"):
            parsed(f"--ckpt run/last.ckpt {option} explain.num_mask=8")

    @pytest.mark.parametrize("option", ["--ckpt run/last.ckpt", "--input photos", "--foil foil"])
    def test_a_wrong_section_too(self, option: str) -> None:
        with pytest.raises(ConfigError, match=r"unknown option 'explian.num_masks'; did you mean 'explain.num_masks'"):
            parsed(f"--ckpt run/last.ckpt {option} explian.num_masks=8")

    @pytest.mark.parametrize("option", ["input", "corpus", "foil", "ckpt"])
    def test_a_list_of_nothing_else_names_nothing(self, option: str) -> None:
        with pytest.raises(ConfigError, match=f"--{option}: names nothing; run.seed=3 after it is an option of its own"):
            parsed(f"--{option} run.seed=3")


class TestValues:
    @pytest.mark.parametrize(
        ("text", "seconds"), [("90s", 90), ("10m", 600), ("2h", 7200), ("1d", 86400), ("45", 45), ("0.5h", 1800), ("1e3s", 1000)]
    )
    def test_budget(self, text: str, seconds: float) -> None:
        assert parsed(f"--ckpt run --input photos --budget {text}").budget == seconds

    @pytest.mark.parametrize("text", ["soon", "0", "-1h", "inf", "nan", "h", "10x", "1h30m"])
    def test_no_budget(self, text: str) -> None:
        with pytest.raises(ConfigError, match=f"^--budget {re.escape(text)}: must be a time above 0 such as 90s, 10m or 2h$"):
            parsed(f"--ckpt run --input photos --budget={text}")

    @pytest.mark.parametrize(("text", "quantile"), [("otsu", None), ("0.9", 0.9), (".5", 0.5), ("1e-2", 0.01)])
    def test_box(self, text: str, quantile: float | None) -> None:
        assert parsed(f"--ckpt run --input photos --box {text}").quantile == quantile

    @pytest.mark.parametrize("text", ["1", "0", "1.5", "-0.5", "nan", "Otsu", "90%"])
    def test_no_box(self, text: str) -> None:
        with pytest.raises(ConfigError, match=f"^--box {re.escape(text)}: must be otsu, or a quantile between 0 and 1$"):
            parsed(f"--ckpt run --input photos --box={text}")

    def test_statistics(self) -> None:
        request = parsed("--ckpt other.pth --input photos --mean 0.485,0.456,0.406 --std .229,.224,.225 --image-size 96")
        assert (request.mean, request.std, request.image_size) == ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 96)
        assert parsed("--ckpt other.pth --input photos --mean 0 --std 1").mean == (0,)

    @pytest.mark.parametrize(
        "words",
        [
            "--mean 0.5", "--std 0.5", "--mean 0.5 --std 0", "--mean 0.5 --std 0.2,0.2,0", "--mean 0.5,0.5 --std 1", "--mean 2 --std 1",
            "--mean=-1 --std 1", "--mean a,b,c --std 1", "--mean nan --std 1", "--mean 0.5 --std inf", "--mean 0.5 --std 1,1,1",
            "--mean 0.5,, --std 1", "--image-size 7", "--image-size 4097", "--image-size 2.5", "--image-size=-32", "--image-size 32px",
        ],
    )  # fmt: skip
    def test_no_statistics(self, words: str) -> None:
        with pytest.raises(ConfigError, match=r"^--(mean|std|image-size)"):
            parsed(f"--ckpt other.pth --input photos {words}")

    def test_cache(self) -> None:
        assert parsed("--ckpt run --cache none").cache is None
        assert parsed("--ckpt run --cache here/it").cache == Path("here/it")
        assert parsed("--ckpt run").cache == Path("kept")

    def test_the_rest(self) -> None:
        words = "--ckpt run/last.ckpt --input photos --out there --trust-pickle --against other.pth --against-encoder timm:resnet10t"
        request = parsed(words)
        assert (request.out, request.trust_pickle, request.against) == (Path("there"), True, Path("other.pth"))
        assert (request.encoder, request.against_encoder, request.untrained) == (None, "timm:resnet10t", False)
        assert parsed("--ckpt run --untrained").untrained

    @pytest.mark.parametrize(
        "option", ["ckpt", "input", "corpus", "foil", "corpus-text", "foil-text", "template", "concepts", "top", "encoder", "against",
                   "against-encoder", "out", "budget", "box", "image-size", "mean", "std", "cache"],
    )  # fmt: skip
    def test_no_word_may_be_empty(self, option: str) -> None:
        with pytest.raises(ConfigError, match=f"^--{option} '': is empty$"):
            parse_explain(["--ckpt", "run", f"--{option}", ""])


def test_help_names_every_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        parse_explain(["--help"])
    text = capsys.readouterr().out
    renamed = {
        "checkpoints": "ckpt", "inputs": "input", "corpora": "corpus", "quantile": "box", "text_corpora": "corpus-text",
        "text_foil": "foil-text", "templates": "template",
    }  # fmt: skip
    derived = {"series", "overrides"}
    for field in fields(Request):
        if field.name not in derived:
            assert f"--{renamed.get(field.name, field.name).replace('_', '-')} " in text.replace("\n", " ")
    for name in option_names():
        assert name in text


def test_the_defaults_are_those_of_a_request_in_python() -> None:
    given, made = parsed("--ckpt run/last.ckpt --cache none"), Request((Path("run/last.ckpt"),))
    assert given == made
