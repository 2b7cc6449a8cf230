"""Picture files of every kind become upright RGB, and damaged ones are named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image

from cocoa_pl import pictures
from cocoa_pl.errors import DataError
from cocoa_pl.pictures import read_picture, read_square


def gradient(width: int = 40, height: int = 24) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 60)], axis=2).round().astype(np.uint8))


def near(image: Image.Image, colour: tuple[int, int, int], *, tolerance: int = 6) -> bool:
    return bool((np.abs(np.asarray(image).astype(int) - colour) <= tolerance).all())


def plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (12, 10), colour)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "image", "expected"),
    [
        ("cmyk.jpg", plain("CMYK", (0, 255, 255, 0)), (255, 0, 0)),
        ("gray.jpg", plain("L", 90), (90, 90, 90)),
        ("gray.png", plain("L", 90), (90, 90, 90)),
        ("bilevel.png", plain("1", 1), (255, 255, 255)),
        ("rgba.png", plain("RGBA", (0, 0, 200, 0)), (255, 255, 255)),
        ("half.png", plain("RGBA", (0, 0, 0, 127)), (128, 128, 128)),
        ("la.png", plain("LA", (0, 127)), (128, 128, 128)),
        ("webp.webp", plain("RGB", (200, 100, 50)), (200, 100, 50)),
        ("alpha.webp", plain("RGBA", (0, 0, 0, 0)), (255, 255, 255)),
        ("plain.bmp", plain("RGB", (200, 100, 50)), (200, 100, 50)),
        ("plain.tiff", plain("RGB", (200, 100, 50)), (200, 100, 50)),
        ("palette.png", plain("RGB", (200, 100, 50)).convert("P", palette=Image.Palette.ADAPTIVE), (200, 100, 50)),
        ("sixteen.png", Image.fromarray(np.full((10, 12), 90 * 257, dtype=np.uint16)), (90, 90, 90)),
        ("float.tiff", Image.fromarray(np.full((10, 12), 0.5, dtype=np.float32)), (128, 128, 128)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]) -> None:
    image.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.mode == "RGB"
    assert read.size == (12, 10)
    assert near(read, expected)
    assert near(Image.fromarray(read_square(tmp_path / name, size=8)), expected)


def test_transparent_palette_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (12, 10), 0)
    image.putpalette([10, 20, 30, 0, 0, 0])
    image.save(tmp_path / "p.png", transparency=0)
    assert near(read_picture(tmp_path / "p.png"), (255, 255, 255))


def test_animation_gives_its_first_frame(tmp_path: Path) -> None:
    first, second = plain("RGB", (250, 0, 0)), plain("RGB", (0, 250, 0))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert near(read_picture(tmp_path / "a.gif"), (250, 0, 0))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """Orientation 6: turn a quarter clockwise to see it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient().save(tmp_path / "turned.jpg", quality=95, exif=exif)
    read = read_picture(tmp_path / "turned.jpg")
    expected = gradient().transpose(Image.Transpose.ROTATE_270)
    assert read.size == expected.size == (24, 40)
    assert np.abs(np.asarray(read).astype(int) - np.asarray(expected)).mean() < 4


@pytest.mark.parametrize("shape", [(40, 24), (24, 40), (33, 33), (300, 200)])
def test_square_equals_resize_and_centre_crop(tmp_path: Path, shape: tuple[int, int]) -> None:
    image = gradient(*shape)
    image.save(tmp_path / "x.png")
    ours = torch.from_numpy(read_square(tmp_path / "x.png", size=16)).permute(2, 0, 1)
    theirs = TF.pil_to_tensor(TF.center_crop(TF.resize(image, [16]), [16, 16]))
    assert (ours.int() - theirs.int()).abs().max() <= 10  # their crop is rounded to a whole pixel
    assert (ours.int() - theirs.int()).abs().float().mean() < 4


def test_draft_decoding_of_a_large_jpeg_agrees_with_full_decoding(tmp_path: Path) -> None:
    gradient(1600, 1200).save(tmp_path / "big.jpg", quality=95)
    gradient(1600, 1200).save(tmp_path / "big.png")
    difference = read_square(tmp_path / "big.jpg", size=32).astype(int) - read_square(tmp_path / "big.png", size=32)
    assert np.abs(difference).mean() < 2


def test_a_very_long_picture_costs_no_more_than_its_square(tmp_path: Path) -> None:
    Image.new("RGB", (20_000, 2), (9, 99, 199)).save(tmp_path / "long.png")
    assert near(Image.fromarray(read_square(tmp_path / "long.png", size=64)), (9, 99, 199))
    assert read_picture(tmp_path / "long.png", max_size=100).size == (100, 1)


def test_whole_pictures_are_bounded(tmp_path: Path) -> None:
    gradient(400, 200).save(tmp_path / "x.jpg")
    assert read_picture(tmp_path / "x.jpg", max_size=100).size == (100, 50)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("I am no picture")
    (tmp_path / "none.png").write_bytes(b"")
    for name in ("cut.jpg", "cut.png", "cut.webp"):
        gradient(200, 200).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    for path in [*sorted(tmp_path.iterdir()), tmp_path / "missing.jpg"]:
        for read in (read_picture, lambda p: read_square(p, size=8)):
            with pytest.raises(DataError, match=path.name) as caught:
                read(path)
            assert "\n" not in str(caught.value)


def test_decompression_bombs_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient(100, 100).save(tmp_path / "bomb.png")
    monkeypatch.setattr(pictures, "MAX_PIXELS", 9_999)
    with pytest.raises(DataError, match=r"bomb\.png has 100 x 100 pixels"):
        read_picture(tmp_path / "bomb.png")


def test_pillows_own_bomb_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient(100, 100).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with pytest.raises(DataError, match=r"bomb\.png"):
        read_picture(tmp_path / "bomb.png")
