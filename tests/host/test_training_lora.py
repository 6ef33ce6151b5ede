"""The LoRA that FaceID adapters are trained with: in training, in the file, in our nodes and in diffusers."""

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from factories import make_features, randomise, relative_error
from host_support.diffusers_twin import load_adapter, pair
from host_support.faces import LORA_RANK, face_tensors, make_faces
from host_support.sampling import sample
from host_support.training import CONTEXT_WIDTH, config, tiny_base
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.faces.prompt import FaceFeatures, FacePrompt
from ip_adapter_nodes.ip_adapter.host.denoiser import HostDenoiser, replacements
from ip_adapter_nodes.ip_adapter.training.batch import Text
from ip_adapter_nodes.ip_adapter.training.export import export
from ip_adapter_nodes.ip_adapter.training.kinds import projector_for
from ip_adapter_nodes.ip_adapter.training.noising import Noising, Prediction
from ip_adapter_nodes.ip_adapter.training.trainable import TrainableAdapter
from ip_adapter_nodes.models.facts import Kind, Widths
from safetensors.torch import load_file
from torch import Tensor

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
SAME, MATTERS = 1e-4, 0.05  # relative


@dataclass(frozen=True)
class Trained:
    """A MODEL as training leaves it, its adapter, and what that reads of a face."""

    kind: Kind
    model: Any
    adapter: TrainableAdapter
    prompt: FacePrompt
    file: Adapter

    @property
    def seen(self) -> tuple[Tensor, ...]:
        return self.prompt.inputs(self.file.spec).positive


@pytest.fixture(scope="module", params=[Kind.FACEID, Kind.FACEID_PLUS_V2])
def trained(request, tmp_path_factory):
    kind, folder = request.param, tmp_path_factory.mktemp("trained")
    with torch.inference_mode():
        model, _ = pair("sd15")
        adapter = TrainableAdapter(model.model.diffusion_model, projector_for(kind, Widths(768, 1280)), LORA_RANK)
        randomise(adapter, torch.Generator().manual_seed(0)).eval()
        look = FaceFeatures(make_features(1, 4), make_features(1, 5)) if kind is Kind.FACEID_PLUS_V2 else None
        file = export(folder / "trained.safetensors", adapter.published(), config(folder, kind=kind.value), 6)
        return Trained(kind, model, adapter, FacePrompt(make_faces(1), look), file)


def test_names_and_shapes_are_the_published_ones(trained):
    sites = find_sites(trained.model.model.diffusion_model)
    expected = {name: tensor.shape for name, tensor in face_tensors(trained.kind, sites, with_lora=True).items()}
    assert {name: tensor.shape for name, tensor in load_file(trained.file.source.path).items()} == expected
    assert trained.file.spec.lora_rank == LORA_RANK


def test_our_nodes_draw_with_the_file_what_training_computed(trained):
    in_training = trained.model.clone()
    for block, replacement in replacements(trained.adapter(*trained.seen)).items():
        in_training.set_model_attn2_replace(replacement, *block)
    expected = sample(in_training, cfg=1.0)
    bare, _ = pair("sd15")

    def applied(lora_weight: float):
        return host.apply(bare, trained.file, trained.prompt, host.ApplyOptions(weight=1.0), lora_weight)

    assert relative_error(sample(applied(1.0), cfg=1.0), expected) <= SAME
    assert relative_error(sample(applied(0.0), cfg=1.0), expected) > MATTERS


def in_diffusers(trained, unet, noisy: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
    """diffusers sorts the file into its layers and names the LoRA's; the LoRA is added here, as peft would."""
    tensors = load_file(trained.file.source.path)
    parts = {name.removeprefix("ip_adapter."): tensor for name, tensor in tensors.items() if "_lora." in name}
    loras = unet._load_ip_adapter_loras([{"ip_adapter": parts}])[0]
    for name in [name for name in loras if name.endswith(".down.weight")]:
        path, _, lora = name.removeprefix("unet.").partition(".processor.")
        layer = lora.split(".")[0].removesuffix("_lora").replace("to_out", "to_out.0")
        change = loras[name.replace(".down.", ".up.")] @ loras[name]
        unet.get_submodule(f"{path}.{layer}").weight.data += change
    load_adapter(unet, tensors, 1.0)
    vectors, *features = trained.seen
    if features:
        projection = unet.encoder_hid_proj.image_projection_layers[0]
        projection.clip_embeds = features[0][None].repeat(len(noisy), 1, 1, 1)
        projection.shortcut = True
    images = [vectors[None].repeat(len(noisy), 1, 1)]
    return unet(noisy, timesteps, text, added_cond_kwargs={"image_embeds": images}).sample


def test_training_predicts_what_diffusers_does_with_the_file(trained, generator):
    noisy, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, 768, generator=generator)
    timesteps = torch.tensor([10, 900])
    bare, unet = pair("sd15")
    given = [
        HostDenoiser(
            model.model.diffusion_model, Noising(torch.ones(1000), torch.zeros(1000), Prediction.NOISE)
        ).predict(noisy, timesteps, Text(text, None), trained.adapter(*trained.seen))
        for model in (trained.model, bare)
    ]
    expected = in_diffusers(trained, unet, noisy, timesteps, text)
    assert relative_error(given[0], expected) <= SAME
    assert relative_error(given[1], expected) > MATTERS


def test_before_the_first_step_the_base_predicts_as_it_did(generator):
    noisy, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, CONTEXT_WIDTH, generator=generator)
    faces, predictions = torch.randn(2, 512, generator=generator), []
    for rank in (0, 4):
        base = tiny_base()
        torch.manual_seed(0)
        adapter = TrainableAdapter(base.unet, projector_for(Kind.FACEID, Widths(CONTEXT_WIDTH)), rank)
        predictions.append(base.predict(noisy, torch.tensor([10, 900]), Text(text, None), adapter(faces)))
    assert torch.equal(*predictions)
