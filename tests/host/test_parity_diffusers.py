"""The same random weights in the host with our adapter and in diffusers with its own: the same latents."""

import pytest
import torch
from factories import relative_error
from host_support.parity import Twin

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
LATENTS, EFFECT = 1e-4, 1e-3  # relative tolerances, over 4 steps with cfg and two pictures at once
BASES = ["sd15", "sd15-inpaint", "sd2-v", "sdxl", "sdxl-refiner", "ssd-1b", "vega"]
CASES = [(base, "standard") for base in BASES] + [("sd15", "plus"), ("sdxl", "plus")]


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def twin(request) -> Twin:
    with torch.inference_mode():
        return Twin.of(*request.param)


def test_latents_of_the_bare_model_equal_those_of_diffusers(twin):
    assert relative_error(twin.host_bare, twin.bare) <= LATENTS


def test_latents_equal_those_of_diffusers(twin):
    assert relative_error(twin.host_patched, twin.patched) <= LATENTS


def test_the_effect_of_the_pictures_equals_that_in_diffusers(twin):
    effect, expected = twin.host_patched - twin.host_bare, twin.patched - twin.bare
    assert relative_error(twin.patched, twin.bare) > 0.1, "the pictures must matter for this comparison to say anything"
    assert relative_error(effect, expected) <= EFFECT
