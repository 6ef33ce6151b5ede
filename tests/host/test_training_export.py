"""The file that training writes: the same adapter in our nodes and in diffusers."""

import json

import pytest
import torch
from factories import key_values, make_prompt, randomise, relative_error
from host_support.diffusers_twin import load_adapter, pair
from host_support.training import config
from ip_adapter_nodes.ip_adapter.attention.key_value import POSITIVE
from ip_adapter_nodes.ip_adapter.host.denoiser import HostDenoiser
from ip_adapter_nodes.ip_adapter.training.batch import Text
from ip_adapter_nodes.ip_adapter.training.export import export
from ip_adapter_nodes.ip_adapter.training.kinds import projector_for
from ip_adapter_nodes.ip_adapter.training.noising import Noising, Prediction
from ip_adapter_nodes.ip_adapter.training.trainable import TrainableAdapter
from ip_adapter_nodes.models.facts import Kind, Widths
from safetensors import safe_open
from safetensors.torch import load_file

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
STAGE_WIDTHS = {Kind.STANDARD: 1024, Kind.PLUS: 1280}


@pytest.fixture(scope="module")
def twin():
    model, unet = pair("sd15")
    return model.model.diffusion_model, unet


@pytest.fixture(params=STAGE_WIDTHS)
def trained(request, twin, generator):
    """An adapter as training leaves it, its kind, and features of two pictures."""
    kind = request.param
    adapter = TrainableAdapter(twin[0], projector_for(kind, Widths(768, STAGE_WIDTHS[kind])))
    return randomise(adapter, generator).eval(), kind, make_prompt(pictures=2)


def exported(trained, folder):
    adapter, kind, _ = trained
    return export(folder / "trained.safetensors", adapter.published(), config(folder, kind=kind.value), 6)


def test_keys_and_values_are_those_that_were_trained(trained, tmp_path):
    adapter, kind, prompt = trained
    loaded = exported(trained, tmp_path)
    assert (loaded.spec.kind, loaded.spec.base.value) == (kind, "sd15")
    tokens = adapter.image_proj(prompt.positive.at(loaded.spec.stage)).flatten(0, 1)
    given = list(key_values(loaded, prompt, adapter.sites, [1.0] * 16))
    for one, matrices in zip(given, adapter.ip_adapter.children(), strict=True):
        for made, matrix in ((one.key, matrices.to_k_ip), (one.value, matrices.to_v_ip)):
            expected = matrix(tokens).unflatten(-1, (one.site.heads, -1)).transpose(0, 1)
            assert relative_error(made[POSITIVE], expected) <= 1e-6


def test_the_unet_predicts_what_it_predicts_in_diffusers(trained, twin, tmp_path, generator):
    """diffusers reads the file; the prediction of ours is that of the training."""
    adapter, _, prompt = trained
    loaded = exported(trained, tmp_path)
    host_unet, unet = twin
    load_adapter(unet, load_file(tmp_path / "trained.safetensors"), 1.0)
    noisy, text = torch.randn(2, 4, 8, 8, generator=generator), torch.randn(2, 5, 768, generator=generator)
    timesteps, features = torch.tensor([10, 900]), prompt.positive.at(loaded.spec.stage)
    expected = unet(noisy, timesteps, text, added_cond_kwargs={"image_embeds": [features[:, None]]}).sample
    base = HostDenoiser(host_unet, Noising(torch.ones(1000), torch.zeros(1000), Prediction.NOISE))
    given = base.predict(noisy, timesteps, Text(text, None), adapter(features))
    assert relative_error(given, expected) <= 1e-4
    bare = host_unet(noisy, timesteps.float(), context=text)
    assert relative_error(bare, expected) > 0.1


def test_the_file_has_the_published_names_and_says_how_it_was_made(trained, tmp_path):
    adapter, kind, _ = trained
    chosen = config(tmp_path, kind=kind.value, result="float16")
    export(tmp_path / "half.safetensors", adapter.published(), chosen, 6)
    with safe_open(tmp_path / "half.safetensors", "pt") as file:
        names, metadata = set(file.keys()), file.metadata()
        assert file.get_slice("ip_adapter.31.to_v_ip.weight").get_dtype() == "F16"
    matrices = {f"ip_adapter.{number}.to_{x}_ip.weight" for number in range(1, 32, 2) for x in "kv"}
    assert matrices == {name for name in names if name.startswith("ip_adapter.")}
    assert {name.split(".")[0] for name in names - matrices} == {"image_proj"}
    assert metadata["ip_adapter_nodes.kind"] == kind.value
    assert metadata["ip_adapter_nodes.steps"] == "6"
    recipe = json.loads(metadata["ip_adapter_nodes.recipe"])
    assert (recipe["learning_rate"], recipe["drop_text"], recipe["base"]) == (1e-3, 0.05, "nowhere")
