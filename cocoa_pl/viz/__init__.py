"""Attribution to picture: signed, zero at the centre of the colours, one scale for all that is compared."""

from cocoa_pl.viz.colour import overlay, robust_scale, signed_colours
from cocoa_pl.viz.panel import Panel
from cocoa_pl.viz.sheet import contact_sheet
from cocoa_pl.viz.strip import StripRow, film_strip

__all__ = ["Panel", "StripRow", "contact_sheet", "film_strip", "overlay", "robust_scale", "signed_colours"]
