"""Other nodes of the host before and after ours: both take effect, in both orders, and every site keeps its formula."""

from collections.abc import Callable
from typing import Any

import comfy.hooks
import comfy.lora
import pytest
import torch
from comfy_extras.nodes_freelunch import FreeU_V2
from comfy_extras.nodes_hypertile import HyperTile
from comfy_extras.nodes_model_downscale import PatchModelAddDownscale
from comfy_extras.nodes_model_merging import ModelMergeSimple
from comfy_extras.nodes_pag import PerturbedAttentionGuidance
from comfy_extras.nodes_sag import SelfAttentionGuidance
from comfy_extras.nodes_tomesd import TomePatchModel
from factories import relative_error
from host_support.calls import patches_of
from host_support.controls import control_net, t2i_adapter
from host_support.oracle import Oracle
from host_support.sampling import noise_of, sample, text
from host_support.small_models import random_model
from host_support.spy import Spy

SIZE = (16, 24)  # its middle block has six tokens, which SAG makes a map of
WEIGHT = "diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"


@pytest.fixture(scope="module")
def oracle(sd15):
    return Oracle.of(sd15)


@pytest.fixture(scope="module")
def other():
    return random_model("sd15", seed=7)


def run(model, **more):
    torch.manual_seed(0)  # for nodes that draw from the global generator, as ToMe
    return sample(model, noise=noise_of(batch=1, size=SIZE), **{"steps": 1, **more})


def worst(oracle, spy, model):
    return oracle.worst(spy, text(model, 3)[0][0][0])


def first(node: Any, method: str, *arguments: Any) -> Any:
    """The MODEL that a node of the host gives, in either way in which its nodes are written."""
    given = getattr(node() if isinstance(getattr(node, "FUNCTION", None), str) else node, method)(*arguments)
    return getattr(given, "result", given)[0]


def call(node: Any, *arguments: Any) -> Any:
    return first(node, getattr(node, "FUNCTION", "execute"), *arguments)


def width(model):
    return model.model.state_dict()[WEIGHT].shape[0]


def lora(model):
    generator = torch.Generator().manual_seed(11)
    down, up = torch.randn(4, 768, generator=generator), torch.randn(width(model), 4, generator=generator)
    patches = comfy.lora.load_lora({"x.lora_down.weight": down, "x.lora_up.weight": up}, {"x": WEIGHT})
    clone = model.clone()
    assert clone.add_patches(patches, 0.5) == [WEIGHT]
    return clone


NODES: dict[str, Callable[[Any], Any]] = {
    "LoRA": lora,
    "FreeU": lambda model: call(FreeU_V2, model, 1.3, 1.4, 0.9, 0.2),
    "PAG": lambda model: call(PerturbedAttentionGuidance, model, 3.0),
    "SAG": lambda model: call(SelfAttentionGuidance, model, 0.5, 2.0),
    "HyperTile": lambda model: call(HyperTile, model, 64, 2, 0, False),
    "ToMe": lambda model: call(TomePatchModel, model, 0.5),
    "deep shrink": lambda model: call(PatchModelAddDownscale, model, 3, 2.0, 0.0, 0.9, True, "bicubic", "bicubic"),
}


@pytest.mark.parametrize("node", NODES.values(), ids=NODES)
def test_a_node_before_or_after_ours(sd15, oracle, node):
    bare, ours, theirs = run(sd15), run(oracle.apply(sd15)), run(node(sd15))
    before, after = oracle.apply(node(sd15)), node(oracle.apply(sd15))
    spy = Spy()
    assert relative_error(run(spy.on(before)), run(after)) <= 1e-6
    assert worst(oracle, spy, sd15) <= 1e-5
    both = run(before)
    assert min(relative_error(both, one) for one in (bare, ours, theirs)) > 1e-4


def test_merged_models(sd15, other, oracle):
    """A merge keeps the patches of its first model, whether ours came before or after."""
    before = oracle.apply(call(ModelMergeSimple, sd15, other, 0.6))
    after = call(ModelMergeSimple, oracle.apply(sd15), other, 0.6)
    assert set(patches_of(before)) == set(patches_of(after)) == {site.block for site in oracle.sites}
    assert set(before.patches) == set(after.patches) == set(sd15.get_key_patches("diffusion_model."))
    assert relative_error(run(before), run(after)) <= 1e-6


def test_two_adapters_in_either_order(sd15, oracle):
    second = Oracle(oracle.sites, {name: 0.5 * tensor.flip(0) for name, tensor in oracle.tensors.items()})
    mask = {"mask": torch.rand(1, 32, 48, generator=torch.Generator().manual_seed(1))}
    one, two = second.apply(oracle.apply(sd15), **mask), oracle.apply(second.apply(sd15, **mask))
    for cfg in (1.0, 0.0):  # the positive side alone, and the negative one
        assert relative_error(run(one, cfg=cfg), run(two, cfg=cfg)) <= 1e-6
    assert min(relative_error(run(one), run(x)) for x in (oracle.apply(sd15), second.apply(sd15, **mask))) > 1e-4


def hooked_lora(model):
    """A LoRA of one conditioning alone, as Create Hook LoRA and Set Model Hooks give it."""
    generator = torch.Generator().manual_seed(11)
    down, up = torch.randn(4, 768, generator=generator), torch.randn(width(model), 4, generator=generator)
    name = "lora_unet_" + WEIGHT.removeprefix("diffusion_model.").removesuffix(".weight").replace(".", "_")
    return {
        "hooks": comfy.hooks.create_hook_lora({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": up}, 0.5, 0)
    }


def hint():
    return torch.rand(1, 3, 8 * SIZE[0], 8 * SIZE[1], generator=torch.Generator().manual_seed(5))


MORE = {
    "ControlNet": lambda model: {"control": control_net(hint()), "control_apply_to_uncond": True},
    "T2I-Adapter": lambda model: {"control": t2i_adapter(hint()), "control_apply_to_uncond": True},
    "hooked LoRA": hooked_lora,
    "area": lambda model: {"area": (12, 16, 4, 8), "strength": 0.8},
    "mask": lambda model: {"mask": torch.eye(32)[None], "mask_strength": 0.8},
}


@pytest.mark.parametrize("more", MORE.values(), ids=MORE)
def test_a_conditioning_that_carries_more_than_text(sd15, oracle, more):
    [[row, extra]] = text(sd15, 20)
    given, spy = {"positive": [*text(sd15, 2), [row, extra | more(sd15)]]}, Spy()
    both, ours, theirs = run(spy.on(oracle.apply(sd15)), **given), run(oracle.apply(sd15)), run(sd15, **given)
    assert min(relative_error(both, one) for one in (ours, theirs)) > 1e-4
    assert worst(oracle, spy, sd15) <= 1e-5
    assert torch.equal(run(sd15, **given), theirs), "the bare model is as it was"
