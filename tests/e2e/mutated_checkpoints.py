"""Mutated checkpoints: what noise, a mistake or an attacker makes of a good one, each a function of a seed."""

from __future__ import annotations

import io
import math
import os
import pickle
import random
import zipfile
from collections.abc import Callable, Mapping
from typing import Any

import torch

from tests.e2e.mutations import MARK, noise

HUGE = 10**12
PAYLOADS: tuple[bytes, ...] = (
    b"cos\nsystem\n(S'touch executed'\ntR0",
    b"cposix\nsystem\n(S'touch executed'\ntR0",
    b'cbuiltins\neval\n(S\'open("executed", "w")\'\ntR0',
    b'cbuiltins\nexec\n(S\'open("executed", "w")\'\ntR0',
    b"csubprocess\nPopen\n((S'touch'\nS'executed'\nltR0",
    b"cpathlib\nPath.touch\n(S'executed'\ntR0",
    b"ctorch.serialization\nload\n(S'other.ckpt'\ntR0",
    b'crunpy\n_run_code\n(S\'open("executed", "w")\'\n}tR0',
    b"cbuiltins\ngetattr\n(cos\nS'system'\ntR(S'touch executed'\ntR0",
)
"""Opcodes that call something and drop what it returns, to be put anywhere between two others."""


class Calls:
    """Pickled as a call.

    Args:
        function: what to call.
        arguments: of the call.
    """

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self.function, self.arguments


def _records(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _archive(records: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _pickle_of(records: Mapping[str, bytes]) -> str:
    return next(name for name in records if name.endswith("data.pkl"))


def _saved(checkpoint: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(checkpoint, buffer)
    return buffer.getvalue()


def _turned(good: bytes, draw: random.Random) -> bytes:
    return noise(good, draw)


def _cut(good: bytes, draw: random.Random) -> bytes:
    return good[: draw.randrange(len(good))]


def _swapped(good: bytes, draw: random.Random) -> bytes:
    """Two records have each other's content, so that all checksums are right."""
    records = _records(good)
    one, other = draw.sample(sorted(records), 2)
    records[one], records[other] = records[other], records[one]
    return _archive(records)


def _without_record(good: bytes, draw: random.Random) -> bytes:
    records = _records(good)
    del records[draw.choice(sorted(records))]
    return _archive(records)


def _noisy_pickle(good: bytes, draw: random.Random) -> bytes:
    records = _records(good)
    name = _pickle_of(records)
    records[name] = noise(records[name], draw)
    return _archive(records)


def _with_payload(good: bytes, draw: random.Random) -> bytes:
    """A call in the middle of the pickle, where it would be executed even if the rest fails."""
    records = _records(good)
    name = _pickle_of(records)
    records[name] = records[name][:2] + draw.choice(PAYLOADS) + records[name][2:]
    return _archive(records)


def _bare_payload(good: bytes, draw: random.Random) -> bytes:
    function = draw.choice((os.system, eval, exec))
    argument = f"touch {MARK}" if function is os.system else f"open({MARK!r}, 'w')"
    protocol = draw.choice((0, 2, 4))
    return pickle.dumps({"state_dict": {}, "cocoa_pl": Calls(function, argument)}, protocol=protocol)


def _payload_beside(good: bytes, draw: random.Random) -> bytes:
    checkpoint = _loaded(good)
    place = draw.choice([checkpoint, checkpoint["cocoa_pl"], checkpoint["callbacks"], checkpoint["state_dict"]])
    place["more"] = Calls(os.system, f"touch {MARK}")
    return _saved(checkpoint)


def _huge(good: bytes, draw: random.Random) -> bytes:
    """A tensor of 10^12 elements by its head alone: its size, its storage's, or both."""
    records = _records(good)
    name = _pickle_of(records)
    head, number = records[name], b"\x8a\x06" + HUGE.to_bytes(6, "little")
    places = [at for at in range(len(head) - 2) if head[at : at + 1] == b"K" and head[at + 2 : at + 3] in (b"t", b"\x85", b"\x86")]
    for at in sorted(draw.sample(places, draw.choice((1, 2, len(places)))), reverse=True):
        head = head[:at] + number + head[at + 2 :]
    records[name] = head
    return _archive(records)


def _unfolding(good: bytes, draw: random.Random) -> bytes:
    """Compressed, one record to a thousandth: a few MB would be many GB."""
    records = _records(good)
    records[draw.choice(sorted(records))] = bytes(2**25)
    return _archive(records, zipfile.ZIP_DEFLATED)


def _reshaped(good: bytes, draw: random.Random) -> bytes:
    checkpoint = _loaded(good)
    state = checkpoint["state_dict"]
    name = draw.choice(sorted(state))
    state[name] = draw.choice(
        [state[name][None], torch.zeros(3), torch.zeros(1).expand(HUGE), state[name].to(torch.complex64), torch.zeros(2, 2).to_sparse()]
    )
    return _saved(checkpoint)


def _missing(good: bytes, draw: random.Random) -> bytes:
    checkpoint = _loaded(good)
    places = [checkpoint, checkpoint["state_dict"], checkpoint["cocoa_pl"], checkpoint["cocoa_pl"]["config"], checkpoint["callbacks"]]
    place = draw.choice(places)
    del place[draw.choice(sorted(place))]
    return _saved(checkpoint)


def _other_value(good: bytes, draw: random.Random) -> bytes:
    """Somewhere in the checkpoint stands something else."""
    checkpoint = _loaded(good)
    place: Any = checkpoint
    for _ in range(draw.randrange(5)):
        inside = [value for value in place.values() if isinstance(value, dict) and value]
        place = draw.choice(inside) if inside else place
    place[draw.choice(sorted(place, key=str))] = draw.choice(_strange_values())
    return _saved(checkpoint)


def _other_option(good: bytes, draw: random.Random) -> bytes:
    """The config inside is another."""
    checkpoint = _loaded(good)
    section = draw.choice(sorted(checkpoint["cocoa_pl"]["config"]))
    options = checkpoint["cocoa_pl"]["config"][section]
    options[draw.choice(sorted(options))] = draw.choice(_strange_values())
    return _saved(checkpoint)


def _strange_values() -> list[Any]:
    endless: dict[str, Any] = {}
    endless["again"] = endless
    laughs: Any = "ha"
    for _ in range(30):
        laughs = {str(number): laughs for number in range(9)}
    deep: Any = 0
    for _ in range(400):
        deep = [deep]
    return [
        None, -1, 0, math.nan, math.inf, 2**70, 10**40, "", "x" * 100_000, "${oc.env:HOME}", "a\0b", "../..", "/etc/passwd", [], {}, [[]],
        True, b"bytes", torch.zeros(2), torch.zeros(1).expand(HUGE), endless, laughs, deep, "os:system", "\ud800", "timm:hf-hub:some/one",
    ]  # fmt: skip


def _loaded(good: bytes) -> dict[str, Any]:
    checkpoint: dict[str, Any] = torch.load(io.BytesIO(good), weights_only=True)
    return checkpoint


CHECKPOINTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _turned, _cut, _swapped, _without_record, _noisy_pickle, _with_payload, _bare_payload, _payload_beside, _huge, _unfolding, _reshaped,
    _missing, _other_value, _other_option,
)  # fmt: skip


def checkpoint(good: bytes, seed: int) -> bytes:
    """A mutation of a checkpoint; every kind comes once in as many seeds as there are kinds."""
    return CHECKPOINTS[seed % len(CHECKPOINTS)](good, random.Random(seed))
