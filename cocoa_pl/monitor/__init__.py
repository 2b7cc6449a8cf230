"""Watching an encoder: looks at it, what changed between them and whether that is real, warnings, what it all comes to."""

from cocoa_pl.monitor.alerts import Alert, Alerts
from cocoa_pl.monitor.budget import Budget, Stopwatch
from cocoa_pl.monitor.look import Look
from cocoa_pl.monitor.monitor import Monitor
from cocoa_pl.monitor.reading import Reading, read
from cocoa_pl.monitor.summary import RunHistory, summarise

__all__ = ["Alert", "Alerts", "Budget", "Look", "Monitor", "Reading", "RunHistory", "Stopwatch", "read", "summarise"]
