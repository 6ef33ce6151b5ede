"""The full-face projector against diffusers."""

import torch
from diffusers.loaders.unet import UNet2DConditionLoadersMixin
from factories import randomise, relative_error
from ip_adapter_nodes.models.mlp import MlpConfig, MlpProjector


def test_equals_diffusers(generator):
    projector = randomise(MlpProjector(MlpConfig(1280, 1280, 768)), generator)
    reference = UNet2DConditionLoadersMixin()._convert_ip_adapter_image_proj_to_diffusers(
        projector.state_dict(), low_cpu_mem_usage=False
    )
    features = torch.randn(2, 257, 1280, generator=generator)
    with torch.inference_mode():
        tokens = projector(features)
        assert tokens.shape == (2, 257, 768)
        assert relative_error(tokens, reference(features)) <= 1e-5


def test_every_patch_is_projected_by_itself(generator):
    projector = randomise(MlpProjector(MlpConfig(12, 20, 8)), generator)
    features = torch.randn(1, 5, 12, generator=generator)
    with torch.inference_mode():
        assert relative_error(projector(features)[:, 3:4], projector(features[:, 3:4])) <= 1e-5
