"""Pure functions that measure attributions and representations, and torchmetrics classes that keep their state across processes.

The functions are in ``METRICS`` by name; :func:`measure` calls those asked for, and
:class:`~cocoa_pl.metrics.attribution_quality.AttributionQuality` keeps what they return.
"""

from cocoa_pl.metrics.table import METRICS, Measure, measure

__all__ = ["METRICS", "Measure", "measure"]
