"""The folder of a study: what was found in words and tables, curves and other pictures, and how to make it again."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import torch
import yaml

from cocoa_pl.config import StudyConfig, to_dict
from cocoa_pl.config.study import parts_of
from cocoa_pl.files import write_bytes, write_json
from cocoa_pl.study.findings import findings, summary_words
from cocoa_pl.study.judging import ABOVE_RANDOM, AGREEMENT_LOST, ENOUGH_CORPUS, MEASURE, NEAR_ZERO
from cocoa_pl.study.latex import latex
from cocoa_pl.study.plots import plots, rendered
from cocoa_pl.study.results import Results
from cocoa_pl.study.tables import differences_csv, factors_csv, grid_csv, markdown
from cocoa_pl.study.views import ViewsStudy, method_words
from cocoa_pl.study.views_page import views_html
from cocoa_pl.study.views_pdf import views_pdf
from cocoa_pl.study.views_tables import views_csv, views_markdown

_RECORD = "study.json"
_VERSIONS = ("cocoa_pl", "torch", "torchvision", "pytorch-lightning", "lightly", "numpy", "scipy", "matplotlib")


class Folder:
    """Writes what is known; after another encoder again.

    Args:
        path: of the folder.
        name: of the study.
        config: of it.
        class_names: of the classes that take part.
        notes: whole sentences that readers must know.
    """

    def __init__(self, path: Path, name: str, config: StudyConfig, *, class_names: Sequence[str], notes: list[str]) -> None:
        self.path, self.name, self.config, self.class_names, self._notes = path, name, config, class_names, notes
        self._written, self._earlier = set[str](), _files_of(path / _RECORD)

    def note(self, sentence: str) -> None:
        """Tell readers something more."""
        self._notes.append(sentence)

    def write(self, results: Results, views: Sequence[ViewsStudy]) -> None:
        """What can be written in no time: README.md, tables, options and versions. What an earlier study left in this folder goes before,
        so that nothing beside the new tables tells of something else.

        Raises:
            OutputError: the folder cannot be written.
        """
        self._forget_earlier()
        self._write_texts(results, views, pictures=None)

    def draw(self, results: Results, views: Sequence[ViewsStudy]) -> None:
        """Curves and other pictures, the pages of the augmentation study, and README.md once more, which shows them; last of all, as
        drawing takes a while.

        Raises:
            OutputError: the folder cannot be written.
        """
        print("drawing pictures ...", flush=True)
        self._forget_earlier()
        figures = plots(results)
        for stem, figure in figures.items():
            self._write(f"{stem}.png", rendered(figure, "png"))
            self._write(f"{stem}.svg", rendered(figure, "svg"))
        if views:
            self._write("views.html", views_html(views).encode())
            self._write("views.pdf", views_pdf(views))
        self._write_texts(results, views, pictures=tuple(figures))

    def _forget_earlier(self) -> None:
        while self._earlier:
            (self.path / self._earlier.pop()).unlink(missing_ok=True)

    def _write_texts(self, results: Results, views: Sequence[ViewsStudy], *, pictures: Sequence[str] | None) -> None:
        texts = {"README.md": self._page(results, views, pictures), "study.yaml": _yaml(self.config)}
        if results.grid:
            texts |= {"grid.csv": grid_csv(results), "differences.csv": differences_csv(results)}
        if results.factors:
            texts["factors.csv"] = factors_csv(results)
        if views:
            texts["views.csv"] = _joined([views_csv(one) for one in views])
        texts |= latex(results)
        for file, text in texts.items():
            self._write(file, text.encode())
        write_json(self.path / _RECORD, self._record(results))

    def tell(self, results: Results) -> None:
        """Say on the terminal what was found, and where the rest is."""
        print(summary_words(findings(results)))
        print(f"\n{self.path}: README.md tells what was found; tables in .csv and .tex, pictures in .png and .svg", flush=True)

    def _write(self, name: str, content: bytes) -> None:
        write_bytes(self.path / name, content)
        self._written.add(name)

    def _page(self, results: Results, views: Sequence[ViewsStudy], pictures: Sequence[str] | None) -> str:
        page = markdown(results, title=f"Study {self.name}: are the features of the corpus found?", facts=self._facts(results))
        shown = "".join(f"\n\n![{stem.replace('_', ' ')}]({stem}.png)" for stem in pictures or ())
        told = "".join(f"\n\n{views_markdown(one)}" for one in views)
        drawn = "" if pictures is None else "\n\nAll pictures: [views.html](views.html) and [views.pdf](views.pdf)."
        parts = [page.rstrip(), f"\n\n## Pictures{shown}" if shown else "", f"\n\n## The augmentation study{drawn}{told}" if views else ""]
        return "".join(parts) + "\n"

    def _facts(self, results: Results) -> list[str]:
        config, study, explain = self.config, self.config.study, self.config.explain
        judged = "The corpus and foil that were explained also judge" if study.in_sample else "Others, as many, judge"
        methods = ", ".join(method_words(name, explain) for name in explain.attributions)
        seeds = ", ".join(map(str, study.seeds))
        return [
            f"Data: {config.data.name}; classes: {', '.join(self.class_names)}. For each of {len(study.seeds)} seeds ({seeds}): "
            f"{study.per_class} validation images of each class, corpora of {explain.corpus_size}, a foil of {explain.foil_size} training "
            f"images. {judged}.",
            f"Attributions: {methods}. Removal: {explain.removal}. Curves of {explain.curve_steps} steps.",
            *self._notes,
        ]

    def _record(self, results: Results) -> dict[str, object]:
        return {
            "study": self.name,
            "seeds": list(results.seeds),
            "classes": list(self.class_names),
            "encoders": {
                facts.title: {**facts.about, "head_accuracy": facts.head_accuracy, "reliability": facts.reliability}
                for facts in results.encoders
            },
            "judged_by": {
                "measure": MEASURE,
                "near_zero": NEAR_ZERO,
                "above_random": ABOVE_RANDOM,
                "enough_corpus": ENOUGH_CORPUS,
                "agreement_lost": AGREEMENT_LOST,
            },
            "costs": {title: vars(cost) for title, cost in results.costs.items()},
            "notes": self._notes,
            "files": sorted(self._written),
            "versions": {name: _version(name) for name in _VERSIONS} | {"python": sys.version.split()[0]},
            "machine": f"{platform.system()} {platform.machine()}, {torch.get_num_threads()} threads",
        }


def _files_of(record: Path) -> set[str]:
    """Names of the files that an earlier study wrote into the folder: those that this one does not write would tell of something else."""
    try:
        files = json.loads(record.read_bytes())["files"]
        return {name for name in files if isinstance(name, str) and Path(name).name == name}
    except (OSError, ValueError, LookupError, TypeError):
        return set()


def _yaml(config: StudyConfig) -> str:
    """The options that play a part, as the command line reads them again."""
    text: str = yaml.safe_dump(parts_of(to_dict(config)), sort_keys=False, allow_unicode=True)
    return text


def _version(name: str) -> str:
    return version(name)


def _joined(tables: Sequence[str]) -> str:
    """Tables of one header below each other."""
    first, *others = tables
    return first + "".join(other.partition("\n")[2] for other in others)
