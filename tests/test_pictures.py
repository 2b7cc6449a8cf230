"""Picture files of every kind become upright RGB, and damaged ones are named."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image

from cocoa_pl import pictures
from cocoa_pl.errors import DataError
from cocoa_pl.pictures import read_picture, read_square, to_rgb


def gradient(width: int = 40, height: int = 24) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 60)], axis=2).round().astype(np.uint8))


def near(image: Image.Image, colour: tuple[int, int, int], *, tolerance: int = 6) -> bool:
    return bool((np.abs(np.asarray(image).astype(int) - colour) <= tolerance).all())


def plain(mode: str, colour: object) -> Image.Image:
    return Image.new(mode, (12, 10), colour)  # type: ignore[arg-type]


def png(samples: bytes, *, depth: int, kind: int, **chunks: bytes) -> bytes:
    """A PNG of 12 x 10 equal pixels, written by its specification; kinds: 0 grey, 2 RGB, 3 palette, 4 grey and alpha, 6 RGB and alpha."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    row = samples * 12 if depth >= 8 else samples * ((12 * depth + 7) // 8)
    parts = [chunk(b"IHDR", struct.pack(">IIBBBBB", 12, 10, depth, kind, 0, 0, 0))]
    parts += [chunk(name.encode(), data) for name, data in chunks.items()]
    parts += [chunk(b"IDAT", zlib.compress((b"\0" + row) * 10)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


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
        ("bytes.tiff", Image.fromarray(np.full((10, 12), 90, dtype=np.float32)), (90, 90, 90)),
        ("ink.jpg", plain("CMYK", (64, 128, 192, 32)), (167, 111, 55)),  # (255 - ink) (255 - black) / 255
        ("ink.tiff", plain("CMYK", (64, 128, 192, 32)), (167, 111, 55)),
        ("black.png", plain("1", 0), (0, 0, 0)),
        ("black.tiff", plain("1", 0), (0, 0, 0)),
        ("sixteen.tiff", plain("I;16", 90 * 257), (90, 90, 90)),
        ("big_endian.tiff", plain("I;16B", 90 * 257), (90, 90, 90)),
        ("signed.tiff", plain("I", 90 * 257), (90, 90, 90)),
        ("dark.tiff", plain("I", -5), (0, 0, 0)),
        ("gray.gif", plain("L", 90), (90, 90, 90)),
        ("luma.jpg", plain("YCbCr", (90, 128, 128)), (90, 90, 90)),
    ],
)
def test_every_mode_becomes_rgb(tmp_path: Path, name: str, image: Image.Image, expected: tuple[int, int, int]) -> None:
    image.save(tmp_path / name)
    read = read_picture(tmp_path / name)
    assert read.mode == "RGB"
    assert read.size == (12, 10)
    assert near(read, expected)
    assert near(Image.fromarray(read_square(tmp_path / name, size=8)), expected)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (png(b"\xc8\x07\x64\x07\x32\x07", depth=16, kind=2), (200, 100, 50)),
        (png(b"\x00\x00\x00\x00\xc8\xc8\x80\x00", depth=16, kind=6), (127, 127, 227)),  # half of it white
        (png(b"\x00\x00\x80\x00", depth=16, kind=4), (127, 127, 127)),
        (png(b"\x5a\x5a", depth=16, kind=0), (90, 90, 90)),
        (png(b"\x5a\x5a", depth=16, kind=0, tRNS=b"\x5a\x5a"), (255, 255, 255)),
        (png(b"\x5a\x5a", depth=16, kind=0, tRNS=b"\x5a\x5b"), (90, 90, 90)),
        (png(b"\x5a", depth=8, kind=0, tRNS=b"\x00\x5a"), (255, 255, 255)),
        (png(b"\xff", depth=1, kind=0, tRNS=b"\x00\x00"), (255, 255, 255)),
        (png(b"\x00", depth=1, kind=0, tRNS=b"\x00\x00"), (255, 255, 255)),
        (png(b"\xaa", depth=2, kind=0), (170, 170, 170)),
        (png(b"\x66", depth=4, kind=0), (102, 102, 102)),
        (png(b"\xc8\x64\x32", depth=8, kind=2, tRNS=b"\x00\xc8\x00\x64\x00\x32"), (255, 255, 255)),
        (png(b"\xc8\x64\x32", depth=8, kind=2, tRNS=b"\x00\xc8\x00\x64\x00\x33"), (200, 100, 50)),
        (png(b"\x01", depth=8, kind=3, PLTE=b"\0\0\0\xc8\x64\x32"), (200, 100, 50)),
        (png(b"\x01", depth=8, kind=3, PLTE=b"\0\0\0\xc8\x64\x32", tRNS=b"\x00"), (200, 100, 50)),
        (png(b"\x01", depth=8, kind=3, PLTE=b"\0\0\0\xc8\x64\x32", tRNS=b"\xff\x33"), (244, 224, 214)),  # a fifth of it
        (png(b"\x55", depth=2, kind=3, PLTE=b"\0\0\0\xc8\x64\x32", tRNS=b"\xff\x00"), (255, 255, 255)),
    ],
)
def test_every_kind_of_png_becomes_rgb(tmp_path: Path, content: bytes, expected: tuple[int, int, int]) -> None:
    (tmp_path / "x.png").write_bytes(content)
    assert read_picture(tmp_path / "x.png").size == (12, 10)
    assert near(read_picture(tmp_path / "x.png"), expected, tolerance=1)
    assert near(Image.fromarray(read_square(tmp_path / "x.png", size=8)), expected, tolerance=1)


def test_float_grey_with_holes_keeps_its_range() -> None:
    levels = np.array([[0.25, np.nan, 1.0], [np.inf, -np.inf, -3.0]], dtype=np.float32)
    assert np.asarray(to_rgb(Image.fromarray(levels)))[:, :, 1].tolist() == [[64, 0, 255], [255, 0, 0]]


def test_conversion_in_bands_equals_conversion_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    rgba = Image.fromarray(draw.integers(0, 256, (37, 23, 4), dtype=np.uint8))
    wide = Image.fromarray(draw.integers(0, 65536, (37, 23), dtype=np.uint16))
    palette = rgba.convert("RGB").quantize(50)
    palette.info["transparency"] = 3
    modes = [rgba, wide, palette, rgba.convert("LA"), rgba.convert("CMYK"), Image.fromarray(np.asarray(wide).astype(np.float32))]
    whole = [np.asarray(to_rgb(image)) for image in modes]
    alpha = np.asarray(rgba).astype(float)
    assert np.abs(whole[0] - (alpha[:, :, :3] * alpha[:, :, 3:] / 255 + 255 - alpha[:, :, 3:])).max() <= 1
    assert np.abs(whole[1][:, :, 0] - np.asarray(wide) / 257).max() <= 0.51
    monkeypatch.setattr(pictures, "_BAND_PIXELS", 50)
    for image, expected in zip(modes, whole, strict=True):
        assert (np.asarray(to_rgb(image)) == expected).all()


def test_transparent_palette_lies_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (12, 10), 0)
    image.putpalette([10, 20, 30, 0, 0, 0])
    image.save(tmp_path / "p.png", transparency=0)
    assert near(read_picture(tmp_path / "p.png"), (255, 255, 255))


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png", "a.tiff"])
def test_animation_gives_its_first_frame(tmp_path: Path, name: str) -> None:
    first, second = plain("RGB", (250, 0, 0)), plain("RGB", (0, 250, 0))
    first.save(tmp_path / name, save_all=True, append_images=[second])
    assert near(read_picture(tmp_path / name), (250, 0, 0))


def test_exif_orientation_is_applied(tmp_path: Path) -> None:
    """Orientation 6: turn a quarter clockwise to see it upright."""
    exif = Image.Exif()
    exif[0x0112] = 6
    gradient().save(tmp_path / "turned.jpg", quality=95, exif=exif)
    read = read_picture(tmp_path / "turned.jpg")
    expected = gradient().transpose(Image.Transpose.ROTATE_270)
    assert read.size == expected.size == (24, 40)
    assert np.abs(np.asarray(read).astype(int) - np.asarray(expected)).mean() < 4


_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
"""From stored to upright, by the EXIF standard: 6 says that the first row is the right side and the first column the top."""


@pytest.mark.parametrize("orientation", _UPRIGHT)
@pytest.mark.parametrize("name", ["x.png", "x.webp", "x.tiff"])
def test_every_orientation_in_every_format(tmp_path: Path, name: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = gradient(12, 7)
    stored.save(tmp_path / name, exif=exif, **({"lossless": True} if name == "x.webp" else {}))
    assert (np.asarray(read_picture(tmp_path / name)) == _UPRIGHT[orientation](np.asarray(stored))).all()


@pytest.mark.filterwarnings("ignore:.*orrupt EXIF data")  # Pillow's
@pytest.mark.parametrize("damage", [b"", b"Exif\0\0", b"Exif\0\0II*\0\xff\xff\xff\xff", b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12"])
def test_damaged_metadata_is_no_reason_to_refuse_a_picture(tmp_path: Path, damage: bytes) -> None:
    plain("RGB", (200, 100, 50)).save(tmp_path / "x.jpg", exif=damage)
    assert near(read_picture(tmp_path / "x.jpg"), (200, 100, 50))


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
    (tmp_path / "folder.png").mkdir()
    for name in ("cut.jpg", "cut.png", "cut.webp", "cut.gif", "cut.bmp", "cut.tiff"):
        gradient(200, 200).save(tmp_path / name)
        data = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(data[: len(data) // 2])
    for path in [*sorted(tmp_path.iterdir()), tmp_path / "missing.jpg"]:
        for read in (read_picture, lambda p: read_square(p, size=8)):
            with pytest.raises(DataError, match=path.name) as caught:
                read(path)
            assert "\n" not in str(caught.value)


def test_decompression_bombs_are_refused_before_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "MAX_PIXELS", 9_999)
    for name in ("bomb.png", "bomb.bmp", "bomb.tiff", "bomb.gif", "bomb.webp", "bomb.jpg"):
        gradient(100, 100).save(tmp_path / name)
        with pytest.raises(DataError, match=rf"{name} has 100 x 100 pixels"):
            read_picture(tmp_path / name)


def test_of_a_large_jpeg_no_more_is_decoded_than_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A progressive one is kept whole while it is decoded, so that it counts whole."""
    monkeypatch.setattr(pictures, "MAX_PIXELS", 125 * 100)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)  # Pillow's own bound would refuse it
    gradient(1000, 800).save(tmp_path / "plain.jpg", quality=95)
    gradient(1000, 800).save(tmp_path / "progressive.jpg", quality=95, progressive=True)
    square = read_square(tmp_path / "plain.jpg", size=50)
    x = 100 + (np.arange(50) + 0.5) * 16 - 0.5  # the middle of each pixel, in the original
    assert np.abs(square[:, :, 0].astype(float) - x[None] * 255 / 999).max() < 3
    for name, size in (("plain.jpg", 60), ("progressive.jpg", 50)):
        with pytest.raises(DataError, match="pixels; at most 12500 are read"):
            read_square(tmp_path / name, size=size)


def test_pillows_own_bomb_error_names_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gradient(100, 100).save(tmp_path / "bomb.bmp")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_000)
    with pytest.raises(DataError, match=r"bomb\.bmp"):
        read_picture(tmp_path / "bomb.bmp")


def test_threads_read_large_pictures_in_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "_LARGE_PIXELS", 0)
    plain("RGB", (200, 100, 50)).save(tmp_path / "x.png")
    (tmp_path / "none.png").write_bytes((tmp_path / "x.png").read_bytes()[:45])
    with ThreadPoolExecutor(4) as pool:
        squares = list(pool.map(lambda _: read_square(tmp_path / "x.png", size=4), range(20)))
    assert all(near(Image.fromarray(square), (200, 100, 50)) for square in squares)
    with pytest.raises(DataError, match=r"none\.png"):
        read_square(tmp_path / "none.png", size=4)
    assert not pictures._LARGE.locked()
