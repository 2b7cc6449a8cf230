"""Options of studies: the paper's protocol by default, and every wrong value refused by its name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cocoa_pl.config import Config, StudyConfig, help_text, load_as, load_config, option_names, read_yaml, to_dict, to_yaml
from cocoa_pl.config.study import StudyOptions, parts_of, plays_part
from cocoa_pl.config.texts import shown_names
from cocoa_pl.errors import ConfigError


def test_the_defaults_are_the_papers_protocol() -> None:
    config = StudyConfig()
    assert config.study.seeds == [123, 456, 789, 42, 91]
    assert (config.study.per_class, config.explain.corpus_size, config.explain.foil_size) == (25, 100, 1500)
    assert config.explain.attributions == ["integrated_gradients", "gradient_shap", "rise"]
    assert config.study.targets == ["label_free", "contrastive_label_free", "corpus", "cocoa"]
    assert config.study.settings == ["same", "different"]
    assert len(config.study.measures) == 4
    assert config.study.randomised
    assert not config.study.in_sample


def test_a_study_has_all_options_of_a_run_and_its_own() -> None:
    ours = [name for name in option_names(StudyConfig) if name.startswith("study.")]
    assert set(option_names(StudyConfig)) == {*option_names(Config), *ours}
    assert len(ours) == len(vars(StudyOptions()))
    assert not any(name.startswith("study.") for name in option_names())
    with pytest.raises(ConfigError, match=r"unknown option 'study.per_class'"):
        load_config(overrides=["study.per_class=3"])


def test_every_option_has_a_sentence_in_the_help() -> None:
    told = help_text(StudyConfig)
    for name in shown_names(StudyConfig):
        sentence = re.search(rf"^  {re.escape(name)}=.*\n      (.+)$", told, re.MULTILINE)
        assert sentence, name
        assert sentence[1].endswith("."), name


def test_help_lists_what_plays_a_part_in_the_words_of_a_study() -> None:
    names = list(shown_names(StudyConfig))
    assert {"run.seed", "data.name", "data.scenes.background", "explain.num_masks", "study.seeds", "trainer.accelerator"} <= {*names}
    assert all(plays_part(name) for name in names)
    assert not {"run.name", "explain.num_pairs", "explain.enabled", "optim.lr", "model.width", "trainer.epochs", "data.batch_size"} & {
        *names
    }
    told, of_run = help_text(StudyConfig), help_text()
    assert "as many others judge" in told
    assert not any(words in told for words in ("budget_share", "epoch ends", "half as many", "\noptim:", "\nmodel:"))
    assert list(shown_names(Config)) == list(option_names())
    assert "budget_share may allow" in of_run
    known = {*option_names(StudyConfig)}
    sections = {name.rpartition(".")[0] for name in known}
    assert {*StudyConfig.sentences, *StudyConfig.shown, *StudyConfig.hidden} <= known | sections


def test_what_plays_no_part_is_left_out() -> None:
    left = parts_of(to_dict(load_as(StudyConfig, overrides=["explain.num_masks=99"])))
    assert not {"optim", "augment", "checkpoint"} & left.keys()
    assert "num_pairs" not in left["explain"]
    assert load_as(StudyConfig, left).explain.num_masks == 99


def test_layers_and_overrides_come_over_the_papers_values() -> None:
    config = load_as(StudyConfig, {"explain": {"num_masks": 99}, "study": {"per_class": 4, "seeds": [7]}}, overrides=["study.per_class=5"])
    assert (config.study.per_class, config.study.seeds, config.explain.num_masks) == (5, [7], 99)
    assert config.explain.corpus_size == 100
    assert load_as(StudyConfig, overrides=["study.classes=[0,7]"]).study.classes == ["0", "7"]


def test_yaml_goes_there_and_back(tmp_path: Path) -> None:
    config = load_as(StudyConfig, overrides=["study.encoders=[A=x y, 'b: c']", "study.blur_sigmas=[0.5]"])
    (tmp_path / "study.yaml").write_text(to_yaml(config))
    assert to_dict(load_as(StudyConfig, read_yaml(tmp_path / "study.yaml"))) == to_dict(config)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("parts=[grids]", "study.parts=grids: unknown; choose from: grid, sanity, sensitivity, views (did you mean 'grid'?)"),
        ("parts=[]", "study.parts=[]: must name at least one, each once"),
        ("settings=[same,same]", "study.settings=['same', 'same']: must name at least one, each once"),
        ("targets=[coca]", "study.targets=coca: unknown; choose from: cocoa, contrastive_label_free, corpus, label_free"),
        ("targets=[]", "study.targets=[]"),
        ("measures=[gap]", "study.measures=gap: unknown"),
        ("measures=[]", "study.measures=[]"),
        ("controls=[rise]", "study.controls=rise: unknown"),
        ("controls=[random,random]", "study.controls=['random', 'random']"),
        ("removals=[blurr]", "study.removals=blurr: unknown"),
        ("seeds=[]", "study.seeds=[]"),
        ("seeds=[1,1]", "study.seeds=[1, 1]"),
        ("seeds=[-1]", "study.seeds=-1: must be at least 0"),
        ("seeds=[a]", "study.seeds=['a']: must be a list of whole numbers"),
        ("seeds=5", "study.seeds=5: must be a list of whole numbers"),
        ("classes=[a,a]", "study.classes=['a', 'a']"),
        ("per_class=0", "study.per_class=0: must be at least 1"),
        ("per_class=many", "study.per_class=many: must be a whole number"),
        ("num_bank=1", "study.num_bank=1: must be at least 2"),
        ("corpus_sizes=[0]", "study.corpus_sizes=0: must be at least 1"),
        ("foil_sizes=[1]", "study.foil_sizes=1: must be at least 2"),
        ("mask_counts=[3]", "study.mask_counts=3: must be at least 4"),
        ("blur_sigmas=[0]", "study.blur_sigmas=0.0: must be greater than 0"),
        ("sensitivity_per_class=0", "study.sensitivity_per_class=0"),
        ("cascade_per_class=0", "study.cascade_per_class=0"),
        ("views_per_class=0", "study.views_per_class=0"),
        ("in_sample=perhaps", "study.in_sample=perhaps: must be true or false"),
        ("encoder=[a]", "unknown option 'study.encoder'; did you mean 'study.encoders'?"),
    ],
)
def test_a_wrong_value_is_refused_by_name(option: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_as(StudyConfig, overrides=[f"study.{option}"])
    assert str(error.value).startswith(message)


def test_controls_may_be_left_out_and_are_no_attributions() -> None:
    assert load_as(StudyConfig, overrides=["study.controls=[]"]).study.controls == []
    with pytest.raises(ConfigError, match=r"explain\.attributions=random: unknown"):
        load_as(StudyConfig, overrides=["explain.attributions=[rise,random]"])
