"""The board of TensorBoard, read back from its files."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from PIL import Image
from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

from cocoa_pl.callbacks.boards import Board, Logged, boards_of, projector
from cocoa_pl.callbacks.boards.layout import pages
from cocoa_pl.callbacks.csv_logger import CsvLogger

LOGGED = Logged(["rise", "rise-class"], ["original", "flip", "jitter"], labelled=True, masks=True)


@pytest.fixture
def logger(tmp_path: Path) -> Iterator[TensorBoardLogger]:
    made = TensorBoardLogger(tmp_path, name="run", version="", default_hp_metric=False)
    yield made
    made.experiment.close()


@pytest.fixture
def board(logger: TensorBoardLogger, tmp_path: Path) -> Board:
    (made,) = boards_of([CsvLogger(tmp_path / "metrics.csv"), logger])
    return made


def events(logger: TensorBoardLogger) -> EventAccumulator:
    read = EventAccumulator(logger.log_dir, size_guidance={"images": 0, "tensors": 0, "scalars": 0})
    read.Reload()
    return read


def picture(mode: str, seed: int) -> tuple[Image.Image, bytes]:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 7, len(mode)), dtype=np.uint8)
    made = Image.fromarray(pixels.squeeze(-1) if mode == "L" else pixels)
    buffer = io.BytesIO()
    made.save(buffer, format="PNG")
    return made, buffer.getvalue()


def test_pictures_come_back_as_they_were_given_once_flushed(board: Board, logger: TensorBoardLogger) -> None:
    given = [{tag: picture(mode, step) for tag, mode in (("explain/rise/sheet", "RGB"), ("explain/film/0", "L"))} for step in range(3)]
    for step, pictures in enumerate(given):
        board.images({tag: png for tag, (_, png) in pictures.items()}, step=step)
    board.flush()  # the file is still open, as in a run that is killed
    read = events(logger)
    for tag in given[0]:
        shown = read.Images(tag)
        assert [image.step for image in shown] == [0, 1, 2]
        for image, pictures in zip(shown, given, strict=True):
            assert (image.width, image.height) == (7, 5)
            assert image.encoded_image_string == pictures[tag][1]
            np.testing.assert_array_equal(Image.open(io.BytesIO(image.encoded_image_string)), pictures[tag][0])


def test_what_is_no_png_is_refused(board: Board) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, format="JPEG")
    for content in (b"", b"\x89PNG\r\n\x1a\n", buffer.getvalue()):
        with pytest.raises(ValueError, match="PNG"):
            board.images({"picture": content}, step=0)


def test_the_layout_holds_the_pages_with_exact_tags(board: Board, logger: TensorBoardLogger) -> None:
    board.layout(LOGGED)
    board.flush()
    (event,) = events(logger).Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    expected = pages(LOGGED)
    assert [category.title for category in layout.category] == [page.title for page in expected]
    for category, page in zip(layout.category, expected, strict=True):
        for shown, chart in zip(category.chart, page.charts, strict=True):
            assert shown.title == chart.title
            patterns = [re.compile(pattern) for pattern in shown.multiline.tag]
            exact = {end for band in shown.margin.series for end in (band.value, band.lower, band.upper)}
            matched = {tag for tag in chart.tags if any(pattern.match(tag) for pattern in patterns)}
            assert chart.tags in (matched, exact)
            assert not [tag for tag in chart.tags if any(pattern.match(f"{tag}2") or pattern.match(f"x{tag}") for pattern in patterns)]


def test_text_is_kept(board: Board, logger: TensorBoardLogger) -> None:
    board.text("explain/guide", "# Title\n\n| a |\n| --- |\n| 1 |\n", step=3)
    board.flush()
    (event,) = events(logger).Tensors("explain/guide/text_summary")
    assert (event.step, event.tensor_proto.string_val[0].decode()) == (3, "# Title\n\n| a |\n| --- |\n| 1 |\n")


def test_hparams_name_our_scalars_and_log_none(board: Board, logger: TensorBoardLogger) -> None:
    logger.log_metrics({"val/knn": 0.25}, step=4)
    board.hparams({"run.seed": 7, "optim.lr": 0.5, "model.backbone": "resnet18", "model.compile": True}, {"val/knn": 0.25})
    board.flush()
    read = events(logger)
    assert read.Tags()["scalars"] == ["val/knn"]
    assert [(event.step, event.value) for event in read.Scalars("val/knn")] == [(4, 0.25)]
    content = {tag: plugin_data_pb2.HParamsPluginData.FromString(data) for tag, data in read.PluginTagToContent("hparams").items()}
    experiment = content[metadata.EXPERIMENT_TAG].experiment
    assert [metric.name.tag for metric in experiment.metric_infos] == ["val/knn"]
    options = content[metadata.SESSION_START_INFO_TAG].session_start_info.hparams
    assert {name: options[name].number_value for name in ("run.seed", "optim.lr")} == {"run.seed": 7, "optim.lr": 0.5}
    assert {name: options[name].string_value for name in ("model.backbone", "model.compile")} == {
        "model.backbone": "resnet18",
        "model.compile": "true",
    }


def test_an_embedding_takes_the_place_of_the_one_before_even_in_a_new_process(logger: TensorBoardLogger) -> None:
    reps = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    thumbnails = torch.zeros(5, 3, 8, 8, dtype=torch.uint8)
    for step in (0, 4):
        (board,) = boards_of([logger])
        board.embedding("explain/reps", reps + step, thumbnails=thumbnails, labels=["a", "b\tc", "", "d\ne", "f"], step=step)
        board.embedding("explain/other", reps, thumbnails=thumbnails, labels=list("abcde"), step=0)
    folder = Path(logger.log_dir)
    config = text_format.Parse((folder / "projector_config.pbtxt").read_text(), ProjectorConfig())
    assert [info.tensor_name for info in config.embeddings] == ["explain/reps, epoch 4", "explain/other, epoch 0"]
    info = config.embeddings[0]
    written = np.loadtxt(folder / info.tensor_path, delimiter="\t")
    np.testing.assert_allclose(written, reps + 4, atol=1e-4)
    assert (folder / info.metadata_path).read_text() == "a\nb c\n-\nd e\nf\n"
    assert list(info.tensor_shape) == [5, 3]
    assert list(info.sprite.single_image_dim) == [8, 8]
    with Image.open(folder / info.sprite.image_path) as shown:
        assert shown.size == (24, 24)


def test_points_pictures_and_labels_must_be_equally_many(board: Board) -> None:
    with pytest.raises(ValueError, match="N labels"):
        board.embedding("reps", torch.zeros(3, 2), thumbnails=torch.zeros(3, 3, 4, 4, dtype=torch.uint8), labels=["a"], step=0)


def test_small_thumbnails_stay_pixel_by_pixel_and_in_order() -> None:
    thumbnails = torch.randint(0, 256, (3, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    made, side = projector.sprite(thumbnails)
    pixels = torch.from_numpy(np.array(made)).permute(2, 0, 1)
    assert side == 6
    assert torch.equal(pixels[:, :6, :6], thumbnails[0])
    assert torch.equal(pixels[:, :6, 6:], thumbnails[1])
    assert torch.equal(pixels[:, 6:, :6], thumbnails[2])


@pytest.mark.parametrize(("num", "height", "width", "expected"), [(4, 224, 224, 48), (7, 30, 90, 48), (7, 30, 20, 30), (1500, 48, 48, 13)])
def test_a_sprite_is_square_and_within_its_bounds(
    num: int, height: int, width: int, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(projector, "MAX_SPRITE", 512)
    made, side = projector.sprite(torch.full((1, 3, 1, 1), 200, dtype=torch.uint8).expand(num, 3, height, width))
    assert side == expected
    assert made.width == made.height <= 512
    assert made.getpixel((side // 2, side // 2)) == (200, 200, 200)
