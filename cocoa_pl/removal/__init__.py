"""What absence looks like: explicands to a baseline, in pixel space."""

from cocoa_pl.removal.blur import Blur
from cocoa_pl.removal.constant import Black, ChannelMean

__all__ = ["Black", "Blur", "ChannelMean"]
