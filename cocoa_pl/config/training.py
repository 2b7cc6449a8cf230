"""Options of runs, model and training. The sentence under a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass

from cocoa_pl.config.checks import between, one_of
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import BACKBONES, METHODS, OPTIMIZERS, SCHEDULES


@dataclass
class RunConfig:
    """Where a run lives and what makes it repeatable."""

    name: str = "scenes"
    """Name of the run; its folder is <root>/<name>, or <name>-2, -3 ... where that exists."""
    root: str = "checkpoints"
    """Folder that holds the folders of all runs."""
    seed: int = 0
    """Every random decision (weights, order, views, explain set, masks) is a function of this number."""
    logger: str = "tensorboard"
    """Where the run is shown: tensorboard, wandb (Weights & Biases), csv: metrics.csv and PNGs alone, as the others write too, or none."""

    def __post_init__(self) -> None:
        if not self.name or "/" in self.name or self.name in {".", ".."}:
            raise ConfigError(f"run.name={self.name!r}: must be the name of one folder, without '/'")
        between("run.seed", self.seed, 0, 2**63 - 1)
        one_of("run.logger", self.logger, ("tensorboard", "wandb", "csv", "none"))


@dataclass
class ModelConfig:
    """The encoder, how it learns, and what its loss sees."""

    method: str = "simclr"
    """How it learns: simclr or simsiam, from two views of each image, image_text, from captions (CLIP's loss), supervised, from labels."""
    backbone: str = "small_resnet"
    """small_resnet (ours, for CPU), a torchvision ResNet (resnet18 ... resnet152), or timm:NAME."""
    width: int = 24
    """Channels of small_resnet's first stage; representations have eight times as many elements."""
    stem: str = "auto"
    """First layers of a torchvision ResNet: small is 3x3 without pooling, large the usual 7x7; auto: small up to 64 px."""
    hidden_dim: int | None = None
    """Width of the hidden layers of the projection head (simclr, simsiam); null takes the representation's."""
    projection_dim: int = 64
    """Length of the projection that the loss sees; of supervised it is the number of classes instead."""
    temperature: float = 0.2
    """Temperature of the loss of simclr and image_text; of image_text the first one, which learns."""
    text_width: int = 96
    """Width of the transformer that reads captions (image_text)."""
    text_layers: int = 2
    """Its blocks."""
    text_heads: int = 4
    """Its heads of attention."""
    compile: bool = False
    """Compile the backbone with torch.compile."""
    ema_decay: float | None = None
    """Keep an exponential moving average of the weights with this decay, and validate, explain and save it; null keeps none."""

    def __post_init__(self) -> None:
        one_of("model.method", self.method, METHODS)
        one_of("model.stem", self.stem, ("auto", "small", "large"))
        between("model.width", self.width, 8, 256)  # of fewer channels, oneDNN corrupts memory in the backward pass of channels-last layers
        between("model.hidden_dim", self.hidden_dim, 1, 65_536)
        between("model.projection_dim", self.projection_dim, 2, 65_536)
        between("model.temperature", self.temperature, 0, 10, open_low=True)
        between("model.text_width", self.text_width, 4, 4096)
        between("model.text_layers", self.text_layers, 1, 48)
        between("model.text_heads", self.text_heads, 1, 64)
        if self.text_width % self.text_heads:
            raise ConfigError(f"model.text_heads={self.text_heads}: must divide model.text_width={self.text_width}")
        between("model.ema_decay", self.ema_decay, 0, 0.99999)
        if not self.backbone.startswith("timm:"):
            one_of("model.backbone", self.backbone, (*BACKBONES, "timm:NAME"))


@dataclass
class OptimConfig:
    """How the weights move."""

    name: str = "adamw"
    """Optimiser: adamw, sgd or lars."""
    lr: float = 3e-3
    """Peak learning rate, for a batch of 256 where it is scaled."""
    scale_lr: str = "none"
    """Multiply lr by (images in an optimisation step / 256): linear, by its square root: sqrt, or not: none."""
    weight_decay: float = 1e-4
    """Weight decay; biases and norm layers have none."""
    schedule: str = "one_cycle"
    """Course of the learning rate: one_cycle, warmup_cosine or constant."""
    warmup_epochs: float = 2.0
    """Epochs of rising learning rate (one_cycle and warmup_cosine)."""
    clip_grad_norm: float | None = None
    """Largest norm of the gradient; null does not clip."""

    def __post_init__(self) -> None:
        one_of("optim.name", self.name, OPTIMIZERS)
        one_of("optim.schedule", self.schedule, SCHEDULES)
        one_of("optim.scale_lr", self.scale_lr, ("none", "linear", "sqrt"))
        between("optim.lr", self.lr, 0, open_low=True)
        between("optim.weight_decay", self.weight_decay, 0)
        between("optim.warmup_epochs", self.warmup_epochs, 0)
        between("optim.clip_grad_norm", self.clip_grad_norm, 0, open_low=True)


@dataclass
class TrainerConfig:
    """Epochs, machines and precision."""

    epochs: int = 16
    """Passes over the training images."""
    accelerator: str = "auto"
    """auto, cpu, gpu or mps."""
    devices: int = 0
    """Devices on each machine; 0 takes all GPUs, or one process on a CPU."""
    num_nodes: int = 1
    """Machines."""
    strategy: str = "auto"
    """auto or ddp: every process has the whole encoder, to explain its share with."""
    precision: str = "auto"
    """auto, 32, bf16, or 64: double, for checking; auto takes bf16 where the hardware computes it natively."""
    accumulate: int = 1
    """Batches whose gradients are added up before a step."""
    sync_batchnorm: bool = False
    """Share batch-norm statistics between devices."""
    stop_monitor: str | None = None
    """Stop when this metric, any logged one, explain/... included, has not improved for stop_patience looks; null trains all epochs."""
    stop_mode: str = "max"
    """Whether better is the max or the min of it."""
    stop_patience: int = 5
    """Looks without improvement before training stops."""
    progress_bar: bool = True
    """Show a progress bar."""

    def __post_init__(self) -> None:
        one_of("trainer.accelerator", self.accelerator, ("auto", "cpu", "gpu", "mps"))
        if self.strategy not in ("auto", "ddp"):
            raise ConfigError(
                f"trainer.strategy={self.strategy}: unknown; must be auto or ddp: every process explains by the whole encoder"
            )
        one_of("trainer.precision", self.precision, ("auto", "32", "bf16", "64"))
        if self.precision == "64" and self.accelerator == "mps":
            raise ConfigError("trainer.precision=64: mps has no double precision; take trainer.accelerator=cpu or gpu")
        one_of("trainer.stop_mode", self.stop_mode, ("max", "min"))
        between("trainer.stop_patience", self.stop_patience, 1)
        between("trainer.epochs", self.epochs, 1)
        between("trainer.devices", self.devices, 0)
        between("trainer.num_nodes", self.num_nodes, 1)
        between("trainer.accumulate", self.accumulate, 1)


@dataclass
class CheckpointConfig:
    """Which checkpoints are kept beside the last one."""

    monitor: str | None = "auto"
    """Metric that ranks checkpoints, explain/... included; auto: val/knn, of image_text val/recall_at_1; null keeps only the last."""
    mode: str = "max"
    """Whether the best is the max or the min of it."""
    top_k: int = 1
    """How many of the best are kept."""
    keep_every_n_epochs: int = 0
    """Keep a checkpoint of every so many epochs, for explain.py to look at the whole run afterwards; 0 keeps none of them."""
    every_n_minutes: float | None = 30
    """Write last.ckpt within an epoch too when so many minutes have passed since the last checkpoint; null: at ends of epochs alone."""

    def __post_init__(self) -> None:
        one_of("checkpoint.mode", self.mode, ("max", "min"))
        between("checkpoint.top_k", self.top_k, 0)
        between("checkpoint.keep_every_n_epochs", self.keep_every_n_epochs, 0)
        between("checkpoint.every_n_minutes", self.every_n_minutes, 0)
