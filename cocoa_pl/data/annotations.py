"""Pictures whose objects somebody has named and marked: a table of files, texts, and boxes or masks."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.data.inputs import PictureSource
from cocoa_pl.data.source import NamedObject
from cocoa_pl.errors import DataError
from cocoa_pl.pictures import read_picture
from cocoa_pl.texts.asked import TextFoil
from cocoa_pl.texts.meanings import meaning
from cocoa_pl.texts.templates import fill
from cocoa_pl.texts.words import normalised

COLUMNS = ("picture", "text", "box", "mask")
_MOST_BYTES = 2**28
_BRIGHT = 128  # of 255: from here on a mask counts as white


class Mark(NamedTuple):
    """A row of a table: an object of a picture."""

    text: str  # in the template
    place: tuple[float, ...] | Path  # a box (left, top, right, bottom) in pixels of the picture, or a mask of the picture's proportions
    where: str  # file and line, for messages


@dataclass(frozen=True)
class AnnotatedTable:
    """A table that has been read; no picture has been opened.

    Attributes:
        marks: path of a picture to its objects.
        concepts: text of an object to what it was before it was put in a template, each once.
        more: texts that name none of the objects, to contrast with as well.
        removed: names of the foil that mean an object of the table too, each with the reason.
    """

    marks: dict[str, tuple[Mark, ...]]
    concepts: dict[str, str]
    more: tuple[str, ...]
    removed: tuple[tuple[str, str], ...]


class AnnotatedPictures(PictureSource):
    """Pictures with named objects; everything in the frame of the central squares that ``load`` gives.

    Args:
        table: what is where.
        image_size: side S of the squares.
    """

    def __init__(self, table: AnnotatedTable, *, image_size: int) -> None:
        super().__init__(list(table.marks), image_size=image_size)
        self.table = table
        self._marks = list(table.marks.values())
        self._sizes: dict[int, tuple[int, int]] = {}
        self._meanings = {text: meaning(concept) for text, concept in table.concepts.items()}

    def named_objects(self, index: int) -> tuple[NamedObject, ...]:
        """All objects of a picture.

        Raises:
            DataError: a file cannot be read, a box lies outside its picture, or a mask has another shape.
        """
        return tuple(NamedObject(mark.text, self._mask(index, mark)) for mark in self._marks[index])

    @property
    def vocabulary(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys([*self.table.concepts, *self.table.more]))

    def absent(self, index: int) -> tuple[str, ...]:
        """Texts of other pictures of the table that name none of the objects of this one, in no other words and as no kind of them either.

        Names of a foil are not among them: nobody has looked for them in the picture.
        """
        own = {mark.text for mark in self._marks[index]}
        return tuple(text for text in self.table.concepts if text not in own and not any(self._alike(text, each) for each in own))

    def _alike(self, first: str, second: str) -> bool:
        concepts = self.table.concepts
        pairs = ((first, second), (second, first))  # a tabby is a cat: where one is, neither is absent
        return any(self._meanings[one].why_left_out(concepts[other]) is not None for one, other in pairs)

    def _size(self, index: int) -> tuple[int, int]:
        if index not in self._sizes:
            self._sizes[index] = read_picture(self.paths[index], max_size=None).size
            self._check(index)
        return self._sizes[index]

    def _check(self, index: int) -> None:
        width, height = self._sizes[index]
        for _, place, where in self._marks[index]:
            if not isinstance(place, Path) and (place[0] >= width or place[1] >= height or place[2] <= 0 or place[3] <= 0):
                box = " ".join(f"{end:g}" for end in place)
                raise DataError(f"{where}: the box {box} lies outside the picture of {width} x {height} px")

    def _mask(self, index: int, mark: Mark) -> Tensor:
        width, height = self._size(index)
        if isinstance(mark.place, Path):
            drawn = read_picture(mark.place)
            if abs(drawn.width / drawn.height - width / height) > 0.01 * width / height:
                raise DataError(f"{mark.place}: is {drawn.width} x {drawn.height} px, its picture {width} x {height}: not of one shape")
            white = Image.fromarray(((np.asarray(drawn.convert("L")) >= _BRIGHT) * 255).astype(np.uint8))
            side = min(white.size)
            left, top = (white.width - side) / 2, (white.height - side) / 2
            square = white.resize((self.image_size,) * 2, Image.Resampling.BOX, box=(left, top, left + side, top + side))
            return torch.from_numpy(np.asarray(square) >= _BRIGHT)
        side = min(width, height)
        unit = self.image_size / side
        starts = ((width - side) / 2, (height - side) / 2) * 2
        ends = [(end - start) * unit for end, start in zip(mark.place, starts, strict=True)]
        left, top, right, bottom = (min(self.image_size, max(0, round(end))) for end in ends)
        mask = torch.zeros(self.image_size, self.image_size, dtype=torch.bool)
        mask[top:bottom, left:right] = True
        return mask


def read_table(path: Path, *, foil: TextFoil | None = None, template: str | None = None) -> AnnotatedTable:
    """A table with a header: ``picture``, ``text``, and ``box`` (``left top right bottom`` in pixels) or ``mask`` (a file).

    Paths are relative to the table. A row is an object; a picture may have several.

    Args:
        path: a CSV file.
        foil: further texts to contrast with; its names go into the template too, and those that mean an object of the table are left out.
        template: a sentence with ``{}`` that every text is put in; None leaves texts as they are.

    Raises:
        DataError: no such file, a row that cannot be used (named by its line), or no row.
    """
    if not path.is_file():
        raise DataError(f"--annotations {path}: no such file")
    if path.stat().st_size > _MOST_BYTES:
        raise DataError(f"--annotations {path}: has more than {_MOST_BYTES} bytes")
    marks: dict[str, list[Mark]] = {}
    concepts: dict[str, str] = {}
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
                concept = " ".join((row["text"] or "").split())
                if not picture.is_file():
                    raise DataError(f"{where}: {row['picture']!r} is no file")
                if not concept:
                    raise DataError(f"{where}: no text")
                text = _filled(template, concept)
                concepts.setdefault(text, concept)
                marks.setdefault(str(picture), []).append(Mark(text, _place(row, path.parent, where), where))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"--annotations {path}: is no table in UTF-8 ({error})") from error
    if not marks:
        raise DataError(f"--annotations {path}: has no row")
    more, removed = _cleaned(foil, concepts, template) if foil is not None else ((), ())
    return AnnotatedTable({picture: tuple(own) for picture, own in marks.items()}, concepts, more, removed)


def _cleaned(
    foil: TextFoil, concepts: Mapping[str, str], template: str | None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:  # fmt: skip
    """The texts of a foil, and the names that are left out of it."""
    own = [meaning(concept) for concept in dict.fromkeys(concepts.values())]
    texts: list[str] = []
    removed: list[tuple[str, str]] = []
    for name in foil.concepts:
        why = next((why for each in own if (why := each.why_left_out(name)) is not None), None)
        if why is None:
            texts.append(_filled(template, name))
        else:
            removed.append((name, "a text of the table" if why == "the corpus itself" else why))
    annotated = set(map(normalised, concepts))
    for sentence in foil.sentences:
        if normalised(sentence) in annotated:
            removed.append((sentence, "a text of the table"))
        else:
            texts.append(sentence)
    return tuple(dict.fromkeys(texts)), tuple(removed)


def _filled(template: str | None, concept: str) -> str:
    return concept if template is None else fill(template, concept)


def _place(row: Mapping[str, str | None], folder: Path, where: str) -> tuple[float, ...] | Path:
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
