"""What is written around a run's curves: the pages of charts, how to read them, and in the end the points, the options and the summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cocoa_pl.callbacks.boards import Board, Logged, flat_options, guide, plain_markdown
from cocoa_pl.encoding import FrozenEncoder
from cocoa_pl.monitor import Look, Monitor
from cocoa_pl.targets.statistics import hoeffding_error

_CONFIDENCE = 0.95
_FINAL = ("val/knn", "val/linear_probe", "val/effective_rank", "val/collapse_level", "train/loss_epoch")


def open_pages(boards: Sequence[Board], monitor: Monitor, look: Look, *, reference: bool) -> None:
    """Lay out the charts and write down how to read them."""
    given = monitor.explain_set
    logged = Logged(
        traces=monitor.traces, views=given.views, components=tuple(given.components), labelled=given.labels is not None,
        pairs=len(given.pairs) > 0, masks=given.masks is not None, patch=given.patches is not None, region=given.region is not None,
        reference=reference,
    )  # fmt: skip
    seen = [view for view, is_seen in zip(given.views, given.seen, strict=True) if is_seen]
    for board in boards:
        board.layout(logged)
        board.text("explain/how_to_read", guide(logged, seen=seen, facts=facts(monitor, look)), step=0)
        board.flush()


def close_pages(
    boards: Sequence[Board], monitor: Monitor, encoder: FrozenEncoder, summary: str, *, options: Mapping[str, object], epoch: int
) -> None:
    """The summary, the validation images as points, the options beside the final numbers."""
    if not boards:
        return
    given = monitor.explain_set
    reps = encoder.encode(given.gallery).cpu() if len(given.gallery) else None
    metrics = [*_FINAL, *(f"explain/{trace}/{name}" for trace in monitor.traces for name in ("gap", "drift_previous_corrected"))]
    for board in boards:
        board.text("explain/summary", plain_markdown(summary), step=epoch)
        if reps is not None:
            labels = ["unknown" if label < 0 else given.class_names[label] for label in given.gallery_labels.tolist()]
            board.embedding("validation", reps, thumbnails=given.gallery, labels=labels, step=epoch)
        if options:
            board.hparams(flat_options(options), metrics)
        board.flush()


def facts(monitor: Monitor, look: Look) -> list[str]:
    """What the run has to say about its own precision, a sentence each."""
    given = monitor.explain_set
    low = 0 if bool(look.rows["health"][2]) else -1
    error = hoeffding_error(len(given.foil), 1 - _CONFIDENCE, low, 1)
    said = [
        f"Foil: {len(given.foil)} random training images stand for a typical image. With {_CONFIDENCE:.0%} confidence the similarity "
        f"to them errs by {error:.3f} at most (Hoeffding's inequality, cosines from {low} to 1); what that does to maps is measured and "
        "is part of their noise."
    ]
    if len(given.corpora):
        said.append(f"Corpus of a class: {given.corpora.shape[1]} training images. A random draw as well, and so part of the noise.")
    if monitor.texts:
        said.append(
            f"Texts: {len(given.text_foil)} of the data's {len(given.text_foil) + len(given.measure_text_foil)} phrases are the foil of "
            f"each image's own phrase, such as “{given.phrases[0]}”; the others measure. Which are which is a random draw, and so part of "
            "the noise."
        )
    for trace in monitor.traces:
        method = trace.partition("-")[0]
        num = look.num_samples.get(method)
        how = f", {num} masks or samples" if num else ""
        said.append(f"`{trace}`{how}: reliability of the untrained encoder's maps {float(look.reliability(trace).mean()):.2f}.")
    return said
