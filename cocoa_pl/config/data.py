"""Options of the pictures and of their views. The sentence under a field is its help text."""

from __future__ import annotations

from dataclasses import dataclass, field

from cocoa_pl.config.checks import between, increasing, one_of
from cocoa_pl.errors import ConfigError
from cocoa_pl.registry import DATASETS


@dataclass
class ScenesConfig:
    """The embedded data set: real handwritten digits on cluttered backgrounds."""

    num_objects: int = 1
    """Digits in an image, 1 or 2 (left and right; the label is the left one's)."""
    background: float = 0.08
    """Strength of the background's low-frequency and pixel noise, 0 to 1."""
    shortcut: float | None = None
    """Draw a coloured patch that agrees with the class with this probability; null draws none."""

    def __post_init__(self) -> None:
        between("data.scenes.num_objects", self.num_objects, 1, 2)
        between("data.scenes.background", self.background, 0, 1)
        between("data.scenes.shortcut", self.shortcut, 0, 1)


@dataclass
class CaptionedConfig:
    """How captioned scenes look: several coloured digits in a picture."""

    num_objects: list[int] = field(default_factory=lambda: [1, 3])
    """Fewest and most digits in an image, [min, max], 1 to 4."""
    background: float = 0.1
    """Strength of the background's low-frequency and pixel noise, 0 to 1."""
    same_colour: float = 0.2
    """Share of the images whose digits have one colour, so that only their shapes tell them apart."""
    same_digit: float = 0.1
    """Share of the other images whose digits are the same, so that only their colours tell them apart."""

    def __post_init__(self) -> None:
        if len(self.num_objects) != 2 or not 1 <= self.num_objects[0] <= self.num_objects[1] <= 4:
            raise ConfigError(f"data.captioned.num_objects={self.num_objects}: must be [min, max] with 1 <= min <= max <= 4")
        for name in ("background", "same_colour", "same_digit"):
            between(f"data.captioned.{name}", getattr(self, name), 0, 1)


@dataclass
class DataConfig:
    """Which pictures, at which size, in which batches."""

    name: str = "scenes"
    """Data set: scenes, captioned_scenes, fashion_mnist, cifar10, cifar100, stl10 or image_folder."""
    root: str = "data"
    """Folder of the pictures (image_folder), or where torchvision keeps its data sets."""
    download: bool = False
    """Let torchvision download a data set that is not below data.root."""
    unlabeled: bool = False
    """Train on the unlabelled images too, where the data set has some (stl10: 100 000)."""
    image_size: int = 32
    """Side of the square images in pixels, for scenes, captioned_scenes and image_folder; other data sets have a size of their own."""
    num_train: int | None = None
    """Training images, drawn with the run's seed; null takes all there are (scenes: generates 9000, captioned_scenes 8000)."""
    num_val: int | None = None
    """Validation images, drawn with the run's seed; null takes all there are (both kinds of scenes: generates 1000)."""
    val_fraction: float = 0.1
    """Share split off for validation, by seed, where the data has no validation split."""
    on_bad_image: str = "error"
    """What a picture that cannot be read does: error stops and names it, skip warns and goes on without it."""
    batch_size: int = 128
    """Images in an optimisation step before accumulation, over all devices together."""
    num_bank: int = 6000
    """Training images that vote in the kNN accuracy and train the linear probe."""
    num_workers: int = 0
    """Loader processes for each device; data in memory needs none."""
    scenes: ScenesConfig = field(default_factory=ScenesConfig)
    captioned: CaptionedConfig = field(default_factory=CaptionedConfig)

    def __post_init__(self) -> None:
        one_of("data.name", self.name, DATASETS)
        one_of("data.on_bad_image", self.on_bad_image, ("error", "skip"))
        between("data.image_size", self.image_size, 16, 1024)
        between("data.num_train", self.num_train, 1)
        between("data.num_val", self.num_val, 1)
        between("data.val_fraction", self.val_fraction, 0, 0.9, open_low=True)
        between("data.batch_size", self.batch_size, 2)
        between("data.num_bank", self.num_bank, 1)
        between("data.num_workers", self.num_workers, 0)


@dataclass
class AugmentConfig:
    """The views of an image that training sees: two of it that SimCLR pulls together, or one beside its caption."""

    backend: str = "auto"
    """device makes views in batches where the model is, lightly uses its PIL transform in the loader; auto: device for data in memory."""
    crop_scale: list[float] = field(default_factory=lambda: [0.5, 1.0])
    """Area of the random crop as a share of the image, [min, max]."""
    flip: float = 0.0
    """Probability of a horizontal flip."""
    jitter: float = 0.8
    """Strength of the colour jitter: brightness, contrast, saturation .8 x and hue .2 x this."""
    jitter_prob: float = 0.8
    """Probability of the colour jitter."""
    grayscale: float = 0.5
    """Probability of dropping the colours."""
    blur: float = 0.0
    """Probability of a Gaussian blur."""

    def __post_init__(self) -> None:
        one_of("augment.backend", self.backend, ("auto", "device", "lightly"))
        increasing("augment.crop_scale", self.crop_scale, 0, 1)
        between("augment.jitter", self.jitter, 0, 1)
        for name in ("flip", "jitter_prob", "grayscale", "blur"):
            between(f"augment.{name}", getattr(self, name), 0, 1)
