"""Which device is meant, and which precision it is fast in."""

from __future__ import annotations

import torch

from cocoa_pl.config import Config


def resolve_precision(config: Config) -> None:
    """Put what ``auto`` means on this machine into the config, in place: a run keeps its precision wherever it is resumed or explained."""
    for section in (config.trainer, config.explain):
        section.precision = native_precision(section.precision, device_type(config))


def device_type(config: Config) -> str:
    """``cuda`` where there is a GPU and the config does not ask for something else, else ``cpu``."""
    return "cuda" if torch.cuda.is_available() and config.trainer.accelerator in ("auto", "gpu") else "cpu"


def native_precision(asked: str, device: str) -> str:
    """``auto`` to ``bf16`` where a device, ``cpu`` or ``cuda``, computes bfloat16 natively, else ``32``."""
    if asked != "auto":
        return asked
    if device == "cuda":
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "32"
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "32"
