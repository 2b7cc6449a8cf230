"""From a config to objects: no room below this one knows that options exist."""

from cocoa_pl.build.data import build_datamodule, build_explain_set, build_region, build_splits, build_views
from cocoa_pl.build.encoders import AskedEncoder, EncoderOptions, MadeReady, config_of_run, open_encoder
from cocoa_pl.build.explaining import (
    build_attribution,
    build_monitor,
    build_reference,
    build_removal,
    build_removal_of,
    freeze,
    load_encoder,
)
from cocoa_pl.build.methods import build_optim
from cocoa_pl.build.model import build_module, restore_module
from cocoa_pl.build.precision import device_type, native_precision, resolve_precision
from cocoa_pl.build.training import build_predictor, build_trainer

__all__ = [
    "AskedEncoder",
    "EncoderOptions",
    "MadeReady",
    "build_attribution",
    "build_datamodule",
    "build_explain_set",
    "build_module",
    "build_monitor",
    "build_optim",
    "build_predictor",
    "build_reference",
    "build_region",
    "build_removal",
    "build_removal_of",
    "build_splits",
    "build_trainer",
    "build_views",
    "config_of_run",
    "device_type",
    "freeze",
    "load_encoder",
    "native_precision",
    "open_encoder",
    "resolve_precision",
    "restore_module",
]
