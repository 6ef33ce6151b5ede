"""Noise as a negative picture, and the pictures that stand in for one."""

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import SettingError
from ip_adapter_nodes.ip_adapter.prompts.noise import Noise, NoiseOptions
from ip_adapter_nodes.ip_adapter.prompts.noise import negative_noise as noise_of
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL

KINDS = pytest.mark.parametrize("kind", Noise)


@pytest.fixture
def image(generator):
    return torch.rand(2, 40, 56, 3, generator=generator)


def negative_noise(image, options):
    """With height, width and channels in the order in which these tests count."""
    return noise_of(None if image is None else image.movedim(-1, 1), options).movedim(1, -1)


def made(image, kind, strength=1.0, **others):
    return negative_noise(image, NoiseOptions(kind, strength, **others))


@KINDS
def test_equal_seeds_give_equal_noise_and_no_other_generator_is_touched(kind, image):
    before = torch.get_rng_state()
    first, again, other = (made(image, kind, 0.5, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert made(image, kind, seed=0xFFFFFFFFFFFFFFFF).shape == image.shape


@KINDS
@pytest.mark.parametrize("strength", [0.3, 1.0])
def test_noise_is_a_picture_of_the_same_size(kind, strength, image):
    before = image.clone()
    noise = made(image, kind, strength, blur=1.5)
    assert noise.shape == image.shape
    assert noise.amin() >= 0
    assert noise.amax() <= 1
    assert torch.equal(image, before)


@KINDS
def test_strength_zero_is_the_picture(kind, image):
    assert torch.allclose(made(image, kind, 0.0), image)


@KINDS
def test_without_a_picture_it_is_made_of_the_neutral_colour(kind):
    noise = made(None, kind, 0.0, size=48)
    assert torch.allclose(noise, torch.tensor(NEUTRAL).expand(1, 48, 48, 3))


def test_fade_mixes():
    black, white = (made(torch.full((1, 32, 32, 3), level), Noise.FADE, 0.25) for level in (0.0, 1.0))
    assert torch.allclose(white - black, torch.full((1, 32, 32, 3), 0.75))
    assert black.amax() <= 0.25


def test_dissolve_replaces_a_share_of_the_pixels(generator):
    image = torch.rand(1, 128, 128, 3, generator=generator)
    changed = (made(image, Noise.DISSOLVE, 0.3) != image).any(-1)
    assert float(changed.float().mean()) == pytest.approx(0.3, abs=0.02)


def test_gaussian_noise_has_the_strength_as_its_deviation():
    noise = made(torch.full((1, 128, 128, 3), 0.5), Noise.GAUSSIAN, 0.1) - 0.5
    assert float(noise.mean()) == pytest.approx(0, abs=0.003)
    assert float(noise.std()) == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize("shape", [(40, 56), (43, 61), (5, 3), (1, 9)])
def test_shuffle_moves_pixels_and_makes_none(shape, generator):
    image = torch.rand(1, *shape, 3, generator=generator)
    noise = made(image, Noise.SHUFFLE)
    colours = [sorted(map(tuple, picture.reshape(-1, 3).tolist())) for picture in (image, noise)]
    assert colours[0] == colours[1]
    assert torch.equal(noise, image) == (min(shape) == 1)


def test_shuffle_moves_a_share_of_the_pieces():
    pieces = (
        torch.arange(64.0).reshape(1, 8, 8, 1).repeat_interleave(4, 1).repeat_interleave(4, 2).expand(-1, -1, -1, 3)
    )
    moved = (made(pieces / 64, Noise.SHUFFLE, 0.25) != pieces / 64)[0, ::4, ::4, 0]
    assert 8 <= int(moved.sum()) <= 16


def test_blur_spreads_a_point_as_a_gaussian():
    """A white pixel on black becomes exp(-d^2 / 2 sigma^2), up to a factor."""
    point = torch.zeros(1, 31, 31, 3)
    point[:, 15, 15] = 1.0
    spread = negative_noise(point, NoiseOptions(strength=0.0, blur=2.0))[0, ..., 0]
    offsets = torch.arange(-15.0, 16)
    expected = torch.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 2.0**2))
    expected = torch.where((offsets.abs()[:, None] <= 6) & (offsets.abs() <= 6), expected, 0.0)
    assert torch.allclose(spread, expected / expected.sum(), atol=1e-6)


def test_blur_keeps_a_plain_picture():
    plain = torch.full((1, 6, 9, 3), 0.3)
    assert torch.allclose(negative_noise(plain, NoiseOptions(strength=0.0, blur=64.0)), plain, atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [{"strength": 1.1}, {"strength": -0.1}, {"strength": float("nan")}, {"blur": -1.0}, {"blur": 65.0}, {"size": 0}],
)
def test_numbers_out_of_range(wrong):
    with pytest.raises(SettingError, match=rf"got .*{next(iter(wrong.values()))}"):
        NoiseOptions(**wrong)
