"""FaceID adapters of every kind against diffusers with the same random weights, their LoRA switched on."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from factories import make_features, relative_error
from host_support.diffusers_twin import Inputs, denoise, load_adapter, pair
from host_support.faces import face_tensors, fold_lora, make_faces
from host_support.sampling import noise_of, sample, text
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.faces.prompt import FaceFeatures, FacePrompt
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
WEIGHT, LORA_WEIGHT, STRUCTURE_WEIGHT = 0.8, 0.6, 0.7
LATENTS, EFFECT = 1e-4, 1e-3  # relative tolerances, over 4 steps with cfg and two pictures at once
CASES = [
    ("sd15", "faceid"),
    ("sd15", "faceid-plus"),
    ("sd15", "faceid-plus-v2"),
    ("sd15", "faceid-portrait"),
    ("sdxl", "faceid"),
    ("sdxl", "faceid-portrait-unnorm"),
]


@dataclass(frozen=True)
class Twin:
    """Latents of the bare model and of the adapter, in diffusers and in the host."""

    bare: Tensor
    patched: Tensor
    host_bare: Tensor
    host_patched: Tensor


def in_diffusers(unet: Any, inputs: Inputs, tensors: dict[str, Tensor], kind: str, prompt: FacePrompt) -> Tensor:
    fold_lora(unet, tensors, LORA_WEIGHT)
    load_adapter(unet, {name: tensor for name, tensor in tensors.items() if "_lora." not in name}, WEIGHT)
    vectors = prompt.faces.embeddings if kind == "faceid-portrait-unnorm" else prompt.faces.normed
    if kind == "faceid-portrait-unnorm":
        vectors = vectors[:, None]  # as a sequence of one, which diffusers' resampler reads
    if prompt.look is not None:
        batch, projection = len(inputs.noise), unet.encoder_hid_proj.image_projection_layers[0]
        positive = prompt.look.features.penultimate
        sides = (prompt.look.zero_picture.penultimate.expand_as(positive), positive)
        projection.clip_embeds = torch.cat([side[None].repeat(batch, 1, 1, 1) for side in sides])
        projection.shortcut, projection.shortcut_scale = kind == "faceid-plus-v2", STRUCTURE_WEIGHT
    return denoise(unet, inputs, (torch.zeros_like(vectors), vectors))


def in_host(model: Any, inputs: Inputs, tensors: dict[str, Tensor], kind: str, prompt: FacePrompt) -> Tensor:
    # What no tensor tells of these kinds, their names do.
    adapter = Adapter.of(TensorDict(f"{kind}.bin", tensors))
    assert adapter.spec.kind == kind
    patched = host.apply(model, adapter, prompt, host.ApplyOptions(weight=WEIGHT), LORA_WEIGHT)
    return latents(patched, inputs)


def latents(model: Any, inputs: Inputs) -> Tensor:
    given = {"positive": inputs.positive, "negative": inputs.negative, "noise": inputs.noise}
    return model.model.process_latent_in(sample(model, **given))


@pytest.fixture(scope="module", params=CASES, ids="-".join)
def twin(request) -> Twin:
    base, kind = request.param
    with torch.inference_mode():
        model, unet = pair(base)
        inputs = Inputs(noise_of(), text(model, 2), text(model, 3))
        tensors = face_tensors(kind, find_sites(model.model.diffusion_model), with_lora="portrait" not in kind)
        look = FaceFeatures(make_features(2, 4), make_features(1, 5)) if "plus" in kind else None
        prompt = FacePrompt(make_faces(2), look, STRUCTURE_WEIGHT)
        bare = denoise(unet, inputs, None)
        patched = in_diffusers(unet, inputs, tensors, kind, prompt)
        return Twin(bare, patched, latents(model, inputs), in_host(model, inputs, tensors, kind, prompt))


def test_latents_equal_those_of_diffusers(twin):
    assert relative_error(twin.host_patched, twin.patched) <= LATENTS


def test_the_effect_of_the_faces_equals_that_in_diffusers(twin):
    effect, expected = twin.host_patched - twin.host_bare, twin.patched - twin.bare
    assert relative_error(twin.patched, twin.bare) > 0.1, "the faces must matter for this comparison to say anything"
    assert relative_error(effect, expected) <= EFFECT
