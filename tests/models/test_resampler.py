"""The resampler against diffusers and against its formula."""

import math

import pytest
import torch
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from factories import randomise, relative_error
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from torch.nn import functional

SIZES = {
    "sd15 as published": ResamplerConfig(1280, 16, 768, inner_width=768, heads=12),
    "sdxl, a quarter as wide inside": ResamplerConfig(1280, 16, 2048, inner_width=320, heads=5),
    "small": ResamplerConfig(40, 5, 24, inner_width=32, heads=2),
}


@pytest.mark.parametrize("config", SIZES.values(), ids=SIZES)
def test_equals_diffusers(config, generator):
    resampler = randomise(Resampler(config), generator)
    weights = resampler.state_dict()
    reference = UNet2DConditionLoadersMixin()._convert_ip_adapter_image_proj_to_diffusers(
        weights, low_cpu_mem_usage=False
    )
    features = torch.randn(2, 257, config.feature_width, generator=generator)
    with torch.inference_mode():
        tokens = resampler(features)
        assert tokens.shape == (2, config.tokens, config.width)
        assert relative_error(tokens, reference(features)) <= 1e-5


def layer_norm(x, weights, name):
    mean = x.mean(-1, keepdim=True)
    spread = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / (spread + 1e-5).sqrt() * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(weights, layer, image, latents, heads):
    """Keys and values of patches and latents, query of the latents; query and key each scaled by d^(-1/4)."""
    image, latents = layer_norm(image, weights, f"{layer}.norm1"), layer_norm(latents, weights, f"{layer}.norm2")
    both = torch.cat([image, latents], dim=1)
    doubled = both @ weights[f"{layer}.to_kv.weight"].T
    inner = doubled.shape[-1] // 2
    sides = [latents @ weights[f"{layer}.to_q.weight"].T, doubled[..., :inner], doubled[..., inner:]]
    query, key, value = (side.reshape(*side.shape[:2], heads, inner // heads) for side in sides)
    scale = (inner // heads) ** -0.25
    scores = torch.einsum("bqhd,bkhd->bhqk", query * scale, key * scale).softmax(-1)
    out = torch.einsum("bhqk,bkhd->bqhd", scores, value).flatten(2)
    return out @ weights[f"{layer}.to_out.weight"].T


def by_hand(weights, config, features):
    weights = {name: tensor.double() for name, tensor in weights.items()}
    image = features.double() @ weights["proj_in.weight"].T + weights["proj_in.bias"]
    latents = weights["latents"].repeat(len(features), 1, 1)
    for index in range(config.depth):
        latents = latents + attend(weights, f"layers.{index}.0", image, latents, config.heads)
        hidden = layer_norm(latents, weights, f"layers.{index}.1.0") @ weights[f"layers.{index}.1.1.weight"].T
        hidden = 0.5 * hidden * (1 + torch.erf(hidden / math.sqrt(2)))
        latents = latents + hidden @ weights[f"layers.{index}.1.3.weight"].T
    return layer_norm(latents @ weights["proj_out.weight"].T + weights["proj_out.bias"], weights, "norm_out")


@pytest.mark.parametrize(
    "config",
    [SIZES["small"], ResamplerConfig(12, 1, 10, 16, 3, head_width=4, depth=3, hidden_width=20)],
    ids=["small", "inner attention width differs"],
)
def test_equals_the_formula(config, generator):
    resampler = randomise(Resampler(config), generator)
    features = torch.randn(2, 7, config.feature_width, generator=generator)
    with torch.inference_mode():
        assert relative_error(resampler(features).double(), by_hand(resampler.state_dict(), config, features)) <= 1e-5


def test_every_parameter_matters(generator):
    """A parameter that the forward pass forgot would leave the tokens as they are when it changes."""
    resampler = randomise(Resampler(SIZES["small"]), generator)
    resampler(torch.randn(1, 9, 40, generator=generator)).square().sum().backward()
    assert [name for name, parameter in resampler.named_parameters() if not parameter.grad.abs().max() > 0] == []


def test_order_of_patches_does_not_matter(generator):
    resampler = randomise(Resampler(SIZES["small"]), generator)
    features = torch.randn(1, 9, 40, generator=generator)
    assert functional.mse_loss(resampler(features), resampler(features.flip(1))) < 1e-10
