"""Training views made on the device, a whole batch at a time, each picture with parameters of its own.

The parameters are a function of (seed, epoch, image id, view) and of nothing else: the view of a picture is the same whatever batch it is
in, on one process or on eight, and after a resume. The chain is SimCLR's (Chen et al., 2020): random resized crop, flip, colour
jitter, grayscale, blur.

Shape legend: B pictures, H x W pixels before and S x S after.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cocoa_pl.augmentations import colour
from cocoa_pl.errors import ConfigError
from cocoa_pl.rng import counter_uniform

_BLUR_REACH = 3.0  # standard deviations after which the Gaussian is cut
_VIEW_CROP_LARGEST = 0.5  # the held-out crop shows at most half of the picture
_NEVER_MADE = frozenset({"erase", "rotate90"})


@dataclass(frozen=True)
class DeviceViews:
    """Options of the training views, and the callable that makes them.

    Attributes:
        size: side S of a view, in pixels. Views are sampled bilinearly without antialiasing, so S should not be much below the side of
            the pictures.
        crop_scale: smallest and largest area of the crop, as a share of the picture.
        crop_ratio: smallest and largest width / height of the crop.
        flip: probability of a horizontal flip.
        jitter: strength that multiplies the four ranges below; 0 turns the jitter off.
        jitter_prob: probability of a colour jitter.
        brightness, contrast, saturation, hue: ranges at strength 1, as in torchvision's ``ColorJitter``.
        grayscale: probability of grayscale.
        blur: probability of a Gaussian blur.
        blur_sigma: smallest and largest standard deviation, in pixels of the view.

    Example:
        >>> views = DeviceViews(size=8)
        >>> images, ids = torch.zeros(2, 3, 16, 16, dtype=torch.uint8), torch.tensor([4, 7])
        >>> views(images, ids, epoch=0, seed=0, view=1).shape
        torch.Size([2, 3, 8, 8])
    """

    size: int = 32
    crop_scale: tuple[float, float] = (0.3, 1.0)
    crop_ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.0
    jitter: float = 0.6
    jitter_prob: float = 0.8
    brightness: float = 0.8
    contrast: float = 0.8
    saturation: float = 0.8
    hue: float = 0.2
    grayscale: float = 0.3
    blur: float = 0.0
    blur_sigma: tuple[float, float] = (0.1, 2.0)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ConfigError(f"size of a view is {self.size}; it must be at least 1 pixel")
        for name in ("flip", "jitter_prob", "grayscale", "blur"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is a probability, got {getattr(self, name)}; it must lie in [0, 1]")
        for name in ("crop_scale", "crop_ratio", "blur_sigma"):
            low, high = getattr(self, name)
            if not 0 < low <= high:
                raise ConfigError(f"{name} is a range of positive numbers, got {low} to {high}; the first must not exceed the second")
        if self.crop_scale[1] > 1:
            raise ConfigError(f"crop_scale ends at {self.crop_scale[1]}; a crop covers at most 1, the whole picture")
        for name in ("jitter", "brightness", "contrast", "saturation", "hue"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must not be negative")
        if self.jitter * self.hue > 0.5:
            raise ConfigError(f"jitter * hue is {self.jitter * self.hue:g}; it must be at most 0.5, half a turn of the colour circle")

    @property
    def jitter_strengths(self) -> tuple[float, float, float, float]:
        """Ranges of brightness, contrast, saturation and hue after multiplication by the strength."""
        return (self.jitter * self.brightness, self.jitter * self.contrast, self.jitter * self.saturation, self.jitter * self.hue)

    def is_seen(self, view_name: str) -> bool:
        """Whether training also makes the explain-time view of this name (see ``held_out.VIEWS``)."""
        flip, crop = self.flip > 0, self.crop_scale[0] < _VIEW_CROP_LARGEST
        made = {
            "original": True,
            "flip": flip,
            "crop": crop,
            "crop_flip": flip and crop,
            "grayscale": self.grayscale > 0,
            "jitter": self.jitter_prob > 0 and max(self.jitter_strengths) > 0,
        }
        assert view_name in made or view_name in _NEVER_MADE, view_name
        return made.get(view_name, False)

    def __call__(self, images: Tensor, ids: Tensor, *, epoch: int, seed: int, view: int) -> Tensor:
        """Make one view of every picture.

        Args:
            images: (B, 3, H, W), uint8, or float in [0, 1].
            ids: (B,) int64, position in the split.
            epoch: epoch the view is for.
            seed: seed of the run's views.
            view: 0 for the first view of a pair, 1 for the second.

        Returns:
            (B, 3, S, S) float32 in [0, 1].
        """
        draw = counter_uniform(seed, epoch, ids.to(images.device), view, num=13)
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images.float()
        views = self._crop(pixels, draw[:, :5])
        views = self._recolour(views, draw[:, 5:11])
        return self._blur(views, draw[:, 11:]) if self.blur > 0 else views

    def _crop(self, images: Tensor, draw: Tensor) -> Tensor:
        height, width = images.shape[-2:]
        scale, place = crop_window(draw[:, :4], area=self.crop_scale, ratio=self.crop_ratio, aspect=width / height)
        mirror = torch.where(draw[:, 4] < self.flip, -1.0, 1.0)
        theta = affine(scale[:, 0] * mirror, scale[:, 1], place)
        grid = F.affine_grid(theta, [len(images), 3, self.size, self.size], align_corners=False)
        return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)

    def _recolour(self, images: Tensor, draw: Tensor) -> Tensor:
        params = colour.jitter_params(draw[:, :4], strengths=self.jitter_strengths)
        same = colour.identity_map(len(images), like=images)
        colours = colour.choose(draw[:, 4] < self.jitter_prob, colour.jitter_map(images, params), same)
        colours = colour.choose(draw[:, 5] < self.grayscale, colour.grayscale_after(colours), colours)
        return colour.recolour(images, colours)

    def _blur(self, images: Tensor, draw: Tensor) -> Tensor:
        rows = (draw[:, 0] < self.blur).nonzero()[:, 0]
        low, high = self.blur_sigma
        sigma = low + draw[rows, 1] * (high - low)
        return images.index_copy(0, rows, gaussian_blur(images[rows], sigma, max_sigma=high))


def crop_window(draw: Tensor, *, area: tuple[float, float], ratio: tuple[float, float], aspect: float = 1.0) -> tuple[Tensor, Tensor]:
    """A window of random area, width / height and place inside a picture.

    Args:
        draw: (B, 4) uniform numbers.
        area: range of the area as a share of the picture; uniform.
        ratio: range of width / height in pixels; log-uniform. A window that would stick out is cut at the picture's edge.
        aspect: width / height of the picture.

    Returns:
        Width and height as a share of the picture (B, 2), and the centre (B, 2) as x, y in [-1, 1].
    """
    share = area[0] + draw[:, 0] * (area[1] - area[0])
    log_ratio = math.log(ratio[0]) + draw[:, 1] * (math.log(ratio[1]) - math.log(ratio[0]))
    stretch = (log_ratio - math.log(aspect)).exp()
    scale = torch.stack([(share * stretch).sqrt(), (share / stretch).sqrt()], dim=1).clamp(max=1)
    return scale, (2 * draw[:, 2:4] - 1) * (1 - scale)


def affine(scale_x: Tensor, scale_y: Tensor, place: Tensor) -> Tensor:
    """Matrices (B, 2, 3) in the convention of ``affine_grid`` that show a window of this size (B,) and centre (B, 2)."""
    theta = scale_x.new_zeros(len(scale_x), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale_x, scale_y, place
    return theta


def gaussian_blur(images: Tensor, sigma: Tensor, *, max_sigma: float) -> Tensor:
    """Blur each picture (B, C, H, W) with its own ``sigma`` (B,) <= ``max_sigma``, in pixels; the picture is repeated beyond its edge.

    The blur is separable, and along one axis it is a matrix: two batched matrix products do it for every sigma at once.
    """
    reach = math.ceil(_BLUR_REACH * max_sigma)
    steps = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    weights = (-0.5 * (steps / sigma[:, None]) ** 2).exp() * (steps.abs() <= (_BLUR_REACH * sigma[:, None]).ceil())
    weights = weights / weights.sum(1, keepdim=True)
    rows, columns = (_blur_matrix(weights, size) for size in images.shape[-2:])
    return rows[:, None] @ images @ columns[:, None].transpose(2, 3)


def _blur_matrix(weights: Tensor, size: int) -> Tensor:
    """The blur along an axis of ``size`` pixels as a matrix (B, size, size), from the weights (B, taps) of a pixel's neighbours."""
    reach = weights.shape[1] // 2
    axis, steps = torch.arange(size, device=weights.device), torch.arange(-reach, reach + 1, device=weights.device)
    reads = F.one_hot((steps[:, None] + axis).clamp(0, size - 1), size).to(weights.dtype)  # (taps, size, size)
    return (weights @ reads.flatten(1)).view(-1, size, size)
