"""Held-out views: exactness, randomness as a function of (seed, name, id), and the way back."""

from __future__ import annotations

import pytest
import torch
import torchvision.transforms.functional as TF
from torch import Tensor

from cocoa_pl.augmentations.held_out import VIEWS, invert, make_view, unwarp, warp
from cocoa_pl.errors import ConfigError

IDS = torch.tensor([3, 14, 15, 92])


def pictures(size: int = 32) -> Tensor:
    return torch.rand(4, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_is_the_same_alone_and_in_a_batch(name: str) -> None:
    images = pictures()
    together, alone = make_view(name, images, ids=IDS, seed=0), make_view(name, images[2:3], ids=IDS[2:3], seed=0)
    for batched, single in zip(together, alone, strict=True):
        assert torch.equal(batched[2:3], single)


@pytest.mark.parametrize("name", VIEWS)
def test_views_have_the_promised_shapes_and_range(name: str) -> None:
    view = make_view(name, pictures(), ids=IDS, seed=0)
    assert view.images.shape == (4, 3, 32, 32)
    assert view.theta.shape == (4, 2, 3)
    assert view.valid.shape == (4, 32, 32)
    assert view.valid.dtype == torch.bool
    assert view.images.min() >= 0
    assert view.images.max() <= 1


@pytest.mark.parametrize("name", ["crop", "crop_flip", "jitter", "erase"])
def test_random_views_differ_by_id_and_by_seed(name: str) -> None:
    same = pictures()[:1].expand(4, -1, -1, -1)
    view = make_view(name, same, ids=IDS, seed=0).images
    assert not torch.allclose(view[0], view[1])
    assert not torch.allclose(view, make_view(name, same, ids=IDS, seed=1).images)


def test_flip_and_quarter_turn_are_exact() -> None:
    images = pictures(31)
    assert torch.equal(make_view("original", images, ids=IDS, seed=0).images, images)
    assert torch.equal(make_view("flip", images, ids=IDS, seed=0).images, torch.flip(images, [-1]))
    assert torch.equal(make_view("rotate90", images, ids=IDS, seed=0).images, torch.rot90(images, 1, [-2, -1]))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("flipped", [False, True])
def test_exact_moves_agree_with_grid_sample(turns: int, flipped: bool) -> None:
    images = pictures(8)
    angle = turns * torch.pi / 2
    c, s = round(float(torch.tensor(angle).cos())), round(float(torch.tensor(angle).sin()))
    theta = torch.tensor([[c, -s, 0.0], [s, c, 0.0]]).repeat(4, 1, 1)
    theta[:, :, 0] *= -1 if flipped else 1
    grid = torch.nn.functional.affine_grid(theta, [4, 3, 8, 8], align_corners=False)
    expected = torch.nn.functional.grid_sample(images, grid, align_corners=False)
    torch.testing.assert_close(warp(images, theta), expected, atol=1e-5, rtol=0)
    back, valid = unwarp(warp(images, theta), theta)
    assert torch.equal(back, images)
    assert valid.all()


def test_a_mixed_batch_equals_its_rows() -> None:
    images = pictures(16)
    theta = torch.cat([make_view(name, images[:1], ids=IDS[:1], seed=0).theta for name in ("flip", "crop", "rotate90", "original")])
    together = warp(images, theta)
    for i in range(4):
        assert torch.equal(together[i : i + 1], warp(images[i : i + 1], theta[i : i + 1]))


@pytest.mark.parametrize("name", ["crop", "crop_flip"])
def test_crop_equals_torchvision_away_from_the_window_edge(name: str) -> None:
    """At a whole-pixel window; the window itself is random, so it is rounded to pixels first."""
    images = pictures()
    theta = make_view(name, images, ids=IDS, seed=0).theta
    for i in range(4):
        width, height = (round(32 * float(theta[i, k, k].abs())) // 2 * 2 for k in (0, 1))
        left, top = (int((float(theta[i, k, 2]) + 1) * 16 - side / 2) for k, side in ((0, width), (1, height)))
        sign = float(theta[i, 0, 0].sign())
        whole = torch.tensor([[[sign * width / 32, 0, (left + width / 2) / 16 - 1], [0, height / 32, (top + height / 2) / 16 - 1]]])
        theirs = TF.resized_crop(images[i : i + 1], top, left, height, width, [32, 32], antialias=False)
        theirs = theirs.flip(-1) if sign < 0 else theirs
        ours = warp(images[i : i + 1], whole)
        torch.testing.assert_close(ours[..., 2:-2, 2:-2], theirs[..., 2:-2, 2:-2], atol=1e-4, rtol=0)


@pytest.mark.parametrize("name", ["crop", "crop_flip"])
def test_unwarp_undoes_warp_where_the_view_shows_the_picture(name: str) -> None:
    """Bilinear sampling keeps planes exactly, so the way there and back is exact inside, and noise shows nothing about geometry."""
    axis = torch.linspace(-1, 1, 32)
    plane = (0.3 * axis[None, :] - 0.5 * axis[:, None]).expand(4, 2, 32, 32).contiguous()
    theta = make_view(name, pictures(), ids=IDS, seed=0).theta
    back, valid = unwarp(warp(plane, theta), theta)
    area = valid.float().mean(dim=(1, 2))
    assert ((area > 0.15) & (area < 0.55)).all()
    outside = torch.nn.functional.pad(1 - valid[:, None].float(), [1, 1, 1, 1], value=1.0)
    inside = 1 - torch.nn.functional.max_pool2d(outside, 3, stride=1)  # a pixel away from the window's and the picture's edge
    assert inside.sum() > 300
    difference = (back - plane).abs() * inside
    assert float(difference.max()) < 1e-5
    assert float(back[~valid[:, None].expand_as(back)].abs().max()) == 0


def test_invert_is_an_inverse() -> None:
    theta = make_view("crop_flip", pictures(), ids=IDS, seed=0).theta
    last = torch.tensor([0.0, 0, 1]).expand(4, 1, 3)
    product = torch.cat([theta, last], 1) @ torch.cat([invert(theta), last], 1)
    torch.testing.assert_close(product, torch.eye(3).expand(4, 3, 3), atol=1e-5, rtol=0)


def test_masks_stay_masks_and_maps_of_any_rank_are_warped() -> None:
    theta = make_view("crop", pictures(), ids=IDS, seed=0).theta
    mask = pictures()[:, 0] > 0.5
    assert warp(mask, theta).dtype == torch.bool
    maps = torch.rand(4, 2, 5, 32, 32)
    torch.testing.assert_close(warp(maps, theta)[:, 1, 3], warp(maps[:, 1, 3], theta))
    back, valid = unwarp(mask, theta)
    assert back.dtype == torch.bool
    assert not (back & ~valid).any()


def test_erase_removes_a_tenth_to_a_quarter_and_says_where() -> None:
    images, ids = pictures()[:1].expand(500, -1, -1, -1), torch.arange(500)
    view = make_view("erase", images, ids=ids, seed=0)
    share = 1 - view.valid.float().mean(dim=(1, 2))
    assert 0.08 < share.min() < 0.12 < 0.23 < share.max() < 0.28
    kept = view.valid[:, None].expand_as(images)
    assert torch.equal(view.images[kept], images[kept])
    assert ((view.images - images).abs().sum(1)[~view.valid] > 0).all()


def test_grayscale_and_jitter_change_colours_only() -> None:
    images = pictures()
    grey = make_view("grayscale", images, ids=IDS, seed=0)
    torch.testing.assert_close(grey.images, TF.rgb_to_grayscale(images, num_output_channels=3), atol=1e-5, rtol=0)
    jitter = make_view("jitter", images, ids=IDS, seed=0)
    assert torch.equal(jitter.theta, grey.theta)
    assert ((jitter.images - images).abs().mean(dim=(1, 2, 3)) > 0.01).all()


def test_wrong_names_and_shapes_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown view 'flpi'.*did you mean 'flip'"):
        make_view("flpi", pictures(), ids=IDS, seed=0)
    theta = make_view("rotate90", pictures(), ids=IDS, seed=0).theta
    with pytest.raises(ValueError, match="square"):
        warp(torch.zeros(4, 8, 9), theta)
    with pytest.raises(ValueError, match="float or bool"):
        warp(torch.zeros(4, 8, 8, dtype=torch.uint8), theta)
