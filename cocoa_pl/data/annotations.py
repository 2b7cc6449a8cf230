"""Pictures whose objects somebody has named and marked: a table of files, texts, and boxes or masks."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.data.inputs import PictureSource
from cocoa_pl.data.source import NamedObject
from cocoa_pl.errors import DataError
from cocoa_pl.pictures import read_picture
from cocoa_pl.texts.templates import fill

COLUMNS = ("picture", "text", "box", "mask")
_MOST_BYTES = 2**28
_BRIGHT = 128  # of 255: from here on a mask counts as white
_LONGER_SIDE = 4096  # a picture is read no larger than this to learn where its square lies


class AnnotatedPictures(PictureSource):
    """Pictures with named objects; everything in the frame of the central squares that ``load`` gives.

    Args:
        paths: of the pictures.
        marks: for each picture text and mark of its objects: a box (left, top, right, bottom) in pixels of the picture, or the path of a
            mask of the picture's proportions, white on the object.
        image_size: side S of the squares.
        more: texts that name none of the objects, to contrast with as well.
    """

    def __init__(
        self, paths: Sequence[str], marks: Sequence[Sequence[tuple[str, tuple[float, ...] | Path]]], *, image_size: int,
        more: Sequence[str] = (),
    ) -> None:  # fmt: skip
        super().__init__(paths, image_size=image_size)
        self._marks = marks
        texts = [text for own in marks for text, _ in own]
        self._vocabulary = tuple(dict.fromkeys([*texts, *more]))

    def named_objects(self, index: int) -> tuple[NamedObject, ...]:
        return tuple(NamedObject(text, self._mask(index, mark)) for text, mark in self._marks[index])

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return self._vocabulary

    def _mask(self, index: int, mark: tuple[float, ...] | Path) -> Tensor:
        width, height = read_picture(self.paths[index], max_size=None).size
        if isinstance(mark, Path):
            drawn = read_picture(mark)
            if abs(drawn.width / drawn.height - width / height) > 0.01 * width / height:
                raise DataError(f"{mark}: is {drawn.width} x {drawn.height} px, its picture {width} x {height}: not of one shape")
            white = Image.fromarray(((np.asarray(drawn.convert("L")) >= _BRIGHT) * 255).astype(np.uint8))
            side = min(white.size)
            left, top = (white.width - side) / 2, (white.height - side) / 2
            square = white.resize((self.image_size,) * 2, Image.Resampling.BOX, box=(left, top, left + side, top + side))
            return torch.from_numpy(np.asarray(square) >= _BRIGHT)
        side = min(width, height)
        unit = self.image_size / side
        ends = [
            (mark[0] - (width - side) / 2),
            (mark[1] - (height - side) / 2),
            (mark[2] - (width - side) / 2),
            (mark[3] - (height - side) / 2),
        ]
        left, top, right, bottom = (min(self.image_size, max(0, round(end * unit))) for end in ends)
        mask = torch.zeros(self.image_size, self.image_size, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        return mask


def read_annotations(path: Path, *, image_size: int, more: Sequence[str] = (), template: str | None = None) -> AnnotatedPictures:
    """A table with a header: ``picture``, ``text``, and ``box`` (``left top right bottom`` in pixels) or ``mask`` (a file).

    Paths are relative to the table. A row is an object; a picture may have several.

    Args:
        path: a CSV file.
        image_size: side of the squares that the encoder sees.
        more: further texts to contrast with.
        template: a sentence with ``{}`` that every text is put in; None leaves texts as they are.

    Raises:
        DataError: no such file, a row that cannot be used (named by its line), or no row.
    """
    if not path.is_file():
        raise DataError(f"--annotations {path}: no such file")
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"--annotations {path}: has more than {_MOST_BYTES} bytes")
    marks: dict[str, list[tuple[str, tuple[float, ...] | Path]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS[:2] if name not in (reader.fieldnames or ())]
            if missing or not {"box", "mask"} & set(reader.fieldnames or ()):
                raise DataError(
                    f"--annotations {path}: has no column {missing[0] if missing else 'box or mask'}; wanted {', '.join(COLUMNS)}"
                )
            for row in reader:
                where = f"--annotations {path}, line {reader.line_num}"
                picture = path.parent / (row["picture"] or "").strip()
                text = " ".join((row["text"] or "").split())
                if not picture.is_file():
                    raise DataError(f"{where}: {row['picture']!r} is no file")
                if not text:
                    raise DataError(f"{where}: no text")
                filled = text if template is None else fill(template, text)
                marks.setdefault(str(picture), []).append((filled, _mark(row, path.parent, where)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--annotations {path}: is no table in UTF-8 ({error})") from error
    if not marks:
        raise DataError(f"--annotations {path}: has no row")
    return AnnotatedPictures(list(marks), list(marks.values()), image_size=image_size, more=more)


def _mark(row: Mapping[str, str | None], folder: Path, where: str) -> tuple[float, ...] | Path:
    mask, box = ((row.get(name) or "").strip() for name in ("mask", "box"))
    if mask:
        if not (folder / mask).is_file():
            raise DataError(f"{where}: the mask {mask!r} is no file")
        return folder / mask
    try:
        numbers = tuple(float(number) for number in box.replace(",", " ").split())
    except ValueError:
        numbers = ()
    if len(numbers) != 4 or not all(map(math.isfinite, numbers)) or not (numbers[0] < numbers[2] and numbers[1] < numbers[3]):
        raise DataError(f"{where}: box {box!r} must be left top right bottom in pixels, right and bottom the larger ones")
    return numbers
