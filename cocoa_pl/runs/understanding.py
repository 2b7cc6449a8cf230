"""From a request to a question: every encoder, picture and option that it names, opened and checked before any work is done."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cocoa_pl.asking.choosing import Chosen, choose
from cocoa_pl.asking.specs import Spec, parse_corpora
from cocoa_pl.asking.texts import TextQuestion
from cocoa_pl.build import build_explain_set, build_splits
from cocoa_pl.build.encoders import AskedEncoder, config_of_run
from cocoa_pl.cli import Request
from cocoa_pl.cli.request import DEFAULT_TOP
from cocoa_pl.config import Config
from cocoa_pl.data.inputs import PictureSource, load_pictures
from cocoa_pl.data.splits import Splits
from cocoa_pl.errors import ConfigError
from cocoa_pl.models.sources import is_ours
from cocoa_pl.rng import derive_seed
from cocoa_pl.runs.listing import shared_stdin
from cocoa_pl.runs.opening import open_encoders, require_text_sides
from cocoa_pl.texts.templates import DEFAULT

_PIXELS_A_BLOCK = 2**17  # of pictures that are explained together: few, for a stop and a budget come between blocks
_MOST_IN_A_BLOCK = 64
_SMALL = 64  # side in pixels up to which RISE takes four cells


@dataclass(frozen=True)
class Question:
    """A request, understood: everything that the work is a function of."""

    config: Config
    encoders: tuple[AskedEncoder, ...]
    inputs: PictureSource
    chosen: Chosen
    views: tuple[str, ...]
    image_size: int
    texts: TextQuestion

    @property
    def block_size(self) -> int:
        """Pictures that are explained together."""
        return max(1, min(_MOST_IN_A_BLOCK, _PIXELS_A_BLOCK // self.image_size**2 // len(self.views)))

    @property
    def num_blocks(self) -> int:
        """Blocks that hold all pictures."""
        return -(-len(self.inputs) // self.block_size)


def understand(request: Request) -> Question:
    """Open everything that a request names.

    Raises:
        CocoaError: something cannot be used; nothing was written.
    """
    config, splits = _config(request)
    encoders = open_encoders(request, config)
    if request.asks_in_words:
        require_text_sides(encoders, config)
    sizes = {encoder.image_size for encoder in encoders}
    if len(sizes) > 1:
        raise ConfigError(f"the encoders see images of {' and '.join(map(str, sorted(sizes)))} px; --image-size gives them one size")
    size = sizes.pop()
    _choose_defaults(request, config, size)
    stdin = shared_stdin() if any("-" in items for items in _all_items(request)) else None

    def load(items: Sequence[str], what: str) -> PictureSource:
        named = any(item == "-" or (item.startswith(("train:", "val:")) and not Path(item).exists()) for item in items)
        return load_pictures(items, size=size, what=what, splits=splits() if named and splits is not None else None, stdin=stdin)

    inputs = load(request.inputs or _explain_set_items(config, splits), "--input")
    texts = _in_words(request)
    chosen = choose(
        _corpora(request), request.foil, load=load, splits=splits, inputs=inputs,
        seed=derive_seed(config.run.seed, "ask"), corpus_size=config.explain.corpus_size, foil_size=config.explain.foil_size,
        skip_unreadable=config.data.on_bad_image == "skip", texts=texts,
    )  # fmt: skip
    return Question(config, encoders, inputs, chosen, tuple(config.explain.views), size, texts)


def _corpora(request: Request) -> tuple[Spec, ...]:
    """Corpora of pictures; who asks for none, and for nothing in words, asks for likeness to the picture itself."""
    if request.corpora or request.text_corpora or request.concepts is not None:
        return request.corpora
    return parse_corpora(["self"])


def _in_words(request: Request) -> TextQuestion:
    return TextQuestion(
        request.text_corpora, request.text_foil, request.templates or (DEFAULT,), request.concepts,
        top=request.top or DEFAULT_TOP, words=request.words,
    )  # fmt: skip


def _choose_defaults(request: Request, config: Config, size: int) -> None:
    """What a question takes for options that nobody named: the pictures as they are; of large ones, masks of more cells."""
    asked = {text.partition("=")[0] for text in request.overrides}
    if "explain.views" not in asked:
        config.explain.views = ["original"]
    if "explain.attributions" not in asked and size > _SMALL:  # the first is shown first: areas are read more easily than single pixels
        config.explain.attributions.sort(key=lambda name: name != "rise")
    if "explain.grid_size" not in asked and _run_of(request) is None:
        config.explain.grid_size = 4 if size <= _SMALL else 7


def _all_items(request: Request) -> list[tuple[str, ...]]:
    return [request.inputs, *(spec.items for spec in request.corpora), () if request.foil is None else request.foil.items]


def _run_of(request: Request) -> Path | None:
    """The first checkpoint, where it is one of ``train.py``."""
    first = request.checkpoints[0] if request.checkpoints else None
    return first if first is not None and request.encoder is None and is_ours(first) else None


def _config(request: Request) -> tuple[Config, Callable[[], Splits] | None]:
    """The options, of the run where there is one, and the data set, made when it is first needed."""
    run = _run_of(request)
    config = config_of_run(run, request.overrides)
    named = run is not None or any(text.startswith(("data.name=", "data.root=")) for text in request.overrides)
    return config, cache(lambda: build_splits(config)) if named else None


def _explain_set_items(config: Config, splits: Callable[[], Splits] | None) -> tuple[str, ...]:
    """The run's explicands, where nobody names pictures."""
    if splits is None:
        raise ConfigError("--input: which pictures? An encoder of another origin comes without any")
    return ("val:" + ",".join(map(str, build_explain_set(config, splits()).ids.tolist())),)
