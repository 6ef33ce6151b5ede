"""One adapter in every layout in which adapters are found: the same description, the same keys and values."""

import pytest
import torch
from diffusers import UNet2DConditionModel
from factories import key_values, make_prompt, randomise, site_tensors
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.errors import AdapterFileError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict, read_tensors
from ip_adapter_nodes.ip_adapter.recognition.layouts import canonical
from ip_adapter_nodes.models.linear import LinearConfig, LinearProjector
from ip_adapter_nodes.models.resampler import Resampler, ResamplerConfig
from safetensors.torch import save_file

CONTEXT = 64
# Two cross-attentions in the down path, three in the up path, one in the middle: the published order.
SITES = tuple(
    Site(block, width, CONTEXT, 2)
    for block, width in (
        (("input", 1, 0), 32),
        (("input", 2, 0), 32),
        (("output", 1, 0), 32),
        (("output", 2, 0), 32),
        (("output", 3, 0), 32),
        (("middle", 0, 0), 64),
    )
)
# The same cross-attentions under diffusers' names.
PATHS = (
    "down_blocks.0.attentions.0",
    "down_blocks.0.attentions.1",
    "up_blocks.1.attentions.0",
    "up_blocks.1.attentions.1",
    "up_blocks.1.attentions.2",
    "mid_block.attentions.0",
)
KINDS = ("standard", "plus")


def tensors_of(kind):
    """diffusers knows resamplers only with the published ratio of 4 between hidden and inner width."""
    config = ResamplerConfig(1280, 16, CONTEXT, inner_width=64, heads=1)
    module = LinearProjector(LinearConfig(1024, 4, CONTEXT)) if kind == "standard" else Resampler(config)
    generator = torch.Generator().manual_seed(0)
    projector = {
        f"image_proj.{name}": tensor.detach() for name, tensor in randomise(module, generator).state_dict().items()
    }
    return projector | site_tensors(SITES, generator)


@pytest.fixture(params=KINDS)
def tensors(request):
    return tensors_of(request.param)


def nested(tensors, names=("image_proj", "ip_adapter")):
    groups = {name: {} for name in names}
    for name, tensor in tensors.items():
        group, inner = name.split(".", 1)
        groups[names[group == "ip_adapter"]][inner] = tensor
    return groups


def trained(tensors):
    """What the reference's training script saves: its modules' names, beside the whole UNet."""
    renamed = {
        name.replace("image_proj.", "image_proj_model.").replace("ip_adapter.", "adapter_modules."): tensor
        for name, tensor in tensors.items()
    }
    return renamed | {"unet.conv_in.weight": torch.zeros(4, 4), "unet.encoder_hid_proj.weight": torch.zeros(2, 2)}


def in_unet(tensors):
    """The same, where tensors that two modules share were kept under the UNet's names only."""
    saved = {"unet.conv_in.weight": torch.zeros(4, 4)}
    for name, tensor in tensors.items():
        _, number, *rest = name.split(".")
        if name.startswith("ip_adapter."):
            block = f"unet.{PATHS[int(number) // 2]}.transformer_blocks.0.attn2.processor"
            saved[".".join([block, *rest])] = tensor
        else:
            saved[name.replace("image_proj.", "image_proj_model.")] = tensor
    return saved


def twice(tensors):
    return tensors | {name: tensor.clone() for name, tensor in trained(tensors).items()}


def of_diffusers(tensors):
    """The state dictionary of a real UNet of diffusers that has loaded the adapter, without the UNet itself."""
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(32, 64),
        norm_num_groups=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        mid_block_type="UNetMidBlock2DCrossAttn",
        layers_per_block=2,
        attention_head_dim=2,
        cross_attention_dim=CONTEXT,
    )
    unet._load_ip_adapter_weights([nested(tensors)])
    return {
        name: tensor.clone()
        for name, tensor in unet.state_dict().items()
        if "_ip." in name or name.startswith("encoder_hid_proj.")
    }


LAYOUTS = {
    "flat": dict,
    "published pickle": nested,
    "pickle of Kolors": lambda tensors: nested(tensors, ("image_proj", "adapter_modules")),
    "training script": trained,
    "training script, shared tensors dropped": in_unet,
    "both sets of names": twice,
    "wrapped for several processes": lambda tensors: {f"module.{name}": x for name, x in trained(tensors).items()},
    "wrapped in a state_dict": lambda tensors: {"state_dict": nested(tensors)},
}


def loaded(tensors, container, tmp_path):
    path = tmp_path / f"adapter.{container}"
    if container == "safetensors":
        save_file({name: tensor.clone() for name, tensor in tensors.items()}, path)
    else:
        torch.save(tensors, path)
    return Adapter.of(read_tensors(path))


def same_keys_and_values(given, expected):
    pairs = zip(
        *(key_values(adapter, make_prompt(2, 1), SITES, [1.0] * 6) for adapter in (given, expected)), strict=True
    )
    return all(torch.equal(a.key, b.key) and torch.equal(a.value, b.value) for a, b in pairs)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("container", ["safetensors", "bin"])
def test_every_layout_gives_the_same_keys_and_values(tensors, layout, container, tmp_path):
    laid_out = LAYOUTS[layout](tensors)
    if container == "safetensors" and any(isinstance(value, dict) for value in laid_out.values()):
        laid_out = tensors  # a safetensors file has no dictionaries in dictionaries
    published, adapter = Adapter.of(TensorDict("a", tensors)), loaded(laid_out, container, tmp_path)
    assert adapter.spec == published.spec
    assert same_keys_and_values(adapter, published)


def test_what_diffusers_holds_after_loading_is_the_adapter_again(tensors):
    held = of_diffusers(tensors)
    adapter = Adapter.of(TensorDict("dump", held))
    published = Adapter.of(TensorDict("published", tensors))
    assert adapter.spec == published.spec
    assert same_keys_and_values(adapter, published)


def test_published_source_is_passed_on_unchanged(tensors):
    source = TensorDict("a", tensors)
    assert canonical(source) is source


@pytest.mark.parametrize("shape", [(), (3,)])
def test_damaged_parts_of_a_stacked_matrix_are_a_named_error(shape):
    held = of_diffusers(tensors_of("plus"))
    (name, *_) = [name for name in held if name.endswith("attn.to_k.weight")]
    with pytest.raises(AdapterFileError, match="dump is damaged"):
        list(
            key_values(
                Adapter.of(TensorDict("dump", held | {name: torch.zeros(shape)})), make_prompt(), SITES, [1.0] * 6
            )
        )
