"""Masks on the grids of the sites, against means over a grid fine enough for both sizes."""

import math
from copy import deepcopy

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import PictureError
from ip_adapter_nodes.ip_adapter.mask import _MAX_KEPT, WHOLE, Region, grid_factors, region_of

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


def test_factors_of_a_region_are_one_row_per_chunk(generator):
    region = Region(torch.rand(12, 16, generator=generator))
    windows = (WHOLE, (0.5, 0.0, 0.5, 0.5))
    factors = region.factors((3, 4), windows, torch.empty(0, dtype=torch.bfloat16))
    assert factors.shape == (2, 1, 12, 1)
    assert factors.dtype is torch.bfloat16
    for row, window in zip(factors, windows, strict=True):
        assert torch.equal(row.flatten(), grid_factors(region.mask, (3, 4), window).flatten().bfloat16())


def test_what_is_kept_is_reused_and_bounded():
    region, like = Region(torch.eye(4)), torch.empty(0)
    first = region.factors((2, 2), (WHOLE,), like)
    assert region.factors((2, 2), (WHOLE,), like) is first
    assert not torch.equal(region.factors((2, 2), ((0.0, 0.0, 0.5, 0.5),), like), first)
    assert region.factors((2, 2), (WHOLE,), like.double()).dtype is torch.float64
    assert deepcopy(region) is region
    for width in range(1, 3 * _MAX_KEPT):
        assert region.factors((1, width), (WHOLE,), like).shape == (1, 1, width, 1)
        assert len(region._kept) <= _MAX_KEPT


@pytest.mark.parametrize("shape", [(8, 8), (1, 8, 8), (1, 1, 5, 3)], ids=str)
def test_region_of_uniform_masks_is_a_number(shape):
    assert region_of(torch.ones(shape)) == 1.0
    assert region_of(torch.zeros(shape)) == 0.0
    assert region_of(torch.full(shape, 7.0)) == 1.0
    assert isinstance(region_of(torch.full(shape, 0.5)), Region)


def test_region_keeps_soft_values_and_clamps_the_rest():
    region = region_of(torch.tensor([[[-1.0, 0.25, 2.0]]]))
    assert torch.equal(region.mask, torch.tensor([[0.0, 0.25, 1.0]]))


BAD = {
    "two masks": torch.ones(2, 4, 4),
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
