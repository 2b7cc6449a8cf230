"""How a score is shared out over pixels: one method a file."""

from cocoa_pl.attributions.captum_adapter import FromCaptum, forward_func
from cocoa_pl.attributions.controls import CentreBias, Edges, Random, SmoothRandom
from cocoa_pl.attributions.grad_cam import GradCam
from cocoa_pl.attributions.gradient_shap import GradientShap
from cocoa_pl.attributions.gradients import Gradient, GradientXInput
from cocoa_pl.attributions.integrated_gradients import IntegratedGradients, completeness_residual
from cocoa_pl.attributions.kernel_shap import KernelShap, kernel_shap_grid, kernel_shap_slic
from cocoa_pl.attributions.layer_integrated_gradients import LayerIntegratedGradients
from cocoa_pl.attributions.occlusion import Occlusion
from cocoa_pl.attributions.quantus_adapter import QuantusArrays, quantus_arrays
from cocoa_pl.attributions.rise import Rise
from cocoa_pl.attributions.rise_sums import RiseSums
from cocoa_pl.attributions.smoothgrad import SmoothGrad
from cocoa_pl.attributions.superpixels import Grid, Slic

__all__ = [
    "CentreBias",
    "Edges",
    "FromCaptum",
    "GradCam",
    "Gradient",
    "GradientShap",
    "GradientXInput",
    "Grid",
    "IntegratedGradients",
    "KernelShap",
    "LayerIntegratedGradients",
    "Occlusion",
    "QuantusArrays",
    "Random",
    "Rise",
    "RiseSums",
    "Slic",
    "SmoothGrad",
    "SmoothRandom",
    "completeness_residual",
    "forward_func",
    "kernel_shap_grid",
    "kernel_shap_slic",
    "quantus_arrays",
]
