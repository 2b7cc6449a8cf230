"""Which precision the hardware is fast in."""

from __future__ import annotations

import torch

from cocoa_pl.config import Config


def resolve_precision(config: Config) -> None:
    """Put what ``auto`` means on this machine into the config, in place: a run keeps its precision wherever it is resumed or explained."""
    device = "cuda" if torch.cuda.is_available() and config.trainer.accelerator not in ("cpu", "mps") else "cpu"
    for section in (config.trainer, config.explain):
        section.precision = native_precision(section.precision, device)


def native_precision(asked: str, device: str) -> str:
    """``auto`` to ``bf16`` where a device, ``cpu`` or ``cuda``, computes bfloat16 natively, else ``32``."""
    if asked != "auto":
        return asked
    if device == "cuda":
        return "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "32"
    features = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return "bf16" if features.get("avx512_bf16") or features.get("amx_bf16") else "32"
