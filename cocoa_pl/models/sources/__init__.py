"""Encoders that some other tool trained or saved, opened for explaining."""

from cocoa_pl.models.sources.opened import Opened
from cocoa_pl.models.sources.opening import open_foreign
from cocoa_pl.models.sources.readers import is_ours

__all__ = ["Opened", "is_ours", "open_foreign"]
