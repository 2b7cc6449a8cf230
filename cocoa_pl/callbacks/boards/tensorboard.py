"""The board of TensorBoard: images, text, custom scalars, projector and HParams."""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from pytorch_lightning.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.compat.proto.tensor_pb2 import TensorProto
from tensorboard.plugins.custom_scalar import layout_pb2, metadata
from torch import Tensor
from torch.utils.tensorboard.summary import hparams

from cocoa_pl.callbacks.boards.base import Option
from cocoa_pl.callbacks.boards.layout import Chart, Logged, Page, pages
from cocoa_pl.callbacks.boards.projector import write_projection

_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}  # a PNG's colour type to what TensorBoard calls its colour space


class TensorBoardBoard:
    """Writes into the event file of a Lightning logger.

    Args:
        logger: the run's logger; its file is opened at the first use.
    """

    def __init__(self, logger: TensorBoardLogger) -> None:
        self.logger = logger

    def images(self, pictures: Mapping[str, bytes], *, step: int) -> None:
        """Show PNGs as they are: nothing is encoded again, unlike in ``SummaryWriter.add_image``.

        Raises:
            ValueError: bytes that are no PNG.
        """
        self._write(Summary(value=[Summary.Value(tag=tag, image=_image(png)) for tag, png in pictures.items()]), step)

    def text(self, tag: str, markdown: str, *, step: int) -> None:
        """Show a text, rendered as Markdown."""
        self._writer.add_text(tag, markdown, step)

    def layout(self, logged: Logged) -> None:
        """Lay out the custom scalars page; its categories are our pages."""
        layout = layout_pb2.Layout(category=[_category(page) for page in pages(logged)])
        tensor = TensorProto(dtype="DT_STRING", string_val=[layout.SerializeToString()])
        value = Summary.Value(tag=metadata.CONFIG_SUMMARY_TAG, metadata=metadata.create_summary_metadata(), tensor=tensor)
        self._write(Summary(value=[value]), 0)

    def embedding(self, tag: str, reps: Tensor, *, thumbnails: Tensor, labels: Sequence[str], step: int) -> None:
        """Write the files of the projector; a TensorBoard that is running shows them once it is started anew."""
        write_projection(Path(self.logger.log_dir), tag, reps, thumbnails=thumbnails, labels=labels, step=step)

    def hparams(self, options: Mapping[str, Option], metrics: Collection[str]) -> None:
        """Write the options, and the names of the scalars whose last value the HParams page shows beside them.

        A truth value is written as text, as it would show as 1 or 0.
        """
        shown = {name: str(value).lower() if isinstance(value, bool) else value for name, value in options.items()}
        for summary in hparams(shown, dict.fromkeys(metrics, 0.0)):  # type: ignore[no-untyped-call]
            self._write(summary, 0)

    def flush(self) -> None:
        """Write out what the event file still buffers."""
        self._writer.flush()

    @property
    def _writer(self) -> Any:
        return self.logger.experiment

    def _write(self, summary: Summary, step: int) -> None:
        self._writer._get_file_writer().add_summary(summary, step)


def _image(png: bytes) -> Summary.Image:
    """A PNG as TensorBoard keeps it; size and colours stand in the PNG's first chunk."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR" or len(png) < 26:
        raise ValueError("pictures must be the bytes of a PNG")
    width, height, _, colour_type = struct.unpack(">IIBB", png[16:26])
    return Summary.Image(height=height, width=width, colorspace=_CHANNELS[colour_type], encoded_image_string=png)


def _category(page: Page) -> layout_pb2.Category:
    return layout_pb2.Category(title=page.title, closed=page.closed, chart=[_chart(chart) for chart in page.charts])


def _chart(chart: Chart) -> layout_pb2.Chart:
    """A chart of lines, or one of bands in which a plain line is a band without width.

    Lines are regular expressions to TensorBoard, bands are exact tags.
    """
    if not chart.bands:
        lines = [f"^{re.escape(tag)}$" for tag in chart.lines]
        return layout_pb2.Chart(title=chart.title, multiline=layout_pb2.MultilineChartContent(tag=lines))
    bands = [*chart.bands, *((tag, tag, tag) for tag in chart.lines)]
    series = [layout_pb2.MarginChartContent.Series(value=value, lower=lower, upper=upper) for value, lower, upper in bands]
    return layout_pb2.Chart(title=chart.title, margin=layout_pb2.MarginChartContent(series=series))
