"""How a score is shared out over pixels: one method a file."""

from cocoa_pl.attributions.integrated_gradients import IntegratedGradients
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.attributions.rise_sums import RiseSums

__all__ = ["IntegratedGradients", "Rise", "RiseSums"]
