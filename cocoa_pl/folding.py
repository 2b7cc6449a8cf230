"""Batch norms folded into the convolutions before them: the same map, less work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise

import torch
import torch.fx
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_eval


def fold_batch_norm(module: nn.Module, *, keep: str | None = None) -> int:
    """Put every batch norm that alone reads a convolution's output into that convolution, in place.

    Pairs are found by tracing the forward pass (torch.fx); where a network cannot be traced, only pairs that stand side by side in an
    ``nn.Sequential`` are folded.

    Args:
        module: in evaluation mode.
        keep: a layer that stays as it is, because its own output is wanted.

    Returns:
        How many batch norms were folded.
    """
    parts = dict(module.named_modules(remove_duplicate=False))
    num = 0
    for conv_name, norm_name in _pairs(module):
        conv, norm = parts[conv_name], parts[norm_name]
        if keep in (conv_name, norm_name) or conv._forward_pre_hooks or conv._forward_hooks:  # weight norms of old live in hooks
            continue
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and norm.track_running_stats:
            after, fused = _after(norm), fuse_conv_bn_eval(conv, norm)
            if after is not None and (type(conv) is nn.Conv2d or _same(conv, norm, fused, after)):
                _put(module, conv_name, fused)
                _put(module, norm_name, after)
                num += 1
    return num


def _after(norm: nn.BatchNorm2d) -> nn.Module | None:
    """What remains of a batch norm without its normalisation; None for a kind whose forward pass is unknown."""
    kind = getattr(norm, "plain", type(norm))  # one that shares statistics between processes names what it is on its own
    if kind is nn.BatchNorm2d:
        return nn.Identity()
    if kind.__name__ == "BatchNormAct2d" and isinstance(norm.drop, nn.Module) and isinstance(norm.act, nn.Module):  # timm's
        return nn.Sequential(norm.drop, norm.act)
    return None


@torch.no_grad()
def _same(conv: nn.Conv2d, norm: nn.Module, fused: nn.Module, after: nn.Module) -> bool:
    """Whether a convolution of some library's own kind, which may do more to its weights, folds as a plain one does."""
    side = 2 * max(conv.kernel_size) * max(conv.dilation) + 1
    draw = torch.Generator().manual_seed(0)
    probe = torch.randn(2, conv.in_channels, side, side, generator=draw).to(conv.weight)
    return torch.allclose(after(fused(probe)), norm(conv(probe)), rtol=1e-3, atol=1e-3)


def _pairs(module: nn.Module) -> Iterator[tuple[str, str]]:
    """Names of convolutions and of the batch norms that are the only readers of their output."""
    try:
        nodes = list(_Tracer().trace(module).nodes)
    except Exception:  # whatever a forward pass may do with a proxy; folding is a matter of speed alone
        yield from _neighbours(module)
        return
    calls = Counter(node.target for node in nodes if node.op == "call_module")
    for node in nodes:
        if node.op == "call_module" and len(node.args) == 1 and isinstance(node.args[0], torch.fx.Node):
            conv = node.args[0]
            if conv.op == "call_module" and len(conv.users) == 1 and calls[node.target] == calls[conv.target] == 1:
                yield str(conv.target), str(node.target)


class _Tracer(torch.fx.Tracer):
    """Goes into everything but convolutions and batch norms of any library."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, (_BatchNorm, nn.Conv2d)) or super().is_leaf_module(m, module_qualified_name)


def _neighbours(module: nn.Module) -> Iterator[tuple[str, str]]:
    for name, block in module.named_modules():
        if type(block) is nn.Sequential:
            for (first, _), (second, _) in pairwise(list(block.named_children())):
                yield f"{name}.{first}".lstrip("."), f"{name}.{second}".lstrip(".")


def _put(module: nn.Module, name: str, part: nn.Module) -> None:
    parent, _, leaf = name.rpartition(".")
    setattr(module.get_submodule(parent), leaf, part)
