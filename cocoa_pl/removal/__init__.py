"""What absence looks like: explicands to a baseline, in pixel space."""

from cocoa_pl.removal.blur import Blur
from cocoa_pl.removal.components import Cartoon, Grayscale, ShuffledPatches
from cocoa_pl.removal.constant import Black, ChannelMean
from cocoa_pl.removal.inpaint import Inpaint, InpaintFill
from cocoa_pl.removal.noise import Noise
from cocoa_pl.removal.random_image import RandomImage

__all__ = ["Black", "Blur", "Cartoon", "ChannelMean", "Grayscale", "Inpaint", "InpaintFill", "Noise", "RandomImage", "ShuffledPatches"]
