"""What the tests of pictures share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

Place = tuple[int, int]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


class Finder:
    """Finds a block of pixels in a picture, pixel by pixel and exactly."""

    @staticmethod
    def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
        return np.kron(pixels, np.ones((factor, factor, 1), dtype=np.uint8))

    @staticmethod
    def places(sheet: Image.Image, block: np.ndarray) -> list[Place]:
        """Every (top, left) at which the block stands in the sheet."""
        pixels = np.asarray(sheet)
        height, width = block.shape[:2]
        candidates = np.argwhere((pixels[: len(pixels) - height + 1, : pixels.shape[1] - width + 1] == block[0, 0]).all(axis=-1))
        return [(top, left) for top, left in candidates.tolist() if (pixels[top : top + height, left : left + width] == block).all()]


@pytest.fixture
def finder() -> Finder:
    return Finder()
