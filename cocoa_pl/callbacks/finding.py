"""Where in anybody's Lightning module the encoder is, and where in anybody's trainer the images are."""

from __future__ import annotations

import copy
import difflib
from collections.abc import Callable, Mapping
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn
from pytorch_lightning.utilities.combined_loader import CombinedLoader
from pytorch_lightning.utilities.model_helpers import is_overridden
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel

from cocoa_pl.data.loading import ImageDataModule
from cocoa_pl.errors import ConfigError

FindEncoder = Callable[[Any], Callable[[Tensor], Any]]
"""A Lightning module to what encodes in it: a module, or a function of images."""

_SHARDING = {"FSDPStrategy", "ModelParallelStrategy"}  # and DeepSpeed's in its third stage
_WRAPPERS = (DataParallel, DistributedDataParallel)


def find_encoder(module: Any, encoder: str | FindEncoder, *, device: torch.device) -> Callable[[Tensor], Any]:
    """What encodes in a Lightning module. A function of images belongs to a copy in evaluation mode, so that calling it leaves no trace.

    Args:
        module: the Lightning module.
        encoder: as in :func:`watch`.
        device: of the copy.

    Raises:
        ConfigError: the module has none.
    """
    find = encoder if callable(encoder) else lambda owner: _attribute(owner, encoder)
    found = find(module)
    if isinstance(found, nn.Module):
        return found
    if not callable(found):
        raise ConfigError(
            f"encoder={encoder!r}: is a {type(found).__name__} in {type(module).__name__}; must be a module or a function of images"
        )
    copied = bare(copy.deepcopy(module)).float().to(device).eval().requires_grad_(False)
    return find(copied)


def _attribute(owner: Any, path: str) -> Any:
    found = owner
    for part in path.split("."):
        found = getattr(found, part, None)
        if found is None:
            names = [name for name, _ in owner.named_modules() if name]
            near = difflib.get_close_matches(path, names, n=5) or [name for name, _ in owner.named_children()]
            raise ConfigError(f"encoder={path!r}: {type(owner).__name__} has no such module; nearest: {', '.join(near) or 'it has none'}")
    return found


def bare(module: Any) -> Any:
    """A module without what compiling and distributing put around it, in float32: itself, or a copy where something inside must go."""
    if not isinstance(module, nn.Module):
        return module
    module = _unwrapped(module)
    wrapped = any(_unwrapped(part) is not part for part in module.modules())
    halves = any(part.is_floating_point() and part.dtype != torch.float32 for part in module.parameters())
    return _unwrap_parts(copy.deepcopy(module).float()) if wrapped or halves else module


def _unwrap_parts(module: nn.Module) -> nn.Module:
    for name, part in list(module.named_children()):
        setattr(module, name, _unwrap_parts(_unwrapped(part)))
    return module


def _unwrapped(module: nn.Module) -> nn.Module:
    while isinstance(module, _WRAPPERS) or hasattr(module, "_orig_mod"):
        module = module.module if isinstance(module, _WRAPPERS) else module._orig_mod  # type: ignore[assignment]
    return module


def refuse_sharded(trainer: pl.Trainer) -> None:
    """See that every process of a trainer has the whole encoder.

    Raises:
        ConfigError: its strategy shares out the parameters.
    """
    strategy: Any = trainer.strategy
    kinds = {kind.__name__ for kind in type(strategy).__mro__}  # by name, for some are of packages that are not installed
    if kinds & _SHARDING or getattr(strategy, "zero_stage_3", False):
        raise ConfigError(
            f"strategy {type(strategy).__name__} shares out the encoder's parameters; every process explains with the whole encoder: "
            "take strategy='ddp'"
        )


def own_loaders(trainer: Any) -> tuple[Any, Any]:
    """The trainer's training and validation data, before it has asked for them itself; None where there is none.

    Those of a data module or of the Lightning module are the same in every stage; loaders given to a stage are that stage's.
    """
    fit = trainer.fit_loop
    loops = {TrainerFn.VALIDATING: trainer.validate_loop, TrainerFn.TESTING: trainer.test_loop, TrainerFn.PREDICTING: trainer.predict_loop}
    stage = loops.get(trainer.state.fn)
    if trainer.datamodule is not None:
        train, val = loaders_of(trainer.datamodule, trainer)
    else:
        given_to_stage = stage is not None and not stage._data_source.is_module()
        train, val = _ask(fit), None if given_to_stage else _ask(fit.epoch_loop.val_loop)
    return train, _ask(stage) if val is None and stage is not None else val


def _ask(loop: Any) -> Any:
    """The first loader of a loop. Where it comes from is private to Lightning, but public only once training begins."""
    source = loop._data_source
    if source.instance is None or not source.is_defined():
        return None
    try:
        return _first(source.dataloader())
    except AttributeError as error:
        error.add_note(f"watch() asks for {source.name}() before the Lightning module's setup(); images=... is the way round it")
        raise


def loaders_of(datamodule: pl.LightningDataModule, trainer: pl.Trainer) -> tuple[Any, Any]:
    """A data module's training and validation data, set up as for training."""
    if isinstance(datamodule, ImageDataModule):
        return datamodule.splits.train, datamodule.splits.val
    if datamodule is not trainer.datamodule:  # type: ignore[attr-defined]
        if trainer.is_global_zero:
            datamodule.prepare_data()
        trainer.strategy.barrier()
    if datamodule is not trainer.datamodule or trainer.state.fn != TrainerFn.FITTING:  # type: ignore[attr-defined]
        datamodule.setup("fit")
    train, val = (
        _first(getattr(datamodule, name)()) if is_overridden(name, datamodule) else None for name in ("train_dataloader", "val_dataloader")
    )
    return train, val


def _first(loaders: Any) -> Any:
    """The first loader of a collection; None of an empty one."""
    if isinstance(loaders, CombinedLoader):
        return _first(loaders.iterables)
    if isinstance(loaders, Mapping):
        return _first(list(loaders.values()))
    if isinstance(loaders, list | tuple):
        return _first(loaders[0]) if loaders else None
    return loaders
