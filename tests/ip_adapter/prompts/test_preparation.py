"""Where a crop is taken, and how the fitted picture is sharpened."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.preprocess import Fit, Position, check_sharpening, fitted

BANDS = torch.tensor([0.0, 0.5, 1.0])  # thirds of the long side
TAKEN = {"center": (0.5, 0.5), "top": (0.0, 0.5), "bottom": (1.0, 0.5), "left": (0.5, 0.0), "right": (0.5, 1.0)}


@pytest.mark.parametrize("ratio", [3, 30])
@pytest.mark.parametrize("position", Position)
def test_a_crop_takes_the_part_of_its_position(position, ratio):
    """Of a tall picture, and of a wide one; a position across the short side is the middle."""
    band = BANDS.repeat_interleave(8 * ratio // 3)
    tall, wide = band[:, None].expand(1, 3, -1, 8), band.expand(1, 3, 8, -1)
    for picture, level in zip((tall, wide), TAKEN[position.value], strict=True):
        square = fitted(picture, 8, Fit.CROP, position)
        assert torch.equal(square, (torch.full((1, 3, 8, 8), level) * 255).round() / 255)


def gaussian_at(picture, row, column, sigma):
    """The weighted mean around a pixel of one plane, number by number."""
    reach = math.ceil(3 * sigma)
    offsets = [(y, x) for y in range(-reach, reach + 1) for x in range(-reach, reach + 1)]
    weights = [math.exp(-(y * y + x * x) / (2 * sigma**2)) for y, x in offsets]
    values = [float(picture[row + y, column + x]) for y, x in offsets]
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


@pytest.mark.parametrize("amount", [0.3, 2.0])
def test_sharpening_is_unsharp_masking_at_the_encoders_size(amount, generator):
    picture = 0.5 + 0.1 * torch.rand(1, 3, 32, 32, generator=generator)
    sharp = fitted(picture, 32, Fit.STRETCH, sharpening=amount)[0, 1]
    for row, column in ((5, 9), (16, 16), (28, 3)):
        value = float(picture[0, 1, row, column])
        expected = value + amount * (value - gaussian_at(picture[0, 1], row, column, 1.0))
        assert abs(float(sharp[row, column]) - expected) <= 0.51 / 255


@pytest.mark.parametrize("fit", Fit)
def test_sharpening_zero_is_nothing_and_one_is_something(fit, generator):
    picture = torch.rand(1, 3, 40, 70, generator=generator)
    plain = fitted(picture, 32, fit)
    assert torch.equal(fitted(picture, 32, fit, sharpening=0.0), plain)
    sharp = fitted(picture, 32, fit, sharpening=1.0)
    assert sharp.std() > 1.1 * plain.std()
    assert torch.equal(sharp, (sharp.clamp(0, 1) * 255).round() / 255)


def test_the_neutral_ground_of_a_padded_picture_stays_neutral():
    square = fitted(torch.ones(1, 3, 20, 60), 48, Fit.PAD, sharpening=2.0)[0]
    assert torch.equal(square, fitted(torch.ones(1, 3, 20, 60), 48, Fit.PAD)[0])


def test_sharpening_out_of_range():
    for amount in (-0.1, 2.1, math.nan):
        with pytest.raises(SettingError, match=f"from 0 to 2.0, got {amount}"):
            check_sharpening(amount)
