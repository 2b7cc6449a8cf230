"""The schema, how it is filled, and what it refuses."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from cocoa_pl.config import Config, help_text, load_config, read_yaml, to_dict, to_yaml
from cocoa_pl.config.load import option_names, option_type
from cocoa_pl.config.texts import sentences
from cocoa_pl.errors import ConfigError

OPTIONS = list(option_names())
LINES = help_text().splitlines()


def value_of(config: Config, key: str) -> Any:
    value: Any = config
    for part in key.split("."):
        value = getattr(value, part)
    return value


def write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults_are_the_schema_s() -> None:
    assert load_config() == Config()


def test_later_layers_win_and_lists_are_replaced(tmp_path: Path) -> None:
    layer = read_yaml(write(tmp_path, "optim: {lr: 0.5, weight_decay: 0.25}\nexplain: {views: [original, crop, flip]}\n"))
    overrides = ["optim.lr=1e-3", "explain.views=[original]", "optim.lr=2e-3"]
    config = load_config(layer, {"optim": {"weight_decay": 0.125}}, overrides=overrides)
    default = Config()
    assert (config.optim.lr, config.optim.weight_decay, config.optim.schedule) == (0.002, 0.125, default.optim.schedule)
    assert config.explain.views == ["original"]
    assert load_config(layer).explain.views == ["original", "crop", "flip"]
    assert default.optim.lr != 0.5


def test_a_config_written_as_yaml_reads_back_the_same(tmp_path: Path) -> None:
    overrides = [
        "run.name='été: 3'", "optim.lr=1e-7", "data.num_train=7", "checkpoint.monitor=null", "explain.views=[original, rotate90]",
        "data.scenes.shortcut=0.25", "trainer.precision=32", "optim.clip_grad_norm=1", "run.seed=9223372036854775807",
    ]  # fmt: skip
    for config in (Config(), load_config(overrides=overrides)):
        assert load_config(read_yaml(write(tmp_path, to_yaml(config)))) == config
    assert value_of(config, "data.scenes.shortcut") == 0.25


def test_to_dict_holds_plain_values_only() -> None:
    def leaves(value: Any) -> list[Any]:
        if isinstance(value, dict):
            return [leaf for item in value.values() for leaf in leaves(item)]
        return [leaf for item in value for leaf in leaves(item)] if isinstance(value, list) else [value]

    assert {type(leaf) for leaf in leaves(to_dict(Config()))} <= {int, float, bool, str, type(None)}


@pytest.mark.parametrize(
    ("override", "value"),
    [
        ("optim.lr=1e-3", 0.001),
        ("optim.lr=1", 1.0),
        ("explain.precision=32", "32"),
        ("data.download=true", True),
        ("data.num_train=null", None),
        ("augment.crop_scale=[0.5, 1]", [0.5, 1.0]),
        ("run.name=a=b", "a=b"),
        ("run.name=2024-01-01", "2024-01-01"),
        ("run.name='007'", "007"),
        ('run.name="a: b"', "a: b"),
    ],
)
def test_values_are_read_as_in_yaml(override: str, value: Any) -> None:
    got = value_of(load_config(overrides=[override]), override.partition("=")[0])
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("explain.num_mask=9", "unknown option 'explain.num_mask'; did you mean 'explain.num_masks'? (see --help)"),
        ("seed=3", "unknown option 'seed'; did you mean 'run.seed'? (see --help)"),
        ("qqqqqqqq=3", "unknown option 'qqqqqqqq'; see --help for all options"),
        ("optim.lr.peak=3", "unknown option 'optim.lr.peak'; did you mean 'optim.lr'? (see --help)"),
        ("model.width=wide", "model.width=wide: must be a whole number"),
        ("model.width=1.5", "model.width=1.5: must be a whole number"),
        ("model.width=true", "model.width=True: must be a whole number"),
        ("model.width={}", "model.width={}: must be a whole number"),
        ("optim.lr=fast", "optim.lr=fast: must be a number"),
        ("optim.lr=.inf", "optim.lr=inf: must be greater than 0 and finite"),
        ("optim.lr=.nan", "optim.lr=nan: must be greater than 0"),
        ("optim.clip_grad_norm=x", "optim.clip_grad_norm=x: must be a number or null"),
        ("data.num_train=x", "data.num_train=x: must be a whole number or null"),
        ("data.download=maybe", "data.download=maybe: must be true or false"),
        ("run.name=[a]", "run.name=['a']: must be a text"),
        ("explain.views=original", "explain.views=original: must be a list of names, for instance [a, b]"),
        ("augment.crop_scale=0.5", "augment.crop_scale=0.5: must be a list of numbers, for instance [0.2, 1.0]"),
        ("optim.lr", "'optim.lr': an option is written section.key=value, for instance optim.lr=1e-3 (see --help)"),
        ("=3", "'=3': an option is written section.key=value, for instance optim.lr=1e-3 (see --help)"),
        ("model.width=[1", "model.width=[1: the value is not valid YAML"),
    ],
)
def test_a_wrong_override_says_what_would_do(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override])
    assert str(caught.value) == message


@pytest.mark.parametrize("section", [item.name for item in fields(Config)] + ["data.scenes"])
def test_a_section_given_as_a_value_lists_its_options(section: str) -> None:
    inside = [name for name in OPTIONS if name.startswith(f"{section}.")]
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[f"{section}=3"])
    assert str(caught.value) == f"{section}=3: '{section}' is a section, its options are {', '.join(inside)}"
    assert load_config(overrides=[f"{section}={{}}"]) == Config()


@pytest.mark.parametrize("value", ["???", "${nothing}", "${"])
def test_omegaconf_s_own_language_is_an_error_of_ours(value: str) -> None:
    with pytest.raises(ConfigError, match=r"run\.root") as caught:
        load_config(overrides=[f"run.root={value}"])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n- b\n", "must hold sections such as 'data:', found list"),
        ("just text", "must hold sections such as 'data:', found str"),
        ("a: [1\nb: 2", "not valid YAML"),
        ("a: \tb: c\n- d", "not valid YAML"),
    ],
)
def test_a_file_that_holds_no_sections_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read_yaml(path)
    assert str(caught.value).startswith(f"--config {path}: {message}")
    assert "\n" not in str(caught.value)


def test_missing_unreadable_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read \\(No such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="cannot be read \\(Is a directory"):
        read_yaml(tmp_path)
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not valid YAML"):
        read_yaml(tmp_path / "binary.yaml")


def test_an_empty_file_changes_nothing(tmp_path: Path) -> None:
    assert load_config(read_yaml(write(tmp_path, "# nothing yet\n"))) == Config()


@pytest.mark.parametrize(("text", "message"), [("optim:\n", "'optim' is a section"), ("1: 2\n", "unknown option '1'")])
def test_wrong_keys_in_a_file_are_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_config(read_yaml(write(tmp_path, text)))


@pytest.mark.parametrize(
    "override",
    [
        "run.name=", "run.name=''", "run.name=a/b", "run.name=..", "run.seed=-1", "run.seed=9223372036854775808",
        "data.name=imagenet", "data.on_bad_image=ignore", "data.image_size=15", "data.image_size=1025", "data.num_train=0",
        "data.num_val=0",
        "data.val_fraction=0", "data.val_fraction=0.91", "data.batch_size=1", "data.num_workers=-1", "data.scenes.num_objects=3",
        "data.scenes.background=1.1", "data.scenes.shortcut=-0.1",
        "augment.backend=gpu", "augment.crop_scale=[0, 1]", "augment.crop_scale=[0.9, 0.5]", "augment.crop_scale=[0.5]",
        "augment.crop_scale=[0.5, 1.1]", "augment.crop_scale=[0.1, 0.2, 0.3]", "augment.jitter=1.1", "augment.flip=-0.1",
        "augment.jitter_prob=2", "augment.grayscale=2", "augment.blur=2",
        "model.backbone=other:net", "model.stem=huge", "model.width=3", "model.hidden_dim=0", "model.projection_dim=1",
        "model.temperature=0", "model.temperature=11", "model.ema_decay=1",
        "optim.name=adm", "optim.schedule=step", "optim.scale_lr=cubic", "optim.lr=0", "optim.weight_decay=-1", "optim.warmup_epochs=-1",
        "optim.clip_grad_norm=0",
        "trainer.accelerator=tpu", "trainer.strategy=fsdp", "trainer.precision=16", "trainer.epochs=0", "trainer.devices=-1",
        "trainer.num_nodes=0", "trainer.accumulate=0",
        "explain.views=[]", "explain.views=[flip]", "explain.views=[flip, original]", "explain.views=[original, flip, flip]",
        "explain.views=[original, zoom]", "explain.attributions=[]", "explain.attributions=[rise, rise]", "explain.attributions=[rize]",
        "explain.pair_targets=[]", "explain.pair_targets=[cocoa, cocoa]", "explain.pair_targets=[coco]", "explain.removal=blurr",
        "explain.precision=16", "explain.every_n_epochs=0", "explain.num_explicands=0", "explain.num_steps=0", "explain.num_masks=3",
        "explain.grid_size=1", "explain.corpus_size=0", "explain.foil_size=1", "explain.curve_steps=1", "explain.num_pairs=-1",
        "explain.chunk_size=0", "explain.num_strips=-1",
        "checkpoint.mode=best", "checkpoint.top_k=-1",
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_refused_in_one_line_naming_its_key(override: str) -> None:
    key = override.partition("=")[0]
    with pytest.raises(ConfigError) as caught:
        load_config(overrides=[override])
    message = str(caught.value)
    assert message.startswith(f"{key}=")
    assert any(word in message for word in ("must", "unknown; choose"))
    assert "\n" not in message


@pytest.mark.parametrize(
    "override",
    ["data.image_size=16", "data.val_fraction=0.9", "model.ema_decay=0.999", "explain.num_masks=4", "augment.crop_scale=[0.2, 0.2]",
     "data.scenes.shortcut=1", "model.backbone=timm:resnet10t", "checkpoint.top_k=0", "run.seed=0"],
)  # fmt: skip
def test_the_ends_of_ranges_are_allowed(override: str) -> None:
    load_config(overrides=[override])


@pytest.mark.parametrize("key", OPTIONS)
def test_every_option_has_a_sentence_and_stands_in_the_help(key: str) -> None:
    parent, _, name = key.rpartition(".")
    sentence = sentences()[option_type(parent).__name__, name]
    assert sentence.endswith(".")
    assert "\n" not in sentence
    assert [below for above, below in pairwise(LINES) if above.startswith(f"  {key}=")] == [f"      {sentence}"]


def test_every_section_has_a_sentence_and_every_line_of_the_help_an_option() -> None:
    assert {line.partition("=")[0].strip() for line in LINES if line.startswith("  ") and line[2] != " "} == set(OPTIONS)
    for item in fields(Config):
        kind = get_type_hints(Config)[item.name]
        assert is_dataclass(kind)
        assert f"{item.name}: {kind.__doc__}" in LINES


def test_the_help_shows_defaults_as_they_are_written() -> None:
    """Every option given on the command line as the help shows it, over a config in which none has its default, is the default."""
    shown = [line.strip().rpartition("  (")[0] for line in LINES if line.startswith("  ") and line[2] != " "]
    changed = ["optim.lr=0.5", "checkpoint.monitor=null", "explain.views=[original]", "data.num_train=5", "data.scenes.shortcut=0.5"]
    assert load_config(overrides=changed) != Config()
    assert load_config(overrides=changed + shown) == Config()
