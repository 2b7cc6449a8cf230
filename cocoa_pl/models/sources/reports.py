"""Words about a match of weights and architecture: notes where it fits, one line where it does not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from torch import nn

from cocoa_pl.errors import some
from cocoa_pl.models.sources.architectures import Shapes
from cocoa_pl.models.sources.matching import Fit
from cocoa_pl.models.sources.wrappers import heads_of_attention

_GROUPS = 6


def notes(best: Fit, others: Iterable[Fit], shapes: Shapes, network: nn.Module) -> Iterator[str]:
    """What was found where, what was guessed and what is not used."""
    if best.prefix:
        yield f"weights found under {best.prefix!r}; the prefix is taken off"
    if best.layout.places:
        yield "its names are places in an nn.Sequential of the network's children, mapped to their names"
    alternatives = sorted({fit.prefix for fit in others if fit.complete and fit.prefix != best.prefix})
    if alternatives:
        yield f"weights that fit are also under {', '.join(map(repr, alternatives[:3]))}; not taken"
    yield from _stem(best)
    if best.variant.whole_head:
        head = best.architecture.heads[0]
        yield f"the file has nothing of {head!r}: representations are what goes into it"
    counters = [name for name in best.architecture.shapes(best.variant) if name not in best.names]
    if counters:
        yield f"{len(counters)} counters of batch norms are not in the file; evaluation does not use them"
    attention = heads_of_attention(network)
    if attention:
        yield f"attention heads ({', '.join(map(str, attention))}) are those of {best.architecture.title}: weights do not tell them"
    unused = _groups([name for name in shapes if name not in set(best.names.values())], best.prefix, list(shapes))
    if unused:
        yield f"not used: {unused}"


def _stem(best: Fit) -> Iterator[str]:
    if not best.variant.small_stem:
        if not best.variant.max_pool:
            yield "no place for the first pooling among its names: the network is taken to have none"
        return
    why = "weights do not tell; solo-learn pads by 2" if best.variant.padding == 1 else "as solo-learn has it for this dataset"
    yield f"a 3x3 first convolution: taken to have stride 1, padding {best.variant.padding} and no pooling after it ({why})"


def _groups(unused: Sequence[str], prefix: str, names: Sequence[str]) -> str:
    """Unused weights by the part they belong to: what comes after the prefix, or the first word after all that names share."""
    shared = _shared(names)
    parts = Counter(
        f"{prefix[shared:]}{name[len(prefix) :].partition('.')[0]}" if name.startswith(prefix) else name[shared:].partition(".")[0]
        for name in unused
    )
    words = [f"{part} ({count})" for part, count in parts.most_common()]
    return some(words, most=_GROUPS)


def _shared(names: Sequence[str]) -> int:
    """How many letters of all names are the words, with their dots, that they begin with in common."""
    length = 0
    for words in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(words)) > 1:
            break
        length += len(words[0]) + 1
    return length


def misfit(title: str, best: Fit | None, shapes: Shapes) -> str:
    """Why the weights are not those of an architecture."""
    if best is None or not best.names:
        return f"holds no weights of {title}; it has {len(shapes)} tensors: {some(sorted(shapes))}"
    total = len(best.architecture.shapes(best.variant))
    parts = [f"{len(best.names)} of {total} weights match under {best.prefix!r}"]
    if best.missing:
        parts.append(f"{len(best.missing)} missing, the first {best.missing[0]!r}")
    if best.reshaped:
        name, found, needed = best.reshaped[0]
        parts.append(f"{len(best.reshaped)} of another shape, the first {name!r} {found} where {needed} is needed")
    if best.surplus:
        parts.append(f"{len(best.surplus)} too many, the first {best.surplus[0]!r}")
    return f"does not hold the weights of {title}; {', '.join(parts)}"
