"""A watched region from a box and from a painted mask, and every way to get one wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.data.region import parse_region
from cocoa_pl.errors import CocoaError, ConfigError, DataError


def test_a_box_holds_the_pixels_whose_centres_it_holds() -> None:
    for x0, y0, x1, y1 in torch.rand(50, 4, generator=torch.Generator().manual_seed(0)).double().tolist():
        box = f"{min(x0, x1)},{min(y0, y1)}, {max(x0, x1)},{max(y0, y1)}"
        expected = [
            [min(x0, x1) <= (x + 0.5) / 20 < max(x0, x1) and min(y0, y1) <= (y + 0.5) / 12 < max(y0, y1) for x in range(20)]
            for y in range(12)
        ]
        if any(map(any, expected)):
            assert parse_region(box, height=12, width=20).tolist() == expected


def test_boxes_side_by_side_part_the_picture() -> None:
    parts = [parse_region(box, height=7, width=9) for box in ("0,0,.3,1", ".3,0,1,.5", ".3,.5,1,1")]
    assert torch.equal(sum(part.int() for part in parts), torch.ones(7, 9, dtype=torch.int32))


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ("0,0,1", "must be four numbers x0,y0,x1,y1, got 3"),
        ("0.5", "must be four numbers x0,y0,x1,y1, got 1"),
        ("0,0,0.5,1.5", "0 <= x0 < x1 <= 1"),
        ("-0.1,0,0.5,1", "0 <= x0 < x1 <= 1"),
        ("0.5,0,0.2,1", "0 <= x0 < x1 <= 1"),
        ("0.5,0.2,0.5,1", "0 <= x0 < x1 <= 1"),
        ("nan,0,0.5,1", "0 <= x0 < x1 <= 1"),
        ("0.11,0.1,0.12,0.9", "holds the centre of no pixel of 8 x 8"),
        ("0,0,1,1", "is the whole picture of 8 x 8 pixels"),
        ("0,0,a,1", "neither four numbers x0,y0,x1,y1 nor a file"),
        ("no/such.png", "neither four numbers x0,y0,x1,y1 nor a file"),
        ("", "neither four numbers x0,y0,x1,y1 nor a file"),
    ],
)
def test_wrong_boxes_are_refused(box: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_region(box, height=8, width=8)


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "I;16"])
def test_a_mask_is_white_where_it_is_watched_and_has_any_size(tmp_path: Path, mode: str) -> None:
    small = np.zeros((4, 6), dtype=bool)
    small[1, 2:5] = True
    large = small.repeat(8, 0).repeat(5, 1)
    picture = Image.fromarray(large.astype(np.uint16) * 65535) if mode == "I;16" else Image.fromarray(large).convert(mode)
    picture.save(tmp_path / "mask.png")
    region = parse_region(str(tmp_path / "mask.png"), height=4, width=6)
    assert region.dtype == torch.bool
    assert region.tolist() == small.tolist()
    assert torch.equal(parse_region(str(tmp_path / "mask.png"), height=32, width=30), torch.from_numpy(large))


def test_masks_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    path = tmp_path / "mask.png"

    def refuse(kind: type[CocoaError], message: str) -> None:
        with pytest.raises(kind, match=rf"mask\.png.*{message}"):
            parse_region(str(path), height=8, width=8)

    Image.new("L", (8, 8), 1).save(path)  # ones of a label map
    refuse(DataError, "no pixel of 8 x 8 is white")
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(path)
    refuse(DataError, "white everywhere")
    path.write_bytes(b"no picture")
    refuse(DataError, "cannot be read as a picture")
    path.unlink()
    path.mkdir()
    refuse(ConfigError, "nor a file")
