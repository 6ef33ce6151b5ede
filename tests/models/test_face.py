"""The FaceID projectors against diffusers, and against their formula where diffusers cannot load them (Kolors)."""

import pytest
import torch
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from factories import randomise, relative_error
from ip_adapter_nodes.models.face import FaceConfig, FaceProjector
from ip_adapter_nodes.models.face_perceiver import FacePerceiver, FacePerceiverConfig
from ip_adapter_nodes.models.resampler import ResamplerConfig
from torch import nn
from torch.nn import functional

FACE_CONFIGS = {
    "FaceID, SD1.5": FaceConfig(512, 1024, 4, 768),
    "FaceID, SDXL": FaceConfig(512, 1024, 4, 2048),
    "Portrait, SD1.5": FaceConfig(512, 1024, 16, 768),
    "Portrait, SDXL": FaceConfig(512, 1024, 16, 2048),
}


def face_vectors(generator, count=2):
    return functional.normalize(torch.randn(count, 512, generator=generator), dim=-1)


def in_diffusers(projector: nn.Module) -> nn.Module:
    return UNet2DConditionLoadersMixin()._convert_ip_adapter_image_proj_to_diffusers(
        projector.state_dict(), low_cpu_mem_usage=False
    )


@pytest.mark.parametrize("config", FACE_CONFIGS.values(), ids=FACE_CONFIGS)
def test_face_projector_equals_diffusers(config, generator):
    projector, faces = randomise(FaceProjector(config), generator), face_vectors(generator)
    with torch.inference_mode():
        tokens = projector(faces)
        assert tokens.shape == (2, config.tokens, config.width)
        assert relative_error(tokens, in_diffusers(projector)(faces)) <= 1e-5


def perceiver_config(width, shortcut, *, feature_width=1280, tokens=4):
    return FacePerceiverConfig(
        FaceConfig(512, 1024, tokens, width),
        ResamplerConfig(feature_width, tokens, width, inner_width=width, heads=width // 64),
        shortcut,
    )


@pytest.mark.parametrize("structure_weight", [1.0, 0.25])
@pytest.mark.parametrize("shortcut", [False, True], ids=["v1", "v2"])
@pytest.mark.parametrize("width", [768, 320])
def test_face_perceiver_equals_diffusers(width, shortcut, structure_weight, generator):
    projector = randomise(FacePerceiver(perceiver_config(width, shortcut)), generator)
    reference = in_diffusers(projector)
    faces, patches = face_vectors(generator), torch.randn(2, 257, 1280, generator=generator)
    # diffusers takes the patches beside the call, one more dimension for the pictures of a prompt.
    reference.clip_embeds, reference.shortcut, reference.shortcut_scale = patches[:, None], shortcut, structure_weight
    with torch.inference_mode():
        tokens = projector(faces, patches, structure_weight=structure_weight)
        assert relative_error(tokens, reference(faces)) <= 1e-5


def perceived(weights, latents, patches, heads):
    """The perceiver of FaceID-Plus by its formula, in float64."""

    def layer_norm(x, name):
        return functional.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"])

    image = patches @ weights["proj_in.weight"].T + weights["proj_in.bias"]
    for n in range(4):
        own, other = layer_norm(latents, f"layers.{n}.0.norm2"), layer_norm(image, f"layers.{n}.0.norm1")
        key, value = (torch.cat([other, own], 1) @ weights[f"layers.{n}.0.to_kv.weight"].T).chunk(2, dim=-1)
        query = own @ weights[f"layers.{n}.0.to_q.weight"].T
        query, key, value = (x.unflatten(-1, (heads, -1)).transpose(1, 2) for x in (query, key, value))
        scores = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
        latents = latents + (scores @ value).transpose(1, 2).flatten(2) @ weights[f"layers.{n}.0.to_out.weight"].T
        hidden = functional.gelu(layer_norm(latents, f"layers.{n}.1.0") @ weights[f"layers.{n}.1.1.weight"].T)
        latents = latents + hidden @ weights[f"layers.{n}.1.3.weight"].T
    return layer_norm(latents @ weights["proj_out.weight"].T + weights["proj_out.bias"], "norm_out")


def test_face_perceiver_of_kolors_equals_the_formula(generator):
    """Six tokens and patches of width 1024 as published; a quarter as wide inside."""
    config = perceiver_config(1024, True, feature_width=1024, tokens=6)
    projector = randomise(FacePerceiver(config), generator).double()
    faces, patches = face_vectors(generator, 1).double() * 20, torch.randn(1, 577, 1024, generator=generator).double()
    weights = projector.state_dict()
    hidden = functional.gelu(faces @ weights["proj.0.weight"].T + weights["proj.0.bias"])
    identity = (hidden @ weights["proj.2.weight"].T + weights["proj.2.bias"]).reshape(1, 6, 1024)
    identity = functional.layer_norm(identity, (1024,), weights["norm.weight"], weights["norm.bias"])
    inner = {name.removeprefix("perceiver_resampler."): w for name, w in weights.items() if "perceiver" in name}
    with torch.inference_mode():
        expected = identity + 0.7 * perceived(inner, identity, patches, 16)
        assert relative_error(projector.float()(faces.float(), patches.float(), 0.7).double(), expected) <= 1e-5
