"""Layer weights inside the host: the blocks of its own UNets, what ends in the patches, and the node."""

import pytest
import torch
from factories import adapter_tensors, make_adapter, make_prompt, relative_error
from host_support import formula
from host_support.calls import call_at, patches_of
from host_support.sampling import sample
from host_support.small_models import published_unet
from host_support.state import digests
from ip_adapter_nodes.ip_adapter import host
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.attention.key_value import NEGATIVE, POSITIVE
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.bases.base_models import BASE_SITES
from ip_adapter_nodes.ip_adapter.errors import SettingError, WrongBaseError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.weights.layer_weights import LayerWeights, site_strengths
from ip_adapter_nodes.ip_adapter.weights.weight_types import WEIGHT_TYPES, Direction
from ip_adapter_nodes.nodes.weights import LayerWeightsNode

HOST_BASES = {
    "Stable Diffusion 1.5": "sd15",
    "Stable Diffusion 2": "sd2",
    "SDXL": "sdxl",
    "SDXL refiner": "sdxl-refiner",
    "SSD-1B": "ssd-1b",
    "Segmind Vega": "vega",
    "KOALA 700M": "koala-700m",
}
TEXT = "in4.0:0.5, out3-4:2, mid:-1, in1:0"


@pytest.fixture(scope="module")
def tensors(sd15_sites):
    return adapter_tensors(sd15_sites)


@pytest.fixture(scope="module")
def apply(sd15, tensors):
    adapter = Adapter.of(TensorDict("test", tensors))
    return lambda model=None, **settings: host.apply(
        model or sd15, adapter, make_prompt(), host.ApplyOptions(**settings)
    )


@pytest.fixture(scope="module")
def linear(apply):
    """Keys and values of weight 1, by block."""
    return {block: patch.branches[0] for block, patch in patches_of(apply()).items()}


@pytest.mark.parametrize(("name", "base"), HOST_BASES.items())
def test_drawn_bases_are_those_of_the_host(name, base):
    assert BASE_SITES[name] == find_sites(published_unet(base))


@pytest.mark.parametrize("text", ["", TEXT], ids=["alone", "times layer weights"])
@pytest.mark.parametrize("weight_type", WEIGHT_TYPES)
def test_every_site_has_its_factor(sd15_sites, apply, linear, weight_type, text):
    """The factor stands in the values of the site's patch; a site of factor 0 has no patch."""
    weights = LayerWeights.parse(text)
    patches = patches_of(apply(weight=0.8, weight_type=weight_type, layer_weights=weights))
    strengths = dict(zip(sd15_sites, site_strengths(weight_type, weights, sd15_sites), strict=True))
    assert set(patches) == {site.block for site, strength in strengths.items() if strength.factor}
    for site, strength in strengths.items():
        if not strength.factor:
            continue
        (branch,) = patches[site.block].branches
        key, value = linear[site.block].key, 0.8 * strength.factor * linear[site.block].value
        if strength.direction is Direction.AWAY:
            key, value = key[[POSITIVE, POSITIVE]], torch.stack([value[POSITIVE], 0 * value[POSITIVE]])
        assert torch.equal(branch.key, key)
        assert torch.allclose(branch.value, value, rtol=1e-5, atol=1e-8)
        assert (NEGATIVE, POSITIVE) == (0, 1)


@pytest.mark.parametrize("chunks", [[1, 0], [0], [0, 1, 0]], ids=str)
def test_away_is_the_picture_on_the_negative_side(sd15_sites, apply, tensors, chunks):
    """At a composition block: negative rows see the positive picture, positive rows the text alone, bit for bit."""
    n, site = next((n, site) for n, site in enumerate(sd15_sites) if site.block == ("input", 8, 0))
    call = call_at(site, chunks, batch=2)
    given = call.of(patches_of(apply(weight_type="style transfer precise"))[site.block])
    text = call.of(patches_of(apply(weight_type="composition"))[site.block].base)
    tokens = formula.image_tokens(make_prompt().positive.pooled, tensors)
    for row, query in enumerate(call.query):
        if chunks[row // 2] == 0:
            assert torch.equal(given[row], text[row])
            continue
        picture = formula.image_row(query, tokens, torch.ones(4), tensors, n, site.heads)
        assert relative_error(given[row] - text[row], picture) <= 1e-5


def test_the_middle_block_takes_part(sd15, sd15_sites, apply):
    alone = apply(layer_weights=LayerWeights.parse("all:0, mid:1"))
    assert set(patches_of(alone)) == {("middle", 0, 0)}
    assert relative_error(sample(alone, steps=1), sample(sd15, steps=1)) > 1e-4


@pytest.mark.parametrize("text", ["all:0", "in:0, mid:0, out:0", "0-15:0", ", ".join(["0"] * 16)])
def test_a_table_of_zeros_is_the_bare_model(sd15, apply, text):
    model = apply(layer_weights=LayerWeights.parse(text))
    assert "attn2" not in model.model_options["transformer_options"].get("patches_replace", {})
    assert torch.equal(sample(model, steps=1), sample(sd15, steps=1))


def test_layers_that_the_model_lacks_leave_it_alone(sd15, apply):
    before = digests(sd15)
    with pytest.raises(SettingError, match=r"named in3 in Stable Diffusion 1\.5.*It has in1, in2, in4"):
        apply(layer_weights=LayerWeights.parse("in3:1"))
    assert digests(sd15) == before


def test_the_node_makes_weights_and_a_picture(sd15):
    weights, drawn = LayerWeightsNode.execute("style transfer", "in4:0.5", "SDXL").result
    assert weights == LayerWeights((("in4", 0.5),), "style transfer")
    assert drawn.shape[-2:] == (768, 3)
    assert drawn.dtype is torch.float32
    of_model = LayerWeightsNode.execute("style transfer", "in4:0.5", "SDXL", sd15).result[1]
    assert torch.equal(
        of_model, LayerWeightsNode.execute("style transfer", "in4:0.5", "Stable Diffusion 1.5").result[1]
    )
    assert not torch.equal(of_model, drawn)


def test_the_node_refuses_a_model_without_cross_attention(sd15):
    class Flux:
        def get_model_object(self, name):
            return torch.nn.Linear(1, 1)

    with pytest.raises(WrongBaseError, match="no UNet cross-attention"):
        LayerWeightsNode.execute("linear", "", "SDXL", Flux())


def test_weights_of_the_node_fit_every_adapter_of_the_base(sdxl, sdxl_sites):
    weights = LayerWeightsNode.execute("style and composition", "in8.3:0", "SDXL").result[0]
    patches = patches_of(
        host.apply(sdxl, make_adapter(sdxl_sites), make_prompt(), host.ApplyOptions(layer_weights=weights))
    )
    assert set(patches) == {("output", 1, n) for n in range(10)} | {("input", 8, n) for n in range(10) if n != 3}
