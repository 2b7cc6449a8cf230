"""The augmentation study as one page: what each view looks like, what it is taken for, and what makes it the same picture still.

The page asks for nothing from outside, runs no scripts and is laid out like ``report.html``, whose style it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from string import Template

import numpy as np

from cocoa_pl.report.figures import to_bytes
from cocoa_pl.report.page.markup import number, table, text
from cocoa_pl.report.page.tiles import colour_stops, levels, map_file, picture_files, side_for
from cocoa_pl.study.views import ViewsStudy
from cocoa_pl.study.views_tables import facts, fixed, short_lines, view_words
from cocoa_pl.study.writing import words_of
from cocoa_pl.viz import robust_scale

LESS, MORE = "less like the picture", "more like the picture"
"""What the ends of the colours mean."""
_ROOM = 132  # pixels that a tile may be wide, so that eight stand side by side

LEAD = "What does an encoder look at when the picture changes, and does it still see the same?"
READING = (
    "Every view is explained towards its own picture as it was, against random training pictures. Red parts make the view more like the "
    "picture, blue ones less. Under a view: the class that a linear head on the representation names, its probability, and how far the "
    "representation moved (1\u00a0\u2212\u00a0cosine). Under a map: its rank correlation with the picture's own map, after the view's "
    "motion is undone, on the pixels that both show; 1 is the same order of pixels, 0 no relation."
)
CHANGED = "Marked: the head names another class than for the original; under an original, the true class where the head names another."

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="cocoa_pl">
<title>Augmentation study</title>
<link rel="icon" href="data:,">
<style>
$style
.sheet { border: 0; font-size: .8rem; line-height: 1.35; }
.sheet th, .sheet td { padding: 0 .5rem .5rem 0; }
.sheet thead th { padding-bottom: .3rem; border: 0; }
.sheet tbody + tbody > tr:first-child > * { padding-top: .9rem; border-top: 1px solid var(--rule); }
.sheet tbody th { position: sticky; left: 0; z-index: 1; min-width: 6.8rem; max-width: 6.8rem; background: var(--paper); font-weight: 600; }
.sheet .stack, .sheet td > img { display: block; width: var(--tile); border-radius: 2px; }
.sheet .map { cursor: auto; }
.sheet p { width: var(--tile); margin: .15rem 0 0; }
.sheet .flag { display: inline-block; white-space: normal; }
.sheet span { color: var(--muted); font-weight: 400; }
#summary td { white-space: nowrap; }
#summary th, #summary td { padding-right: 1rem; }
.encoder .legends { margin: .75rem 0 0; }
.encoder h2 { margin-top: 3.5rem; padding-top: 1rem; border-top: 1.5px solid var(--ink); font-size: 1.4rem; }
.encoder h3 { margin: 2rem 0 .6rem; font-size: 1.05rem; }
.encoder h3 span { color: var(--muted); font-weight: 400; }
@media print { .sheet tbody { break-inside: avoid; } .encoder { break-before: page; } }
</style>
</head>
<body>
<header>
<nav aria-label="Sections">$links</nav>
<h1>Augmentation study</h1>
<p class="lead">$lead</p>
<p>$reading</p>
<p>$changed</p>
</header>
<main>
<section id="summary">
<h2>Means over the pictures</h2>
$summary
<p class="note">With \u00b1 half the width of a 95 % interval (Student's). Agreement is of maps; their drift is 1 \u2212 agreement.</p>
</section>
$encoders
</main>
</body>
</html>
""")


def views_html(studies: Sequence[ViewsStudy], *, max_pictures: int = 4) -> str:
    """One page for all encoders: their numbers side by side, then for each and for each class a grid of pictures and maps.

    All maps of a method and an encoder have one colour scale, whatever class they are shown with.

    Args:
        studies: at least one, of the same views.
        max_pictures: the first so many of each class are shown; numbers are of all.

    Raises:
        ValueError: no study, studies of different views, or no picture to show.
    """
    check(studies, max_pictures=max_pictures)
    num_maps = sum(len(study.views) * len(shown(study, label, max_pictures)) * len(study.methods) for study, label in _sections(studies))
    side = side_for(num_maps)
    style = (files("cocoa_pl.report.page") / "style.css").read_text(encoding="utf-8")
    return _PAGE.substitute(
        style=Template(style).substitute(stops=colour_stops()),
        links='<a href="#summary">Numbers</a>' + "".join(f'<a href="#e{e}">{text(study.title)}</a>' for e, study in enumerate(studies)),
        lead=text(LEAD),
        reading=text(READING),
        changed=text(CHANGED),
        summary=_summary(studies),
        encoders="\n".join(_encoder(study, e, side=side, max_pictures=max_pictures) for e, study in enumerate(studies)),
    )


def check(studies: Sequence[ViewsStudy], *, max_pictures: int) -> None:
    """Refuse what cannot be shown together.

    Raises:
        ValueError: as :func:`views_html`.
    """
    if not studies or max_pictures < 1:
        raise ValueError(f"{len(studies)} studies with {max_pictures} pictures a class: at least one of each is needed")
    if len({study.views for study in studies}) > 1:
        raise ValueError("studies of different views cannot stand in one table")


def shown(study: ViewsStudy, label: int, max_pictures: int) -> list[int]:
    """Positions of the pictures of a class that are shown: the first ones."""
    return [n for n, own in enumerate(study.labels.tolist()) if own == label][:max_pictures]


def scales(study: ViewsStudy) -> dict[str, float]:
    """Method to the attribution that gets the full colour in all of its maps."""
    return {method: robust_scale(maps.numpy()) for method, maps in study.maps.items()}


def shown_of(study: ViewsStudy, label: int, max_pictures: int) -> str:
    """How many of a class' pictures are shown; empty where all are."""
    total, here = int((study.labels == label).sum()), len(shown(study, label, max_pictures))
    return f"{here} of {total} pictures" if here < total else ""


def _sections(studies: Sequence[ViewsStudy]) -> Iterator[tuple[ViewsStudy, int]]:
    return ((study, label) for study in studies for label in study.classes)


def _summary(studies: Sequence[ViewsStudy]) -> str:
    rows, last = [], ""
    for line in short_lines(studies):
        kind, said = (' class="first"', text(line.quantity)) if line.quantity != last else ("", "")
        cells = "".join(f'<td class="num">{text(cell)}</td>' for cell in line.cells)
        rows.append(f"<tr{kind}><td>{said}</td><td>{text(line.encoder)}</td>{cells}</tr>")
        last = line.quantity
    header = ["<th>quantity</th><th>encoder</th>", *(f'<th class="num">{text(view_words(view))}</th>' for view in studies[0].views[1:])]
    return table(header, rows, name="Means over the pictures")


def _encoder(study: ViewsStudy, e: int, *, side: int, max_pictures: int) -> str:
    of_method = scales(study)
    links = " \u00b7 ".join(f'<a href="#e{e}c{label}">{text(study.class_names[label])}</a>' for label in study.classes)
    classes = "\n".join(_class(study, e, label, of_method, side=side, max_pictures=max_pictures) for label in study.classes)
    made = "; ".join(study.settings.values())
    legends = "".join(_legend(method, scale) for method, scale in of_method.items())
    return (
        f'<section class="encoder" id="e{e}">\n<h2>{text(study.title)}</h2>\n<p>{text(facts(study))}</p>\n'
        f'<p class="note">{text(made)}</p>\n<p>{links}</p>\n<div class="legends">{legends}</div>\n'
        f"{classes}\n</section>"
    )


def _legend(method: str, scale: float) -> str:
    ends = (number(-scale), "0", number(scale, signed=True)) if scale > 0 else ("", "every attribution is 0", "")
    return (
        f'<div class="legend"><p class="what">{text(words_of(method))}</p><div class="bar{"" if scale > 0 else " none"}"></div>'
        f'<div class="ends">{"".join(f"<span>{end}</span>" for end in ends)}</div>'
        f'<div class="ends words"><span>{LESS}</span><span>{MORE}</span></div></div>'
    )


def _class(study: ViewsStudy, e: int, label: int, of_method: dict[str, float], *, side: int, max_pictures: int) -> str:
    width = study.images.shape[-1]
    tile = width * (_ROOM // width) if width <= _ROOM else _ROOM  # whole multiples: every pixel is a square of the same size
    heads = "".join(f'<th scope="col">{text(view_words(view))}</th>' for view in study.views)
    bodies = "\n".join(_picture(study, n, of_method, side=side) for n in shown(study, label, max_pictures))
    name, note = text(study.class_names[label]), shown_of(study, label, max_pictures)
    kind = ' class="pixels"' if width <= side else ""
    return (
        f'<h3 id="e{e}c{label}">{name}{f" <span>{note}</span>" if note else ""}</h3>\n'
        f'<div class="wide" role="region" aria-label="{text(study.title)}: {name}" tabindex="0"><div{kind} style="--tile:{tile}px">'
        f'<table class="sheet"><thead><tr><td></td>{heads}</tr></thead>\n{bodies}\n</table></div></div>'
    )


def _picture(study: ViewsStudy, n: int, of_method: dict[str, float], *, side: int) -> str:
    """The rows of one picture: its views with what they are taken for, then a row for the maps of each method."""
    images = to_bytes(study.images[:, n].float() / 255)
    pictures, greys = zip(*(picture_files(np.ascontiguousarray(image), side=side) for image in images), strict=True)
    under = ";".join(f"--u{v}:url({grey})" for v, grey in enumerate(greys))
    first = "".join(
        f'<td><img src="{picture}" alt="{text(view_words(view))}">{_said(study, v, n)}</td>'
        for v, (view, picture) in enumerate(zip(study.views, pictures, strict=True))
    )
    rows = [f'<tr><th scope="row">{text(f"picture {int(study.ids[n])}")}</th>{first}</tr>']
    for method, scale in of_method.items():
        words, cells = text(words_of(method)), []
        for v, view in enumerate(study.views):
            drawn = map_file(levels(study.maps[method][v, n].numpy(), scale=scale, side=side))
            image = f'<img class="map" src="{drawn}" alt="{words}, {text(view_words(view))}">'
            said = fixed(study.agreement[method][v, n])
            cells.append(f'<td><div class="stack" style="--under:var(--u{v})">{image}</div><p>{said}</p></td>')
        rows.append(f'<tr><th scope="row">{words}</th>{"".join(cells)}</tr>')
    return f'<tbody style="{under}">{"".join(rows)}</tbody>'


def _said(study: ViewsStudy, v: int, n: int) -> str:
    """What a view is taken for, and how far its representation moved; of an original that is mistaken, its true class."""
    name = f"{text(study.class_names[int(study.predicted[v, n])])} {fixed(study.probability[v, n])}"
    said = f'<em class="flag">{name}</em>' if bool(study.changed[v, n]) else name
    more = f"<span>moved {fixed(study.moved[v, n])}</span>" if v else ""
    if not v and bool(study.mistaken[n]):
        more = f'<em class="flag">true: {text(study.class_names[int(study.labels[n])])}</em>'
    return f"<p>{said}{f'<br>{more}' if more else ''}</p>"
