"""Mutated configs and pictures: what noise, a mistake or an attacker makes of a good file, each a function of a seed."""

from __future__ import annotations

import io
import random
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

MARK = "executed"
"""The file that payloads would make in the current folder."""


def noise(content: bytes, draw: random.Random) -> bytes:
    """A few bits turned, runs of bytes overwritten, inserted or cut out, or the end cut off."""
    data = bytearray(content)
    for _ in range(draw.choice((1, 1, 2, 4, 16))):
        if not data:
            break
        at = draw.randrange(len(data)) if draw.random() < 0.5 else draw.randrange(min(len(data), 128))  # heads tell sizes
        kind = draw.random()
        if kind < 0.5:
            data[at] ^= 1 << draw.randrange(8)
        elif kind < 0.7:
            data[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", bytes(4), b"\x7f\xff\xff\xff", b"\0\0\1\0"))
        elif kind < 0.8:
            del data[at : at + draw.randrange(1, 20)]
        elif kind < 0.9:
            data[at:at] = draw.randbytes(draw.randrange(1, 20))
        else:
            del data[at:]
    return bytes(data)


# --- configs

_LINES = (
    "run: !!python/object/apply:os.system ['touch executed']", "run: {name: !!python/object/new:os.system ['touch executed']}",
    "run: {name: !!python/name:os.system }", "run: {name: '${oc.env:HOME}'}", "data: {root: '${oc.decode:${oc.env:HOME}}'}",
    "explain: {views: ['${oc.env:PATH}']}", "run: {seed: !!int ''}", "data: {download: !!bool x}", "run: {name: 2024-99-99}",
    "run: {name: !!timestamp x}", "run: {name: !!binary ////}", "run: {name: !!set {a, b}}", "run: &a {name: *a}", "run: {<<: *b}",
    "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: [*b, *b, *b, *b, *b, *b, *b, *b, *b]",
    "run: {name: " + "[" * 20_000 + "]" * 20_000 + "}", "run: " + "{a: " * 2000 + "1" + "}" * 2000, "? [a]\n: b",
    "? !!python/tuple [a, b]\n: 1", "run: {seed: 0x" + "f" * 9000 + "}", "run: {seed: " + "9" * 9000 + "}", "optim: {lr: .nan}",
    "optim: {lr: 1e999}", "trainer: {epochs: .inf}", "model: {width: 99999999999999999999}", "trainer: {epochs: -1}",
    'run: {name: "a\\0b"}', 'run: {name: "\\ud800"}', 'run: {name: "\\e[2J\\x07\u202eevil"}', "run: {name: '../../etc'}", "run: []",
    "run: {1: 2, ~: 3}", "~: 1", "%YAML 9.9\n---\nrun: {}", "--- {}\n--- {}", "- a", "\ufeffrun: {name: marked}", "run: {name: ???}",
    "data: {" + "x" * 3000 + ": 1}", "run: !!omap [name: x]", "#" + "x" * 70_000,
)  # fmt: skip
NUM_LINES = len(_LINES)


def config(good: bytes, seed: int) -> bytes:
    """A mutation of a YAML file: a line that says something evil, or noise."""
    draw = random.Random(seed)
    if seed < len(_LINES):
        return _LINES[seed].encode(errors="surrogatepass")
    if seed % 2:
        return noise(good, draw)
    words = good.split(b" ")  # words change places
    draw.shuffle(words)
    return b" ".join(words)


# --- pictures

FORMATS = ("png", "jpg", "gif", "tiff", "webp", "bmp")
_SIZES = {"png": (16, ">II"), "gif": (6, "<HH"), "bmp": (18, "<ii")}
"""Where a format's head holds width and height, and how."""


def picture(seed: int) -> tuple[str, bytes]:
    """A mutated picture file and its ending."""
    draw = random.Random(seed)
    kind = FORMATS[seed % len(FORMATS)]
    good = _picture(kind, draw)
    way = seed // len(FORMATS) % 5
    if way == 0:
        return kind, good[: draw.randrange(len(good))]
    if way == 1 and kind in _SIZES:
        at, how = _SIZES[kind]
        size = draw.choice([(0, 0), (1, 2**15), (2**15, 2**15), (2**16 - 1, 2**16 - 1)])
        return kind, good[:at] + struct.pack(how, *size) + good[at + struct.calcsize(how) :]
    if way == 2:
        return draw.choice(FORMATS), good  # another ending
    if way == 3:
        return kind, draw.choice([b"", good[:4] + draw.randbytes(400), bytes(len(good)), *STRANGERS])
    return kind, noise(good, draw)


STRANGERS = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n(executed) (w) file closefile\nshowpage\n%%EOF\n",
    b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    b"P6 99999 99999 255\n" + bytes(99),
    b"\xd7\xcd\xc6\x9a" + bytes(60),
)
"""Of formats that are not read, the first of one that Pillow starts a program for."""


def _picture(kind: str, draw: random.Random) -> bytes:
    pixels = np.random.default_rng(draw.randrange(2**32)).integers(0, 256, (6, 7, 3), dtype=np.uint8)
    image = Image.fromarray(np.kron(pixels, np.ones((6, 6, 1), np.uint8)))
    buffer = io.BytesIO()
    options: dict[str, Any] = {"compression": draw.choice(["raw", "tiff_lzw", "jpeg", "packbits"])} if kind == "tiff" else {}
    image.save(buffer, format={"jpg": "JPEG"}.get(kind, kind.upper()), **options)
    return buffer.getvalue()


def write(path: Path, content: bytes) -> Path:
    """A file with some content."""
    path.write_bytes(content)
    return path
