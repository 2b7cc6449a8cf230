"""Watching an encoder: looks at it, what changed between them and whether that is real, warnings, what it all comes to."""

from cocoa_pl.monitor.monitor import Gather, Look, Monitor, Rows

__all__ = ["Gather", "Look", "Monitor", "Rows"]
