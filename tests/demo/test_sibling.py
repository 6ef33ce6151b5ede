"""The fine-tuned copy: its file in the host's LoRA loader, and the cut to a low rank against NumPy."""

import os

import numpy
import pytest
import torch

pytestmark = pytest.mark.skipif("IP_ADAPTER_NODES_HOST" not in os.environ, reason="needs the host")


@pytest.fixture(scope="module")
def base():
    from ip_adapter_nodes.demo.training.shipped import load_base

    return load_base()[0].requires_grad_(False)


@pytest.fixture(scope="module")
def other(base):
    """The base with every parameter changed at random."""
    import copy

    torch.manual_seed(0)
    changed = copy.deepcopy(base)
    for parameter in changed.unet.parameters():
        parameter += 0.01 * torch.randn(parameter.shape)
    return changed


def test_the_hosts_loader_makes_the_base_into_the_copy(base, other):
    """Every weight, those of normalisations and biases among them."""
    import comfy.sd
    import comfy.utils
    from ip_adapter_nodes.demo.studio import Studio, inference
    from ip_adapter_nodes.demo.training.sibling import difference, with_difference

    tensors = difference(base.unet, other.unet, rank=3)
    ours = with_difference(base, tensors)
    with inference():
        patched = comfy.sd.load_lora_for_models(Studio().model, None, tensors, 1.0, 0.0)[0]
        patched.patch_model()
        theirs = patched.model.diffusion_model.state_dict()
    assert set(theirs) == set(ours.unet.state_dict())
    for name, parameter in ours.unet.named_parameters():
        moved = (parameter - base.unet.get_parameter(name)).abs().max()
        assert moved > 0
        assert (theirs[name].float() - parameter).abs().max() < 1e-4 * moved + 1e-6, name


def test_the_cut_is_the_nearest_of_its_rank(base, other):
    """Its distance is what the singular values that are left out say."""
    from ip_adapter_nodes.demo.training.sibling import difference, with_difference

    name = "output_blocks.0.0.in_layers.2.weight"
    whole = (other.unet.get_parameter(name) - base.unet.get_parameter(name)).flatten(1)
    left_out = numpy.linalg.svd(whole.double().numpy(), compute_uv=False)[5:]
    cut = with_difference(base, difference(base.unet, other.unet, rank=5)).unet.get_parameter(name)
    distance = (other.unet.get_parameter(name) - cut).norm().item()
    assert distance == pytest.approx(float(numpy.sqrt((left_out**2).sum())), rel=1e-4)


def test_the_shipped_copy_has_the_look(base):
    from ip_adapter_nodes.demo import comic, world
    from ip_adapter_nodes.demo.measure import held_out
    from ip_adapter_nodes.demo.training.ablations.sampler import sample
    from ip_adapter_nodes.demo.training.shipped import load_base
    from ip_adapter_nodes.demo.training.sibling import load_sibling

    texts = [world.caption(labels) for labels in held_out(8).labels.tolist()]
    noise = torch.randn(8, 4, 16, 16, generator=torch.Generator().manual_seed(0))
    autoencoder = load_base()[1]
    with torch.no_grad():
        black = [
            comic.blackness(autoencoder.decode(sample(m, texts, noise))).mean() for m in (base, load_sibling(base))
        ]
    assert black[1] > black[0] + 0.04
