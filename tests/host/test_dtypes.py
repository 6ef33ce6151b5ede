"""Every precision of adapter and model on the CPU: nothing fails, everything stays finite and near float32."""

from itertools import product

import comfy.model_patcher
import pytest
import torch
from factories import adapter_tensors, make_prompt, relative_error
from host_support.sampling import sample
from host_support.small_models import randomise, supported_model
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict

ADAPTERS = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
# Stored precision, and the one that the host casts to for computing.
MODELS = {
    "fp32": (torch.float32, None),
    "bf16": (torch.bfloat16, None),
    "fp8 computed in bf16": (torch.float8_e4m3fn, torch.bfloat16),
    "fp8 computed in fp32": (torch.float8_e4m3fn, torch.float32),
}
# The same stored weights, computed in float32.
EXACT = {"bf16": "fp32", "fp8 computed in bf16": "fp8 computed in fp32"}


def model_of(stored, computed):
    supported = supported_model("sd15")
    supported.set_inference_dtype(stored, computed)
    cpu = torch.device("cpu")
    module = supported.get_model({}, device="cpu").eval()
    randomise(module.diffusion_model, torch.Generator().manual_seed(0))
    return comfy.model_patcher.ModelPatcher(module, load_device=cpu, offload_device=cpu)


@pytest.fixture(scope="module")
def models():
    return {name: model_of(*dtypes) for name, dtypes in MODELS.items()}


def adapter_of(sites, dtype):
    return Adapter.of(TensorDict("a", {name: x.to(dtype) for name, x in adapter_tensors(sites, "plus").items()}))


def patched(model, sites, dtype):
    return sample(host.apply(model, adapter_of(sites, dtype), make_prompt(), host.ApplyOptions()), steps=1)


@pytest.fixture(scope="module")
def expected(models, sd15_sites):
    """With the adapter in float32, each model in its own precision."""
    with torch.inference_mode():
        return {name: patched(model, sd15_sites, torch.float32) for name, model in models.items()}


@pytest.fixture(scope="module")
def bare(models):
    with torch.inference_mode():
        return {name: sample(model, steps=1) for name, model in models.items()}


@pytest.mark.parametrize(("adapter", "model"), list(product(ADAPTERS, MODELS)))
def test_the_adapters_precision_costs_no_more_than_rounding_does(models, expected, bare, sd15_sites, adapter, model):
    """Not more than a few roundings of its weights, or than two runs that each lose what the bare model loses."""
    latents = patched(models[model], sd15_sites, ADAPTERS[adapter])
    roundings = 4 * torch.finfo(ADAPTERS[adapter]).eps
    own = relative_error(bare[model], bare[EXACT.get(model, model)])
    assert latents.isfinite().all()
    assert relative_error(latents, expected[model]) <= max(roundings, 2 * own)


@pytest.mark.parametrize("model", MODELS)
def test_the_picture_acts_in_every_precision(expected, bare, model):
    assert relative_error(expected[model], bare[model]) > 0.05


@pytest.mark.parametrize("model", MODELS)
def test_keys_and_values_are_kept_in_the_precision_of_computing(models, sd15_sites, model):
    clone = host.apply(models[model], adapter_of(sd15_sites, torch.float16), make_prompt(), host.ApplyOptions())
    patches = clone.model_options["transformer_options"]["patches_replace"]["attn2"].values()
    compute = MODELS[model][1] or MODELS[model][0]
    assert {
        tensor.dtype for patch in patches for branch in patch.branches for tensor in (branch.key, branch.value)
    } == {compute}
