"""What the engine returns: maps and scores with what is known of their noise; saved, loaded, drawn and tabulated."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from cocoa_pl.errors import CheckpointError, ConfigError, choices_hint
from cocoa_pl.files import write_arrays, write_json, write_png
from cocoa_pl.optional import require
from cocoa_pl.types import Baseline
from cocoa_pl.viz import Panel, contact_sheet, robust_scale

if TYPE_CHECKING:
    from pandas import DataFrame

FORMAT_VERSION = 1
_FLAT = 1e-12


@dataclass(frozen=True)
class Explanation:
    """Maps of N explicands towards K targets by several methods.

    Attributes:
        attributions: method to signed maps (K, N, H, W).
        scores: (K, N), the targets' scores of the explicands.
        targets: K names.
        explicands: (N, C, H, W) in [0, 1].
        baseline: (N, C, H, W) or a fill, what stood for absent pixels.
        seed: of all masks and noise.
        standard_errors: method to Monte-Carlo errors (K, N, H, W), for methods that know theirs.
        reliability: method to (K, N), the correlation to expect with the map of a second run, for methods that know it.
        num_samples: method to masks or draws that were taken.
        draws: method to a draw of its maps' Monte-Carlo error (K, N, H, W), for methods that know one; not saved.
        dims: method to the number of independent directions of that error; not saved.
        intervals: method to the ends (2, K, N, H, W) of the maps' interval over corpora and foils, where replicates were given.
        score_intervals: the same for the scores, (2, K, N).
        settings: plain values that tell how it was made: methods, removal, forwards, seconds, versions.
    """

    attributions: dict[str, Tensor]
    scores: Tensor
    targets: tuple[str, ...]
    explicands: Tensor
    baseline: Baseline
    seed: int
    standard_errors: dict[str, Tensor] = field(default_factory=dict)
    reliability: dict[str, Tensor] = field(default_factory=dict)
    num_samples: dict[str, int] = field(default_factory=dict)
    draws: dict[str, Tensor] = field(default_factory=dict, repr=False)
    dims: dict[str, float] = field(default_factory=dict, repr=False)
    intervals: dict[str, Tensor] = field(default_factory=dict)
    score_intervals: Tensor | None = None
    settings: dict[str, Any] = field(default_factory=dict)

    def save(self, path: str | Path) -> Path:
        """Write PATH.npz (arrays) and PATH.json (names, seed, settings), each whole or not at all; returns the npz's path.

        Raises:
            OutputError: the folder cannot be written to.
        """
        arrays = {"scores": self.scores, "explicands": self.explicands}
        if isinstance(self.baseline, Tensor):
            arrays["baseline"] = self.baseline
        if self.score_intervals is not None:
            arrays["score_intervals"] = self.score_intervals
        for group in _GROUPS:
            arrays |= {f"{group}/{method}": values for method, values in getattr(self, group).items()}
        npz, names = _paths(path)
        content = {
            "format": FORMAT_VERSION, "targets": list(self.targets), "seed": self.seed, "num_samples": self.num_samples,
            "settings": self.settings,
        }  # fmt: skip
        write_json(names, content)
        write_arrays(npz, {name: value.cpu().numpy() for name, value in arrays.items()})
        return npz

    @staticmethod
    def load(path: str | Path) -> Explanation:
        """Read what :meth:`save` wrote; nothing in the files is executed. A fill comes back as an empty baseline.

        Raises:
            CheckpointError: a file is missing, damaged or of another kind.
        """
        npz, names = _paths(path)
        try:
            content = json.loads(names.read_text(encoding="utf-8"))
            with npz.open("rb") as content_of, np.load(content_of, allow_pickle=False) as file:
                arrays = {name: torch.from_numpy(file[name]) for name in file.files}
            if content["format"] != FORMAT_VERSION:
                raise CheckpointError(f"{names}: format {content['format']}, this version reads {FORMAT_VERSION}")
            groups: dict[str, Any] = {group: _group(arrays, group) for group in _GROUPS}
            return Explanation(
                scores=arrays["scores"], explicands=arrays["explicands"], baseline=arrays.get("baseline", torch.empty(0)),
                score_intervals=arrays.get("score_intervals"), targets=tuple(content["targets"]), seed=content["seed"],
                num_samples=content["num_samples"], settings=content["settings"], **groups,
            )  # fmt: skip
        except (OSError, ValueError, KeyError, EOFError, TypeError, AttributeError, BadZipFile, zlib.error) as error:
            raise CheckpointError(f"{npz}: no explanation that can be read ({type(error).__name__}: {error})") from error

    def is_flat(self, method: str) -> Tensor:
        """(K, N) bool: maps without any value that differs from zero."""
        return self.attributions[method].abs().amax(dim=(-2, -1)) <= _FLAT

    def plot(self, path: str | Path | None = None, *, target: str | None = None, names: list[str] | None = None) -> Image.Image:
        """A contact sheet of explicands by methods: red towards the corpus, blue away from it, the score under each map.

        Methods have units of their own, so each is drawn on its own scale, the 98 % quantile of its maps of this target.

        Args:
            path: where to write a PNG as well.
            target: which one; default: the first.
            names: one name an explicand.

        Raises:
            ConfigError: no such target.
            OutputError: the PNG cannot be written.
        """
        target = target or self.targets[0]
        if target not in self.targets:
            raise ConfigError(f"target={target}: not explained here; {choices_hint(target, self.targets)}")
        k = self.targets.index(target)
        rgb = self.explicands if self.explicands.shape[1] == 3 else self.explicands.mean(1, keepdim=True).expand(-1, 3, -1, -1)
        pictures = (rgb.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        unit = {method: robust_scale(maps[k].cpu().numpy()) or 1.0 for method, maps in self.attributions.items()}
        flat = {method: self.is_flat(method)[k] for method in self.attributions}
        panels = [
            [
                Panel(
                    picture, maps[k, n].cpu().numpy() / unit[method], caption=method.replace("_", " "), score=float(self.scores[k, n]),
                    flag="flat" if flat[method][n] else "",
                )
                for method, maps in self.attributions.items()
            ]
            for n, picture in enumerate(pictures)
        ]  # fmt: skip
        how = ", ".join(["each method on its own scale", *([f"removal {self.settings['removal']}"] if "removal" in self.settings else [])])
        sheet = contact_sheet(panels, scale=1.0, title=target, subtitle=f"{how}, seed {self.seed}", row_labels=names or (), legend=False)
        if path is not None:
            write_png(Path(path), sheet)
        return sheet

    def to_frame(self) -> DataFrame:
        """One row a method, target and explicand: score, its interval, and of the map its sum, positive share, reliability and error.

        Raises:
            ConfigError: pandas is not installed.
        """
        pandas = require("pandas", package="pandas", what="to_frame() needs")
        frame: DataFrame = pandas.DataFrame([row for method in self.attributions for row in self._rows(method)])
        return frame

    def _rows(self, method: str) -> Iterator[dict[str, Any]]:
        maps = self.attributions[method].cpu().double()
        total, positive, size = maps.sum((-2, -1)), maps.clamp_min(0).sum((-2, -1)), maps.abs().sum((-2, -1)).clamp_min(_FLAT)
        unknown = torch.full_like(total, float("nan"))
        error = (
            unknown if method not in self.standard_errors else self.standard_errors[method].cpu().double().square().mean((-2, -1)).sqrt()
        )
        reliability, flat = self.reliability.get(method, unknown), self.is_flat(method)
        low, high = (unknown, unknown) if self.score_intervals is None else self.score_intervals
        for k, target in enumerate(self.targets):
            for n in range(self.scores.shape[1]):
                yield {
                    "method": method,
                    "target": target,
                    "explicand": n,
                    "score": float(self.scores[k, n]),
                    "score_low": float(low[k, n]),
                    "score_high": float(high[k, n]),
                    "map_sum": float(total[k, n]),
                    "positive_share": float(positive[k, n] / size[k, n]),
                    "reliability": float(reliability[k, n]),
                    "standard_error": float(error[k, n]),
                    "num_samples": self.num_samples.get(method),
                    "flat": bool(flat[k, n]),
                }


_GROUPS = ("attributions", "standard_errors", "reliability", "intervals")


def _paths(path: str | Path) -> tuple[Path, Path]:
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".npz", ".json") else path
    return stem.with_name(stem.name + ".npz"), stem.with_name(stem.name + ".json")


def _group(arrays: Mapping[str, Tensor], group: str) -> dict[str, Tensor]:
    return {name.partition("/")[2]: value for name, value in arrays.items() if name.startswith(f"{group}/")}
