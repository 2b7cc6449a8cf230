"""Tables of named objects: boxes and masks in the frame that the encoder sees, and every way to get a table wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.data.annotations import AnnotatedPictures, read_table
from cocoa_pl.errors import DataError
from cocoa_pl.texts.asked import TextFoil


def table(folder: Path, *lines: str, header: str = "picture,text,box,mask") -> Path:
    path = folder / "objects.csv"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """A picture twice as wide as high with one white box, and a mask of it at half the size."""
    pixels = np.zeros((100, 200, 3), dtype=np.uint8)
    pixels[20:60, 80:120] = 255
    Image.fromarray(pixels).save(tmp_path / "wide.png")
    Image.fromarray(pixels[::2, ::2]).save(tmp_path / "mask.png")
    return tmp_path


def test_boxes_and_masks_lie_on_what_the_encoder_sees(wide: Path) -> None:
    marked = table(wide, 'wide.png,a box,"80 20 120 60",', "wide.png,the mask,,mask.png")
    source = AnnotatedPictures(read_table(marked), image_size=50)
    assert len(source) == 1
    box, mask = source.named_objects(0)
    seen = source.load([0])[0].float().mean(0) > 127
    assert torch.equal(box.mask, seen)
    assert torch.equal(mask.mask, seen)
    assert (box.text, mask.text) == ("a box", "the mask")
    assert source.vocabulary == ("a box", "the mask")


def test_what_lies_outside_the_square_is_cut_off(wide: Path) -> None:
    source = AnnotatedPictures(read_table(table(wide, "wide.png,left,0 0 75 100,", "wide.png,gone,0 0 40 100,")), image_size=20)
    left, gone = source.named_objects(0)
    assert left.mask.sum() == 5 * 20
    assert bool(left.mask[:, :5].all())
    assert not bool(gone.mask.any())


def test_texts_go_into_the_template_and_others_are_contrasted_with(wide: Path) -> None:
    foil = TextFoil(("dog", "kitten", "Cats", "tree"), ("A photo of a cat.", "an empty room"), "some")
    read = read_table(table(wide, "wide.png,  cat ,1 1 9 9,"), foil=foil, template="a photo of a {}")
    source = AnnotatedPictures(read, image_size=8)
    assert source.vocabulary == ("a photo of a cat", "a photo of a dog", "a photo of a tree", "an empty room")
    assert [name for name, _ in read.removed] == ["kitten", "Cats", "A photo of a cat."]
    assert source.name(0) == "wide.png"


def test_absent_is_what_other_pictures_hold_and_what_this_one_does_not_hold_in_other_words(wide: Path) -> None:
    Image.new("RGB", (40, 40)).save(wide / "other.png")
    rows = [f"wide.png,{text},1 1 9 9," for text in ("cat", "car")]
    rows += [f"other.png,{text},1 1 9 9," for text in ("kitten", "automobile", "tree", "dog", "cat")]
    foil = TextFoil(("rocket",), (), "rocket")
    source = AnnotatedPictures(read_table(table(wide, *rows), foil=foil, template="a {}"), image_size=8)
    assert source.absent(0) == ("a tree", "a dog")
    assert source.absent(1) == ()  # a car is an automobile
    assert "a rocket" in source.vocabulary


@pytest.mark.parametrize("box", ["200 0 220 50", "-9 0 0 50", "0 100 50 120"])
def test_a_box_outside_its_picture_is_refused_by_its_line(wide: Path, box: str) -> None:
    source = AnnotatedPictures(read_table(table(wide, "wide.png,a,80 1 99 9,", f"wide.png,b,{box},")), image_size=8)
    with pytest.raises(DataError, match=r"line 3: the box .* lies outside the picture of 200 x 100 px"):
        source.named_objects(0)


@pytest.mark.parametrize(
    ("lines", "header", "message"),
    [
        ((), "picture,text,box", "has no row"),
        (("wide.png,a",), "picture,text", "has no column box or mask"),
        (("wide.png,1 1 2 2",), "picture,box", "has no column text"),
        (("none.png,a,1 1 2 2",), "picture,text,box", "line 2: 'none.png' is no file"),
        (("wide.png, ,1 1 2 2",), "picture,text,box", "line 2: no text"),
        (("wide.png,a,1 1 2 2", "wide.png,a,5 1 2 2"), "picture,text,box", "line 3: box '5 1 2 2' must be left top right bottom"),
        (("wide.png,a,1 1 2",), "picture,text,box", "must be left top right bottom"),
        (("wide.png,a,1 1 nan 9",), "picture,text,box", "must be left top right bottom"),
        (("wide.png,a,no.png",), "picture,text,mask", "the mask 'no.png' is no file"),
    ],
)
def test_a_wrong_table_is_refused_by_line(wide: Path, lines: tuple[str, ...], header: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_table(table(wide, *lines, header=header))


def test_a_file_that_is_no_table_and_a_mask_of_another_shape(wide: Path) -> None:
    with pytest.raises(DataError, match="no such file"):
        read_table(wide / "none.csv")
    with pytest.raises(DataError, match=r"UTF-8|no column"):
        read_table(wide / "wide.png")
    Image.new("L", (30, 30)).save(wide / "square.png")
    source = AnnotatedPictures(read_table(table(wide, "wide.png,a,,square.png")), image_size=8)
    with pytest.raises(DataError, match="not of one shape"):
        source.named_objects(0)
