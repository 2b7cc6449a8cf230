"""Whatever one calls an image becomes floats (N, C, H, W) in [0, 1], or a clear error."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cocoa_pl.errors import DataError
from cocoa_pl.images import as_images

BYTES = np.random.default_rng(0).integers(0, 256, (2, 5, 7, 3), dtype=np.uint8)
EXPECTED = torch.from_numpy(BYTES / 255).permute(0, 3, 1, 2).float()


@pytest.mark.parametrize(
    "given",
    [
        BYTES,
        BYTES / 255,
        (BYTES.astype(np.uint16) * 257),
        torch.from_numpy(BYTES).permute(0, 3, 1, 2),
        EXPECTED,
        list(BYTES),
        [Image.fromarray(one) for one in BYTES],
        [Image.fromarray(BYTES[0]), EXPECTED[1]],
    ],
    ids=["bytes", "floats", "16 bit", "byte tensor", "tensor", "list of arrays", "PIL", "mixed"],
)
def test_every_kind_gives_the_same(given: Any) -> None:
    images = as_images(given)
    assert images.dtype == torch.float32
    torch.testing.assert_close(images, EXPECTED, atol=1e-6, rtol=0)


def test_a_tensor_that_is_right_already_is_not_copied() -> None:
    assert as_images(EXPECTED).data_ptr() == EXPECTED.data_ptr()


def test_one_image_is_a_batch_of_one() -> None:
    for one in (BYTES[0], Image.fromarray(BYTES[0]), EXPECTED[0]):
        assert as_images(one).shape == (1, 3, 5, 7)
    assert as_images(BYTES[0, :, :, 0]).shape == (1, 1, 5, 7)


def test_a_picture_with_transparency_lies_on_white() -> None:
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    assert bool((as_images(clear) == 1).all())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "the list is empty"),
        (torch.rand(0, 3, 4, 4), "N at least 1"),
        (torch.rand(4, 4), r"images \(4, 4\): must be \(N, C, H, W\)"),
        (torch.rand(3, 4, 4) * 255, "must lie in"),
        (torch.randn(1, 3, 4, 4) * 3, "must lie in .* the encoder normalises"),
        (torch.full((1, 3, 4, 4), float("nan")), "NaN or infinite"),
        (torch.tensor([[[[float("inf")]]]]), "NaN or infinite"),
        (torch.ones(1, 3, 4, 4, dtype=torch.int64), "torch.int64: must be floats in"),
        (np.zeros((3, 8, 8)), r"array \(3, 8, 8\): must have channels last"),
        ([np.zeros((4, 4, 3)), np.zeros((4, 5, 3))], "several sizes"),
        ("cat.jpg", "cannot be a str"),
        ({"image": 1}, "cannot be a dict"),
        (None, "cannot be a NoneType"),
    ],
)
def test_what_is_no_image_is_refused(given: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        as_images(given)
