"""Every option, in one typed schema: defaults < YAML file < ``key=value`` on the command line.

No torch here: a wrong option fails in a fraction of a second. The sentence under a field is its help text.
Nothing but ``build``, ``runs`` and ``cli`` imports this package.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cocoa_pl.config.data import AugmentConfig, DataConfig
from cocoa_pl.config.explaining import ExplainConfig
from cocoa_pl.config.training import CheckpointConfig, ModelConfig, OptimConfig, RunConfig, TrainerConfig
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import CAPTIONED


@dataclass
class Config:
    """All options of a run."""

    run: RunConfig = field(default_factory=RunConfig)
    data: DataConfig = field(default_factory=DataConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    trainer: TrainerConfig = field(default_factory=TrainerConfig)
    explain: ExplainConfig = field(default_factory=ExplainConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)

    def __post_init__(self) -> None:
        if self.model.method == "image_text" and self.data.name not in CAPTIONED:
            raise ConfigError(
                f"model.method=image_text: learns from captions, and data.name={self.data.name} has none; must be {' or '.join(CAPTIONED)}"
            )
