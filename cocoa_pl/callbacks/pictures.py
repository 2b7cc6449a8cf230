"""What a look looks like: contact sheets, film strips, raw maps and the table of changes, to the folder and to the boards.

Every picture is encoded once. One scale of colours serves the whole run: that of the first trained look, with room for maps to grow, since
the maps of an untrained encoder are far smaller. So the sheet of the untrained encoder is drawn once that look is there.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cocoa_pl.callbacks.boards import Board
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.files import png_bytes, write_bytes, write_json
from cocoa_pl.monitor import Look, Reading, read
from cocoa_pl.report.figures import scales, sheet, strip, trace_title
from cocoa_pl.report.folder import write_look
from cocoa_pl.viz.strip import spaced

_STRIP_COLUMNS = 6
_ROOM_TO_GROW = 2.0  # maps grow by two to four from the first trained epoch to the last


class Pictures:
    """Draws the looks of a run.

    Args:
        given: what is explained.
        folder: where PNGs, raw maps and tables go; None keeps none, and draws no film strips, which are made of them.
        boards: where pictures are shown.
        num_strips: explicands that get a film strip.
    """

    def __init__(self, given: ExplainSet, *, folder: Path | None, boards: Sequence[Board], num_strips: int) -> None:
        self.given, self.folder, self.boards, self.num_strips = given, folder, boards, num_strips
        self.scales: dict[str, float] = {}

    def show(self, reading: Reading, *, epochs: Sequence[int], start: Look, unreliable: bool = False) -> None:
        """Draw the look of the last of ``epochs``; ``start`` is that of the first.

        Args:
            reading: of the look.
            epochs: of all looks so far.
            start: of the untrained encoder.
            unreliable: mark all maps, for the encoder has collapsed.
        """
        epoch, look = epochs[-1], reading.look
        flags = {
            trace: ["collapsed"] * len(look.attributions[trace]) if unreliable else reading.flags(trace) for trace in look.attributions
        }
        if self.folder is not None:
            write_look(self.folder / f"epoch-{epoch:04d}.npz", look, epoch=epoch, flags=flags)
            if reading.compared:
                write_bytes(self.folder / f"epoch-{epoch:04d}-drift.csv", _csv(reading.table(epoch=epoch)))
        if len(epochs) == 1:
            return
        if len(epochs) == 2:
            self._set_scales(look)
            untrained = read(self.given, start)
            self._publish(self._sheets(start, epochs[0], {trace: untrained.flags(trace) for trace in self.scales}), epochs[0])
        pictures = self._sheets(look, epoch, flags)
        if self.folder is not None:
            pictures |= self._strips(epochs)
        self._publish(pictures, epoch)

    def show_alone(self, look: Look, epoch: int) -> None:
        """Draw the only look of a run that ended before there was another."""
        self.scales = scales(look)
        self._publish(self._sheets(look, epoch, {}), epoch)

    def _set_scales(self, look: Look) -> None:
        self.scales = {trace: _ROOM_TO_GROW * scale for trace, scale in scales(look).items()}
        if self.folder is not None:
            write_json(self.folder / "scales.json", self.scales)

    def _publish(self, pictures: Mapping[str, bytes], epoch: int) -> None:
        if self.folder is not None:
            for tag, content in pictures.items():
                name = tag.removeprefix("explain/").replace("/", "-")
                write_bytes(self.folder / (f"{name}.png" if "/film/" in tag else f"epoch-{epoch:04d}-{name}.png"), content)
        for board in self.boards:
            board.images(pictures, step=epoch)
            board.flush()

    def _sheets(self, look: Look, epoch: int, flags: Mapping[str, Sequence[str]]) -> dict[str, bytes]:
        made = {}
        for trace, scale in self.scales.items():
            title, note = f"{trace_title(trace)}, epoch {epoch}", "same colours in every epoch"
            picture = sheet(self.given, look, trace, scale=scale, title=title, subtitle=note, flags=flags.get(trace, ()))
            made[f"explain/{trace}/sheet"] = png_bytes(picture)
        return made

    def _strips(self, epochs: Sequence[int]) -> dict[str, bytes]:
        """Film strips of the first explicands, from the raw maps on disk, so that memory does not grow with epochs."""
        assert self.folder is not None
        kept = [epoch for epoch in epochs if (self.folder / f"epoch-{epoch:04d}.npz").is_file()]
        shown = [kept[place] for place in spaced(len(kept), at_most=_STRIP_COLUMNS)]
        files = []
        for epoch in shown:
            with np.load(self.folder / f"epoch-{epoch:04d}.npz") as file:
                files.append({name: file[name][: self.num_strips] for name in file.files if name != "epoch"})
        made = {}
        for index in range(min(self.num_strips, self.given.num_images)):
            history = {trace: np.stack([file[trace][index] for file in files]) for trace in self.scales}
            scores = {trace: [float(file[f"score/{trace}"][index]) for file in files] for trace in self.scales}
            flags = {trace: [str(file[f"flag/{trace}"][index]) for file in files] for trace in self.scales}
            picture = strip(self.given, index, epochs=shown, history=history, scores=scores, flags=flags, scales=self.scales)
            made[f"explain/film/{index}"] = png_bytes(picture)
        return made


def _csv(rows: Iterable[Mapping[str, object]]) -> bytes:
    rows = list(rows)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
