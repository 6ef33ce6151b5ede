"""Masks on the grids of the sites, against means over a grid fine enough for both sizes."""

import math
from copy import deepcopy

import pytest
import torch
from ip_adapter_nodes.ip_adapter.attention.region import _MAX_KEPT, WHOLE, Region, grid_factors, region_of, softened
from ip_adapter_nodes.ip_adapter.errors import PictureError, SettingError

SIZES = [(8, 8), (7, 9), (9, 7), (30, 10), (10, 30), (1, 1), (1, 40), (33, 31), (64, 48)]
GRIDS = [(8, 8), (15, 16), (16, 15), (4, 12), (12, 4), (5, 7), (1, 1), (3, 40)]


def dense(mask, grid):
    """Every pixel repeated to a common multiple of both sizes, then plain means: exact for any ratio."""
    for axis, cells in enumerate(grid):
        pixels = mask.shape[axis]
        fine = mask.double().repeat_interleave(math.lcm(pixels, cells) // pixels, dim=axis)
        mask = fine.unflatten(axis, (cells, -1)).mean(axis + 1)
    return mask


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_factors_are_the_means_over_the_cells(size, grid, generator):
    mask = torch.rand(size, generator=generator)
    factors = grid_factors(mask, grid)
    assert factors.shape == grid
    assert torch.allclose(factors.double(), dense(mask, grid), atol=1e-6, rtol=0)


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize("value", [0.0, 0.25, 1.0])
def test_constants_stay_exactly_constant(grid, value):
    for size in SIZES:
        assert torch.equal(grid_factors(torch.full(size, value), grid), torch.full(grid, value))


@pytest.mark.parametrize("grid", GRIDS, ids=str)
def test_left_half_stays_half(grid):
    """Cells left of the middle 1, right of it 0, and the one the middle cuts exactly the part that lies left."""
    factors = grid_factors(torch.cat([torch.ones(6, 32), torch.zeros(6, 32)], dim=1), grid)
    expected = (grid[1] / 2 - torch.arange(grid[1])).clamp(0, 1)
    assert torch.allclose(factors, expected.expand(grid), atol=1e-6, rtol=0)


@pytest.mark.parametrize("box", [(0, 0, 6, 8), (2, 3, 5, 6), (11, 15, 1, 1), (0, 8, 12, 8)], ids=str)
@pytest.mark.parametrize("grid", [(8, 8), (5, 7), (16, 15)], ids=str)
def test_window_equals_a_crop(box, grid, generator):
    mask = torch.rand(12, 16, generator=generator)
    top, left, height, width = box
    window = (top / 12, left / 16, height / 12, width / 16)
    crop = mask[top : top + height, left : left + width]
    assert torch.allclose(grid_factors(mask, grid, window).double(), dense(crop, grid), atol=1e-6, rtol=0)


def test_window_between_pixels_equals_a_crop_of_the_finer_mask(generator):
    mask = torch.rand(5, 5, generator=generator)
    fine = mask.repeat_interleave(8, 0).repeat_interleave(8, 1)
    expected = dense(fine[3:27, 11:39], (4, 6))
    assert torch.allclose(
        grid_factors(mask, (4, 6), (3 / 40, 11 / 40, 24 / 40, 28 / 40)).double(), expected, atol=1e-6, rtol=0
    )


HALF = (0.5, 0.0, 0.5, 0.5)


def test_factors_of_a_region_are_one_row_per_chunk(generator):
    region = Region(torch.rand(1, 12, 16, generator=generator))
    factors = region.factors((3, 4), (WHOLE, HALF), (), torch.empty(0, dtype=torch.bfloat16))
    assert factors.shape == (2, 1, 12, 1)
    assert factors.dtype is torch.bfloat16
    for row, window in zip(factors, (WHOLE, HALF), strict=True):
        assert torch.equal(row.flatten(), grid_factors(region.masks, (3, 4), window).flatten().bfloat16())
    assert torch.equal(region.factors((3, 4), (HALF, HALF), (), torch.empty(0, dtype=torch.bfloat16)), factors[1:])


@pytest.mark.parametrize("frames", [(0, 1, 2), (2, 0), (1, 1, 0, 2)], ids=str)
def test_masks_per_frame_are_those_of_the_frames_in_view(frames, generator):
    region = Region(torch.rand(3, 12, 16, generator=generator))
    factors = region.factors((3, 4), (WHOLE, HALF), frames, torch.empty(0))
    assert factors.shape == (2, len(frames), 12, 1)
    for window, chunk in zip((WHOLE, HALF), factors, strict=True):
        for frame, row in zip(frames, chunk, strict=True):
            assert torch.equal(row.flatten(), grid_factors(region.masks[frame], (3, 4), window).flatten())


def test_masks_per_frame_need_a_latent_for_each():
    region = region_of(torch.eye(4).repeat(3, 1, 1))
    region.check_batch(3)
    Region(torch.eye(4)[None]).check_batch(5)
    with pytest.raises(SettingError, match="3 masks and the batch of latents has 2"):
        region.check_batch(2)


def test_what_is_kept_is_reused_and_bounded():
    region, like = Region(torch.eye(4)[None]), torch.empty(0)
    first = region.factors((2, 2), (WHOLE,), (), like)
    assert region.factors((2, 2), (WHOLE,), (5,), like) is first
    assert not torch.equal(region.factors((2, 2), ((0.0, 0.0, 0.5, 0.5),), (), like), first)
    assert region.factors((2, 2), (WHOLE,), (), like.double()).dtype is torch.float64
    assert deepcopy(region) is region
    for width in range(1, 3 * _MAX_KEPT):
        assert region.factors((1, width), (WHOLE,), (), like).shape == (1, 1, width, 1)
        assert len(region._kept) <= _MAX_KEPT


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 5, 3), (4, 8, 8)], ids=str)
def test_region_of_uniform_masks_is_a_number(shape):
    assert region_of(torch.ones(shape)) is None
    assert region_of(torch.zeros(shape)).is_empty
    assert region_of(torch.full(shape, 7.0)) is None
    assert isinstance(region_of(torch.full(shape, 0.5)), Region)


def test_region_keeps_soft_values_and_clamps_the_rest():
    region = region_of(torch.tensor([[[-1.0, 0.25, 2.0]]]))
    assert torch.equal(region.masks, torch.tensor([[[0.0, 0.25, 1.0]]]))


BAD = {
    "no mask": torch.ones(0, 4, 4),
    "no row": torch.ones(1, 0, 4),
    "no column": torch.ones(1, 4, 0),
    "a line": torch.ones(4),
    "a number": torch.tensor(1.0),
    "NaN": torch.tensor([[0.0, math.nan]]),
    "infinite": torch.tensor([[0.0, math.inf]]),
}


@pytest.mark.parametrize("mask", BAD.values(), ids=BAD)
def test_masks_that_are_none(mask):
    with pytest.raises(PictureError):
        region_of(mask)


def halvings(depth, size):
    """The sizes of a UNet's levels: every halving is a convolution of stride 2 with padding, which rounds up."""
    for _ in range(depth):
        size = (size + 1) // 2
    return size


def test_every_size_of_picture_against_a_dense_oracle():
    """Half of the picture, from 256 to 2048 pixels in steps of 8, at every level of SD1.5's and SDXL's grids.

    Rows and columns are weighed apart from each other and alike, so one axis covers all pairs of sizes.
    """
    for pixels in range(256, 2049, 8):
        mask = (torch.arange(pixels) < pixels // 2).float()[:, None]
        for depth in range(4):
            cells = halvings(depth, pixels // 8)
            pieces = math.lcm(pixels, cells)
            # Cell by cell in pieces that belong to one pixel and one cell each: how many of them lie in the half.
            edges = torch.arange(cells + 1) * (pieces // cells)
            inside = edges.clamp(max=(pixels // 2) * (pieces // pixels)).diff()
            expected = inside.double() / (pieces // cells)
            given = grid_factors(mask, (cells, 1)).flatten().double()
            assert torch.allclose(given, expected, atol=1e-6, rtol=0), (pixels, depth)


@pytest.mark.parametrize("feather", [0, 1, 2, 5, 40])
def test_softened_edges_are_triangles_and_nothing_else_changes(feather):
    """Against the sum over a triangle of weights, written out; beyond the picture its last row and column go on."""
    generator = torch.Generator().manual_seed(feather)
    masks = (torch.rand(2, 9, 13, generator=generator) > 0.5).float()
    offsets = range(-feather, feather + 1)
    weights = torch.tensor([feather + 1 - abs(offset) for offset in offsets], dtype=torch.float64)
    weights /= weights.sum()
    expected = torch.zeros(2, 9, 13, dtype=torch.float64)
    for down, first in zip(offsets, weights, strict=True):
        for right, second in zip(offsets, weights, strict=True):
            rows, columns = (torch.arange(9) + down).clamp(0, 8), (torch.arange(13) + right).clamp(0, 12)
            expected += first * second * masks[:, rows][:, :, columns]
    assert torch.allclose(softened(masks, feather).double(), expected, atol=1e-6, rtol=0)


def test_softened_half_plane():
    """Half at its edge, unchanged beyond the feather, and a single mask stays a single mask."""
    soft = softened(torch.cat([torch.ones(4, 20), torch.zeros(4, 20)], dim=1), 6)
    assert soft.shape == (4, 40)
    assert torch.equal(soft[:, :14], torch.ones(4, 14))
    assert torch.equal(soft[:, 26:], torch.zeros(4, 14))
    assert torch.allclose(soft[:, 19] + soft[:, 20], torch.ones(4), atol=1e-6, rtol=0)
    assert bool((soft.diff(dim=1) <= 0).all())


@pytest.mark.parametrize("feather", [-1, 1025])
def test_feathers_that_are_none(feather):
    with pytest.raises(SettingError, match="from 0 to 1024"):
        softened(torch.ones(1, 4, 4), feather)
