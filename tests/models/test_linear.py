"""The linear projector against diffusers and against its formula, in the published sizes."""

import pytest
import torch
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from factories import randomise, relative_error
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector

PUBLISHED = {
    "sd15": LinearConfig(1024, 4, 768),
    "sd15 vit-G": LinearConfig(1280, 4, 768),
    "sdxl": LinearConfig(1280, 4, 2048),
    "sdxl vit-h": LinearConfig(1024, 4, 2048),
}


def by_hand(weights, config, features):
    rows = (features @ weights["proj.weight"].T + weights["proj.bias"]).reshape(-1, config.tokens, config.width)
    mean = rows.mean(-1, keepdim=True)
    spread = ((rows - mean) ** 2).mean(-1, keepdim=True)
    return (rows - mean) / (spread + 1e-5).sqrt() * weights["norm.weight"] + weights["norm.bias"]


@pytest.mark.parametrize("config", PUBLISHED.values(), ids=PUBLISHED)
def test_equals_diffusers_and_the_formula(config, generator):
    projector = randomise(LinearProjector(config), generator)
    weights = projector.state_dict()
    reference = UNet2DConditionLoadersMixin()._convert_ip_adapter_image_proj_to_diffusers(
        weights, low_cpu_mem_usage=False
    )
    features = torch.randn(3, config.feature_width, generator=generator)
    with torch.inference_mode():
        tokens = projector(features)
        assert tokens.shape == (3, config.tokens, config.width)
        assert relative_error(tokens, reference(features)) <= 1e-5
        assert relative_error(tokens, by_hand(weights, config, features)) <= 1e-5


def test_parameters_have_the_published_names_and_shapes():
    shapes = {name: tuple(tensor.shape) for name, tensor in LinearProjector(PUBLISHED["sd15"]).state_dict().items()}
    assert shapes == {"proj.weight": (3072, 1024), "proj.bias": (3072,), "norm.weight": (768,), "norm.bias": (768,)}


@pytest.mark.parametrize("tokens", [1, 16])
def test_any_number_of_tokens_keeps_pictures_apart(tokens, generator):
    projector = randomise(LinearProjector(LinearConfig(8, tokens, 6)), generator)
    features = torch.randn(5, 8, generator=generator)
    together = projector(features)
    assert torch.allclose(together, torch.cat([projector(row[None]) for row in features]), atol=1e-6)
    assert not torch.allclose(together[0], together[1], atol=1e-2)
