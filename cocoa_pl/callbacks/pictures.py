"""What a look looks like: contact sheets, film strips, raw maps and the table of changes, to the folder and to the boards.

Maps towards the original image are drawn at every look. Those towards the class or a text, and film strips, which show a few columns
anyway, are drawn less often the longer a run is, and at its end. Every picture is encoded once.

One scale of colours serves the whole run: that of the first trained look, for the maps of an untrained encoder are far smaller, so its
sheet waits for that look. Only where maps outgrow their scale is it doubled, and sheets say since when they have theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from cocoa_pl.callbacks.boards import Board
from cocoa_pl.data.explain_set import ExplainSet
from cocoa_pl.files import png_bytes, write_bytes, write_json
from cocoa_pl.monitor import Look, Reading, read
from cocoa_pl.report.figures import scales, sheet, strip, trace_title
from cocoa_pl.report.stored import write_changes, write_look
from cocoa_pl.viz.strip import spaced

_STRIP_COLUMNS = 6
_OUTGROWN = 1.25  # maps whose robust scale is so much above their colours' would be saturated


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
        self.since: dict[str, int] = {}  # the epoch from which on a trace has had its scale
        self._complete = True

    def show(self, reading: Reading, *, epochs: Sequence[int], start: Look) -> None:
        """Draw the look of the last of ``epochs``.

        Args:
            reading: of the look.
            epochs: of all looks so far.
            start: the first look.
        """
        epoch = epochs[-1]
        if self.folder is None and not self.boards:
            return
        if self.folder is not None:
            write_look(self.folder / f"epoch-{epoch:04d}.npz", reading, epoch=epoch)
            if reading.compared:
                write_changes(self.folder / f"epoch-{epoch:04d}-drift.csv", reading, epoch=epoch)
        self._complete = False
        if len(epochs) == 1:
            return
        self._fit_scales(scales(reading.look), epoch)
        if len(epochs) == 2:
            self._publish(self._sheets(read(self.given, start), epochs[0], self.scales), epochs[0])
        self._publish(self._sheets(reading, epoch, [trace for trace in self.scales if "-" not in trace]), epoch)
        if _is_sparse(len(epochs)):
            self.finish(reading, epochs=epochs)

    def finish(self, reading: Reading, *, epochs: Sequence[int]) -> None:
        """Draw of the last look whatever has not been drawn yet."""
        if self._complete:
            return
        if len(epochs) == 1:  # a run that ended before it was trained
            self._fit_scales(scales(reading.look), epochs[0])
            pictures = self._sheets(reading, epochs[0], self.scales)
        else:
            pictures = self._sheets(reading, epochs[-1], [trace for trace in self.scales if "-" in trace]) | self._strips(epochs)
        self._publish(pictures, epochs[-1])
        self._complete = True

    def _fit_scales(self, needed: Mapping[str, float], epoch: int) -> None:
        """Keep every scale, unless maps have outgrown it: then double it until they fit."""
        for trace, scale in needed.items():
            if trace in self.scales and scale <= _OUTGROWN * self.scales[trace]:
                continue
            own = self.scales.get(trace) or scale
            while scale > own:
                own *= 2
            self.scales[trace], self.since[trace] = own, epoch
        if self.folder is not None:
            write_json(
                self.folder / "scales.json",
                {trace: {"scale": scale, "since_epoch": self.since[trace]} for trace, scale in self.scales.items()},
            )

    def _publish(self, pictures: Mapping[str, bytes], epoch: int) -> None:
        if self.folder is not None:
            for tag, content in pictures.items():
                name = tag.removeprefix("explain/").replace("/", "-")
                write_bytes(self.folder / (f"{name}.png" if "/film/" in tag else f"epoch-{epoch:04d}-{name}.png"), content)
        for board in self.boards:
            board.images(pictures, step=epoch)
            board.flush()

    def _sheets(self, reading: Reading, epoch: int, traces: Iterable[str]) -> dict[str, bytes]:
        made = {}
        for trace in traces:
            title, note = f"{trace_title(trace)}, epoch {epoch}", f"the same colours since epoch {min(epoch, self.since[trace])}"
            picture = sheet(
                self.given, reading.look, trace, scale=self.scales[trace], title=title, subtitle=note, flags=reading.flags(trace)
            )
            made[f"explain/{trace}/sheet"] = png_bytes(picture)
        return made

    def _strips(self, epochs: Sequence[int]) -> dict[str, bytes]:
        """Film strips of the first explicands, from the raw maps on disk, so that memory does not grow with epochs."""
        if self.folder is None:
            return {}
        kept = [epoch for epoch in epochs if (self.folder / f"epoch-{epoch:04d}.npz").is_file()]
        shown = [kept[place] for place in spaced(len(kept), at_most=_STRIP_COLUMNS)]
        files = []
        for epoch in shown:
            with np.load(self.folder / f"epoch-{epoch:04d}.npz", allow_pickle=False) as file:
                files.append({name: file[name][: self.num_strips] for name in file.files if name != "epoch"})
        made = {}
        for index in range(min(self.num_strips, self.given.num_images)):
            history = {trace: np.stack([file[trace][index] for file in files]) for trace in self.scales}
            scores = {trace: [float(file[f"score/{trace}"][index]) for file in files] for trace in self.scales}
            flags = {trace: [str(file[f"flag/{trace}"][index]) for file in files] for trace in self.scales}
            picture = strip(self.given, index, epochs=shown, history=history, scores=scores, flags=flags, scales=self.scales)
            made[f"explain/film/{index}"] = png_bytes(picture)
        return made


def _is_sparse(num_looks: int) -> bool:
    """Whether the ``num_looks``-th look is one of those of which everything is drawn: 2, 4, 8, 16 ...

    Example:
        >>> [num for num in range(2, 40) if _is_sparse(num)]
        [2, 4, 8, 16, 32]
    """
    return num_looks & (num_looks - 1) == 0
