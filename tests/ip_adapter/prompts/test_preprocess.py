"""From any picture to the encoder's square: against the host's rule written out here, and by eye-like marks."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import PictureError
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL, Fit, apply_mask, fitted
from torch.nn import functional

NEUTRAL_COLOUR = torch.tensor(NEUTRAL)[:, None, None]
SIZES = [
    (64, 64),
    (32, 32),
    (33, 32),
    (32, 47),
    (100, 150),
    (151, 100),
    (50, 121),
    (37, 230),
    (230, 37),
    (7, 112),
    (1, 1),
    (3, 48),
]


def hosts_crop(picture, size):
    """Shortest side scaled to the size, Python's rounding, bicubic antialiased, centre crop rounded down, 8 bits."""
    height, width = picture.shape[-2:]
    if (height, width) != (size, size):
        scale = size / min(height, width)
        target = (round(scale * height), round(scale * width))
        picture = functional.interpolate(picture, target, mode="bicubic", antialias=True)
        top, left = (target[0] - size) // 2, (target[1] - size) // 2
        picture = picture[..., top : top + size, left : left + size]
    return (255 * picture).clamp(0, 255).round() / 255


@pytest.mark.parametrize("size", [32, 56])
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_crop_is_exactly_the_hosts(shape, size, generator):
    pictures = torch.rand(2, 3, *shape, generator=generator)
    assert torch.equal(fitted(pictures, size, Fit.CROP), hosts_crop(pictures, size))


def test_crop_beyond_16_squares_still_shows_the_middle():
    """A ramp from 0 to 1 along 400 pixels: the middle is 0.5, and half a pixel is 1/800."""
    ramp = torch.linspace(0, 1, 400).expand(1, 3, 10, 400)
    for picture in (ramp, ramp.mT):
        assert (fitted(picture, 32, Fit.CROP) - hosts_crop(picture, 32)).abs().max() < 1 / 255 + 1 / 800


@pytest.mark.parametrize("fit", Fit)
@pytest.mark.parametrize("shape", [*SIZES, (1, 4000), (4000, 1), (5, 400)], ids=str)
def test_every_fit_gives_squares_in_steps_of_a_byte(shape, fit, generator):
    squares = fitted(torch.rand(2, 3, *shape, generator=generator), 32, fit)
    assert squares.shape[1:] == (3, 32, 32)
    assert torch.equal(squares, (squares * 255).round() / 255)
    assert squares.amin() >= 0
    assert squares.amax() <= 1


@pytest.mark.parametrize("fit", Fit)
def test_a_very_long_picture_makes_no_huge_intermediate(fit, monkeypatch):
    """Enlarged first and cut later, one row of 2000 pixels would become 224 x 448 000."""
    largest = []
    original = functional.interpolate

    def recording(picture, size, **options):
        result = original(picture, size, **options)
        largest.append(result.numel())
        return result

    monkeypatch.setattr(functional, "interpolate", recording)
    fitted(torch.rand(1, 3, 1, 2000), 224, fit)
    assert largest
    assert max(largest) <= 3 * 224 * 224 * 16


@pytest.mark.parametrize("fit", Fit)
def test_a_square_of_the_right_size_is_only_rounded(fit, generator):
    picture = torch.rand(1, 3, 32, 32, generator=generator)
    assert torch.equal(fitted(picture, 32, fit), (picture * 255).round() / 255)


def marked(height, width):
    """Black, with a red first and a green last end of the long side, each an eighth of it."""
    picture = torch.zeros(1, 3, height, width)
    end = max(height, width) // 8
    if height > width:
        picture[:, 0, :end], picture[:, 1, -end:] = 1, 1
    else:
        picture[:, 0, :, :end], picture[:, 1, :, -end:] = 1, 1
    return picture


@pytest.mark.parametrize("shape", [(40, 120), (120, 40)], ids=str)
def test_marks_at_the_ends(shape):
    found = {fit: (fitted(marked(*shape), 48, fit)[:, :2] > 0.9).flatten(2).any(2).any(0).tolist() for fit in Fit}
    assert found == {
        Fit.CROP: [False, False],
        Fit.PAD: [True, True],
        Fit.STRETCH: [True, True],
        Fit.TILES: [True, True],
    }


def test_pad_shows_the_whole_picture_undistorted_on_neutral():
    square = fitted(torch.ones(1, 3, 20, 60), 48, Fit.PAD)[0]
    neutral = (NEUTRAL_COLOUR * 255).round() / 255
    assert torch.equal(square[:, 16:32], torch.ones(3, 16, 48))
    assert torch.equal(square[:, :16], neutral.expand(3, 16, 48))
    assert torch.equal(square[:, 32:], neutral.expand(3, 16, 48))


def test_stretch_equals_pils_bicubic(generator):
    from PIL import Image

    # No contrast so high that bicubic overshoots the range, which PIL cuts between its two passes and torch after both.
    picture = (70 + 115 * torch.rand(30, 70, 3, generator=generator)).round()
    resized = Image.fromarray(picture.byte().numpy()).resize((48, 48), Image.Resampling.BICUBIC)
    expected = torch.tensor(list(resized.tobytes())).reshape(48, 48, 3)
    given = fitted(picture.movedim(-1, 0)[None] / 255, 48, Fit.STRETCH)[0].movedim(0, -1) * 255
    assert (given - expected).abs().max() <= 1  # PIL also rounds to bytes between them


@pytest.mark.parametrize(
    "shape", [(10, 25), (25, 10), (10, 30), (10, 79), (10, 80), (10, 81), (3, 1000), (1, 4000)], ids=str
)
def test_tiles_cover_the_whole_picture(shape, generator):
    """A white stripe anywhere along the long side must be seen in one of the tiles that follow the whole."""
    length = max(shape)
    for at in torch.randint(length, (12,), generator=generator).tolist():
        picture = torch.zeros(1, 3, *shape)
        stripe = slice(max(0, at - length // 50), at + length // 50 + 1)
        picture[..., stripe, :] = picture[..., stripe, :] + (shape[0] == length)
        picture[..., :, stripe] = picture[..., :, stripe] + (shape[1] == length)
        squares = fitted(picture.clamp(0, 1), 64, Fit.TILES)
        assert (squares[1:] > 0.6).any(), f"a stripe at {at} of {length} is in no tile"


def test_tiles_start_with_the_padded_whole_and_stay_few(generator):
    picture = torch.rand(2, 3, 10, 25, generator=generator)
    squares = fitted(picture, 32, Fit.TILES)
    assert squares.shape[0] == 2 * (1 + 3)
    assert torch.equal(squares[0], fitted(picture, 32, Fit.PAD)[0])
    assert torch.equal(squares[4], fitted(picture, 32, Fit.PAD)[1])
    assert torch.equal(squares[1], fitted(picture[..., :10], 32, Fit.STRETCH)[0])
    assert torch.equal(squares[3], fitted(picture[..., -10:], 32, Fit.STRETCH)[0])
    assert len(fitted(torch.rand(1, 3, 2, 5000), 32, Fit.TILES)) <= 9


def test_mask_keeps_the_inside_and_neutralises_the_outside(generator):
    pictures = torch.rand(2, 3, 8, 8, generator=generator)
    mask = torch.zeros(1, 8, 8)
    mask[:, 2:5, 3:6] = 1
    masked = apply_mask(pictures, mask)
    assert torch.equal(masked[..., 2:5, 3:6], pictures[..., 2:5, 3:6])
    assert torch.equal(masked[..., :2, :], NEUTRAL_COLOUR.expand(2, 3, 2, 8))
    assert torch.equal(apply_mask(pictures, torch.ones(8, 8)), pictures)


def test_one_mask_per_picture_and_soft_values(generator):
    pictures = torch.rand(2, 3, 4, 4, generator=generator)
    masked = apply_mask(pictures, torch.stack([torch.ones(4, 4), torch.full((4, 4), 0.25)]))
    assert torch.equal(masked[0], pictures[0])
    assert torch.allclose(masked[1], 0.25 * pictures[1] + 0.75 * NEUTRAL_COLOUR, atol=1e-6)


def test_mask_of_another_size_is_scaled(generator):
    pictures = torch.rand(1, 3, 40, 60, generator=generator)
    masked = apply_mask(pictures, torch.cat([torch.ones(1, 8, 8), torch.zeros(1, 8, 8)], dim=-1))
    assert torch.allclose(masked[..., :26], pictures[..., :26], atol=1e-6)
    assert torch.allclose(masked[..., 34:], NEUTRAL_COLOUR.expand(1, 3, 40, 26), atol=1e-6)


BAD_MASKS = {
    "three for two pictures": torch.ones(3, 4, 4),
    "none": torch.ones(0, 4, 4),
    "no row": torch.ones(1, 0, 4),
    "a line": torch.ones(4),
    "NaN": torch.full((1, 4, 4), math.nan),
}


@pytest.mark.parametrize("mask", BAD_MASKS.values(), ids=BAD_MASKS)
def test_masks_that_are_none(mask):
    with pytest.raises(PictureError, match="mask"):
        apply_mask(torch.ones(2, 3, 4, 4), mask)
