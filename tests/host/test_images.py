"""Host IMAGEs as pictures: channels, alpha, ranges, and what is no picture."""

import math

import pytest
import torch
from ip_adapter_nodes.ip_adapter.errors import PictureError
from ip_adapter_nodes.ip_adapter.host.encode import negative_image
from ip_adapter_nodes.ip_adapter.host.images import as_pictures
from ip_adapter_nodes.ip_adapter.prompts.noise import NoiseOptions
from ip_adapter_nodes.ip_adapter.prompts.preprocess import NEUTRAL

NEUTRAL_COLOUR = torch.tensor(NEUTRAL)[:, None, None]


def test_channels(generator):
    image = torch.rand(2, 5, 7, 4, generator=generator)
    colour, alpha = image[..., :3].movedim(-1, 1), image[..., 3:].movedim(-1, 1)
    assert torch.equal(as_pictures(image[..., :3]), colour)
    assert torch.allclose(as_pictures(image), alpha * colour + (1 - alpha) * NEUTRAL_COLOUR, atol=1e-6)
    grey = as_pictures(image[..., :1])
    assert torch.equal(grey, colour[:, :1].repeat(1, 3, 1, 1))
    expected = colour[:, 1:2] * colour[:, :1] + (1 - colour[:, 1:2]) * NEUTRAL_COLOUR
    assert torch.allclose(as_pictures(image[..., :2]), expected, atol=1e-6)


def test_alpha_at_its_ends_is_exact(generator):
    image = torch.rand(1, 4, 4, 3, generator=generator)
    full, none = (torch.cat([image, torch.full((1, 4, 4, 1), alpha)], dim=-1) for alpha in (1.0, 0.0))
    assert torch.equal(as_pictures(full), as_pictures(image))
    assert torch.equal(as_pictures(none), NEUTRAL_COLOUR.expand(1, 3, 4, 4))


def test_values_out_of_range_are_clamped():
    assert as_pictures(torch.tensor([[[[-1.0, 0.5, 9.0]]]])).flatten().tolist() == [0.0, 0.5, 1.0]


BAD = {
    "empty batch": torch.zeros(0, 4, 4, 3),
    "no height": torch.zeros(1, 0, 4, 3),
    "no channel": torch.zeros(1, 4, 4, 0),
    "no batch": torch.zeros(4, 4, 3),
    "five channels": torch.zeros(1, 4, 4, 5),
    "NaN": torch.full((1, 2, 2, 3), math.nan),
    "infinite": torch.full((1, 2, 2, 3), math.inf),
}


@pytest.mark.parametrize("image", BAD.values(), ids=BAD)
def test_pictures_that_are_none(image):
    with pytest.raises(PictureError, match=r"picture"):
        as_pictures(image)


def test_noise_is_made_of_a_picture_or_of_none():
    assert negative_image(None, NoiseOptions(size=24)).shape == (1, 24, 24, 3)
    with pytest.raises(PictureError):
        negative_image(torch.zeros(0, 8, 8, 3), NoiseOptions())
