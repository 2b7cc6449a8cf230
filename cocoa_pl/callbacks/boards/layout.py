"""The pages of charts: which scalars are drawn together, and what each chart means.

Plain data. A board turns it into its own format, and the guide prints the same words, so that no chart is without an explanation.
TensorBoard draws every line of a run in one colour, with another symbol; so a chart has five lines at most where there are two methods.
A *trace* is a method with a target: ``rise`` explains the likeness to the original image, ``rise-class`` that to the class,
``rise-text`` that to a text that names the object.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from cocoa_pl.monitor.look import suffix_of
from cocoa_pl.report.figures import trace_title

MOVING_VIEWS = ("flip", "crop", "crop_flip", "rotate90")
"""Views that move pixels, whose maps must move along."""
UNCHARTED = {
    "score/<view>": "mean score of the explicands under a view; near that of `original`: the encoder does not mind the view",
    "insertion_auc": "mean score while pixels are added, highest attribution first; smooth maps do well anyhow, so trust the gap",
    "deletion_auc": "mean score while pixels are removed; breaking a picture lowers it too, so trust the gap",
    "drift_start": "change since the untrained encoder, noise left in; `drift_start_flagged`: share of maps that really changed; "
    "`drift_reference`, where there is one, likewise",
    "noise_floor": "the drift that another draw of masks, foil and corpus would make: 1 - reliability",
    "gap_over_random_low": "lower 95 % end of how far the gap beats that of a smooth random map; above 0: it does",
    "view_agreement/<view>": "agreement of maps under every single view, those that move pixels too",
}
"""Scalars of a trace that no chart draws, in words; the Scalars page has them."""
_OPEN = ("Learning", "Explanations")


@dataclass(frozen=True)
class Logged:
    """What a run logs, as far as its pages depend on it.

    Args:
        traces: methods, and where classes and texts are explained the same with the suffix "-class" and "-text"; empty where nothing is.
        views: names of the views of each explicand, the original first.
        components: names of what is taken away from pictures: colour, texture, shape.
        labelled: there are labels.
        pairs: there are pictures of two objects.
        masks: there are object masks.
        patch: a shortcut is planted.
        region: the user has named a region.
        reference: there is a checkpoint to compare with.
    """

    traces: Sequence[str]
    views: Sequence[str]
    components: Sequence[str] = ()
    labelled: bool = False
    pairs: bool = False
    masks: bool = False
    patch: bool = False
    region: bool = False
    reference: bool = False

    @property
    def to_original(self) -> list[str]:
        """Traces towards the original image, one for each method and of the method's name."""
        return [trace for trace in self.traces if "-" not in trace]

    @property
    def to_class(self) -> list[str]:
        """Traces towards the class."""
        return [trace for trace in self.traces if trace.endswith("-class")]

    @property
    def to_text(self) -> list[str]:
        """Traces towards the picture's text."""
        return [trace for trace in self.traces if trace.endswith("-text")]


@dataclass(frozen=True)
class Chart:
    """Scalars that are drawn together.

    Attributes:
        title: names the chart, once on its page; up to 45 characters stand in one line above it.
        shows: what the curves are, in a sentence.
        reading: how to read them.
        lines: tags drawn as lines.
        bands: tags drawn as lines, each with the tags of the lower and the upper end of its interval.
    """

    title: str
    shows: str
    reading: str
    lines: Sequence[str] = ()
    bands: Sequence[tuple[str, str, str]] = ()

    @property
    def tags(self) -> set[str]:
        """Every tag that the chart draws."""
        return {*self.lines, *chain.from_iterable(self.bands)}


@dataclass(frozen=True)
class Page:
    """Charts under one heading, those with bands last, as TensorBoard draws them in this order whatever it is told.

    Attributes:
        title: the heading.
        charts: a few.
        closed: only the heading shows until one clicks on it.
    """

    title: str
    charts: Sequence[Chart]
    closed: bool


def pages(logged: Logged) -> list[Page]:
    """The pages of a run, in the order in which they are read; charts and pages with nothing to show are left out.

    Example:
        >>> [page.title for page in pages(Logged(traces=[], views=[]))]
        ['Learning']
        >>> [chart.title for chart in pages(Logged(["rise"], ["original"]))[1].charts][:2]
        ['Score of the originals', 'Reliability']
    """
    drawn = {"Learning": _learning(logged)}
    if logged.traces:
        drawn |= {
            "Explanations": _explanations(logged),
            "Drift": _drift(logged),
            "Augmentations": _augmentations(logged),
            "Localisation": _localisation(logged),
            "Cost": _cost(),
        }
    kept = {title: [chart for chart in charts if chart.tags] for title, charts in drawn.items()}
    return [Page(title, charts, closed=title not in _OPEN) for title, charts in kept.items() if charts]


def method_title(trace: str) -> str:
    """A trace's method in words.

    Example:
        >>> method_title("integrated_gradients-class")
        'Integrated gradients'
    """
    return trace_title(trace).partition(" towards ")[0]


def _by_target(logged: Logged) -> list[tuple[str, list[str]]]:
    """The targets that the run has, in words, and the traces towards each."""
    all_targets = (("the original", logged.to_original), ("the class", logged.to_class), ("its text", logged.to_text))
    return [(target, traces) for target, traces in all_targets if traces]


def _of(traces: Iterable[str], *names: str) -> list[str]:
    return [f"explain/{trace}/{name}" for name in names for trace in traces]


def _bands(traces: Iterable[str], name: str) -> list[tuple[str, str, str]]:
    tags = _of(traces, name)
    return [(tag, f"{tag}_low", f"{tag}_high") for tag in tags]


def _of_captions() -> list[str]:
    return [f"val/recall_at_{k}{suffix}" for suffix in ("", "_of_images") for k in (1, 5)]


def _learning(logged: Logged) -> list[Chart]:
    explained = bool(logged.traces)
    return [
        Chart(
            "Loss",
            "mean of an epoch: how hard it is to find a picture's other view (NT-Xent), or its caption (InfoNCE), among the batch",
            "falls; compare only runs of the same batch size and temperature",
            lines=["train/loss_epoch"],
        ),
        Chart(
            "Accuracy",
            "how well labels are told by the nearest training images, and by a linear classifier, from frozen representations; "
            "`raw_pixel_knn` votes with pixels instead",
            "higher is better; an encoder below `raw_pixel_knn` is worth less than no encoder",
            lines=["val/knn", "val/linear_probe", "val/raw_pixel_knn"] if logged.labelled else [],
        ),
        Chart(
            "Captions found",
            "share of validation pictures that have their caption among the 1 or 5 most similar, and of captions that have their picture",
            "higher is better; an encoder that finds few knows too little of the words for maps towards texts",
            lines=_of_captions() if logged.to_text else [],
        ),
        Chart(
            "Alignment and uniformity",
            "alignment: squared distance between two training views of a picture; uniformity: how evenly pictures fill the sphere",
            "both fall in a good run; alignment 0 with uniformity 0 means that everything looks the same to the encoder",
            lines=["val/alignment", "val/uniformity"],
        ),
        Chart(
            "Collapse level",
            "0: representations spread over the sphere, 1: all in one direction",
            "low is good; near 1 the maps of this run mean nothing",
            lines=["val/collapse_level", *(["explain/collapse_level"] if explained else [])],
        ),
        Chart(
            "Effective rank",
            "how many directions the representations really use; `explain/` has fewer pictures and so a lower ceiling",
            "rises and levels off; a fall is the start of a collapse",
            lines=["val/effective_rank", *(["explain/effective_rank"] if explained else [])],
        ),
        Chart("Learning rate", "its course; the axis counts optimisation steps, not epochs", "explains jumps elsewhere", ["train/lr"]),
    ]


def _explanations(logged: Logged) -> list[Chart]:
    first = [traces[0] for _, traces in _by_target(logged)]
    return [
        Chart(
            "Score of the originals",
            "mean score of the explicands themselves: what there is to explain, the same for every method",
            "a map of a score near 0 explains nothing",
            lines=_of(first, "score/original"),
        ),
        Chart(
            "Reliability",
            "correlation to expect between a map and the same with other masks or draws",
            "1: repeats exactly; below .8 raise the number of masks before reading single maps",
            lines=_of(logged.traces, "reliability"),
        ),
        Chart(
            "Attribution on the border",
            "share of the absolute attribution on the picture's border; `border_area` is the border's share of the picture",
            "well above `border_area`: the encoder uses padding, or how pictures are cut",
            lines=["explain/border_area", *_of(logged.traces, "border_share")],
        ),
        *(
            Chart(
                f"Colour, texture, shape towards {target}",
                "how much of the score rests on each, found by taking it away",
                "what the encoder recognises pictures by; texture above shape is common and worth knowing",
                lines=[f"explain/components{suffix_of(traces[0])}/{name}" for name in logged.components],
            )
            for target, traces in _by_target(logged)
        ),
        *(
            Chart(
                f"Gap towards {target}",
                "insertion minus deletion: what the map's ranking of pixels is worth; `gap_random` is the gap of a smooth random map",
                "higher is better; a band that reaches down to `gap_random` says no more than chance",
                lines=_of(traces[:1], "gap_random"),
                bands=_bands(traces, "gap"),
            )
            for target, traces in _by_target(logged)
        ),
    ]


def _drift(logged: Logged) -> list[Chart]:
    traces = logged.traces
    return [
        Chart(
            "Since the look before, less noise",
            "1 - rank correlation of each map with that of the look before, less what noise adds",
            "falls as training settles, 0: no change beyond noise; a jump says that the encoder now looks elsewhere",
            lines=_of(traces, "drift_previous_corrected"),
        ),
        Chart(
            "Since the untrained encoder, less noise",
            "the same against the map of epoch 0",
            "rises early and levels off; still rising at the end: training is not done with what it looks at",
            lines=_of(traces, "drift_start_corrected"),
        ),
        Chart(
            "Maps that really changed",
            "share of maps whose change since the look before is larger than noise explains",
            "near 0: what looks like drift is noise",
            lines=_of(traces, "drift_previous_flagged"),
        ),
        Chart(
            "Changed look at an unchanged score",
            "the change of those explicands whose score hardly changed",
            "high: the same answer for other reasons, which no score would show",
            lines=_of(traces, "drift_gated"),
        ),
        *(
            Chart(
                f"Encoder or direction, towards {target}",
                "`drift_encoder`: the direction from foil to corpus held, `drift_direction`: the encoder held",
                "the larger one is the cause; direction alone: the encoder sees the same, but it is compared with something else",
                lines=_of(some, "drift_encoder", "drift_direction"),
            )
            for target, some in _by_target(logged)
        ),
        Chart(
            "Distance to the reference",
            "change against the maps of the reference checkpoint, noise taken out",
            "falls where training comes to look as the reference does",
            lines=_of(traces, "drift_reference_corrected") if logged.reference else [],
        ),
        *(
            Chart(
                f"Since the look before, towards {target}",
                "the change with its interval over explicands; `drift_previous_noise` is what its noise makes by itself",
                "a band that reaches down to the noise says little; `drift_previous_flagged` judges each map",
                lines=_of(some, "drift_previous_noise"),
                bands=_bands(some, "drift_previous"),
            )
            for target, some in _by_target(logged)
        ),
    ]


def _augmentations(logged: Logged) -> list[Chart]:
    traces, views = logged.to_original, logged.views[1:]
    moving = [view for view in views if view in MOVING_VIEWS]
    painting = [view for view in views if view not in MOVING_VIEWS]
    if not views:
        return []
    return [
        *(
            Chart(
                f"Representation under {kind}",
                "1 - cosine between the representations of a view and of its original",
                "low: the encoder does not mind the view; compare views that training makes with those that it never made",
                lines=[f"explain/moved/{view}" for view in some],
            )
            for kind, some in (("moved pixels", moving), ("changed pixels", painting))
        ),
        Chart(
            "Same look, views seen and held out",
            "agreement of a view's map, brought back into the picture's frame, with the original's map",
            "`held_out` well below `seen`: the look is learned by heart for the training views",
            lines=_of(traces, "view_agreement/seen", "view_agreement/held_out"),
        ),
        Chart(
            "Change of the map per representation's",
            "how much more the map changes than the representation, views seen and held out",
            "high: to the encoder the view is the same, yet for other pixels",
            lines=_of(traces, "change_ratio/seen", "change_ratio/held_out"),
        ),
        *(
            Chart(
                f"Does the map move along? {method_title(trace)}",
                "equivariance to views that move pixels: the moved map against the map of the moved picture",
                "1: the map is tied to the object, 0: to the place",
                lines=_of([trace], *(f"equivariance/{view}" for view in moving)),
            )
            for trace in traces
        ),
        *(
            Chart(
                f"Does the map stay? {method_title(trace)}",
                "agreement of the maps of a view and of its original, views that change pixels where they are",
                "1: the encoder looks at the same spot; which view breaks it?",
                lines=_of([trace], *(f"view_agreement/{view}" for view in painting)),
            )
            for trace in traces
        ),
    ]


def _localisation(logged: Logged) -> list[Chart]:
    traces = logged.traces
    return [
        Chart(
            "Pointing game",
            "share of explicands whose highest attribution lies on the object",
            "chance is the object's share of the picture",
            lines=_of(traces, "pointing_game") if logged.masks else [],
        ),
        Chart(
            "Attribution on the object",
            "share of the positive attribution that lies on the object",
            "chance is the object's share of the picture",
            lines=_of(traces, "energy_inside") if logged.masks else [],
        ),
        Chart(
            "Object against background",
            "can the attribution tell object pixels from others (area under the ROC curve)?",
            ".5 is chance, 1 is perfect",
            lines=_of(traces, "mask_auroc") if logged.masks else [],
        ),
        Chart(
            "Boxes on the object",
            "CorLoc: share of the original pictures whose map's box overlaps the object's by more than half (intersection over union)",
            "higher is better; compare with the untrained encoder",
            lines=_of(traces, "corloc") if logged.masks else [],
        ),
        Chart(
            "Does the map depend on the text?",
            "rank correlation of the map towards a picture's text with that towards a text of something absent; originals",
            "low is good; above .8 the map shows the picture, whatever was asked",
            lines=_of(logged.to_text, "absent_agreement"),
        ),
        Chart(
            "Attribution on the shortcut",
            "share of the positive attribution on the planted patch",
            "rising: the encoder falls for it",
            lines=_of(traces, "energy_on_patch") if logged.patch else [],
        ),
        Chart(
            "Attribution on your region",
            "share of the positive attribution on the region that you have named; `region_area` is the region's share of the picture",
            "near `region_area`: the region is nothing special",
            lines=["explain/region_area", *_of(traces, "energy_on_region")] if logged.region else [],
        ),
        Chart(
            "Two objects side by side",
            "pictures of two classes next to each other: does the map towards each class lie on its half?",
            ".5 is chance, 1 is perfect",
            lines=_of(logged.to_original, "two_object_accuracy") if logged.pairs else [],
        ),
    ]


def _cost() -> list[Chart]:
    return [
        Chart("Seconds of a look", "time spent on explaining, after each epoch", "depends on the machine", ["explain/seconds"]),
        Chart(
            "Share of the epoch",
            "a look's share of the time of its epoch, and the budget that masks are cut to",
            "too much? raise `explain.every_n_epochs`, lower `explain.num_explicands` or the number of views",
            lines=["explain/share_of_epoch", "explain/budget_share"],
        ),
        Chart(
            "Images encoded, masks drawn",
            "the cost in images, over all processes, and the masks that the budget allowed",
            "fewer masks: noisier maps of RISE, see reliability",
            lines=["explain/num_forwards", "explain/num_masks"],
        ),
    ]
