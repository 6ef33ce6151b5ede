"""Every UNet with cross-attention that the host knows, in its published size: its sites are those of diffusers."""

import re

import comfy.ops
import comfy.supported_models
import comfy.utils
import pytest
import torch
from comfy.ldm.cascade.stage_c import StageC
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from diffusers import UNet2DConditionModel
from host_support.adapter_files import adapter_file
from host_support.diffusers_twin import architecture
from host_support.small_models import LAYOUTS, published_config, published_unet
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.bases.base_models import family_of
from ip_adapter_nodes.ip_adapter.bases.fit import check_base
from ip_adapter_nodes.ip_adapter.errors import WrongBaseError
from torch import nn

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning:diffusers")
# Number of cross-attentions of every layout, and models that differ from one only in what they see or predict.
COUNTS = {
    "sd15": 16,
    "sd2": 16,
    "sdxl": 70,
    "sdxl-refiner": 44,
    "ssd-1b": 34,
    "vega": 15,
    "koala-700m": 21,
    "koala-1b": 30,
    "sdxs": 6,
    "sdxs-09": 9,
}
ALIKE = {name: name.split("-")[0] for name in LAYOUTS if name not in COUNTS} | {"lotus": "sd2", "kolors": "sdxl"}
Block = tuple[str, int, int]
_PATH = re.compile(r"(input|output|middle)_blocks?\.(\d+)\.(?:\d+\.)?transformer_blocks\.(\d+)\.attn2\.to_k\.weight")


def _published_order(base: str) -> list[tuple[Block, int, int]]:
    """Where the host calls the cross-attentions that diffusers lists, and the shapes of their key matrices."""
    config = published_config(base)
    with torch.device("meta"):
        unet = UNet2DConditionModel(**architecture(config))
    names = comfy.utils.unet_to_diffusers(config)
    keys = [name.replace("processor", "to_k.weight") for name in unet.attn_processors if "attn2" in name]
    return [(_block(names[key]), *unet.get_parameter(key).shape) for key in keys]


def _matrices(sites: tuple[Site, ...]) -> list[tuple[Block, int, int]]:
    return [(site.block, site.width, site.context_width) for site in sites]


def _block(name: str) -> Block:
    """The host's label of the block that a parameter lies in."""
    part, number, depth = _PATH.fullmatch(name).groups()
    return part, 0 if part == "middle" else int(number), int(depth)


@pytest.mark.parametrize("base", COUNTS)
def test_sites_are_those_of_diffusers_in_its_order(base):
    sites = find_sites(published_unet(base))
    assert _matrices(sites) == _published_order(base)
    assert len(sites) == COUNTS[base]


@pytest.mark.parametrize("base", ALIKE)
def test_models_made_from_another_have_its_sites(base):
    sites, expected = (find_sites(published_unet(name)) for name in (base, ALIKE[base]))
    assert _matrices(sites) == _matrices(expected)


def _unet(supported: type, base: str, **changes: object) -> UNetModel:
    """Another of the host's classes, of a base's topology but for what is changed."""
    config = supported(published_config(base) | changes).unet_config
    return UNetModel(**config, device="meta", operations=comfy.ops.disable_weight_init)


def test_video_models_have_the_sites_of_the_base_they_were_made_from():
    """Their blocks along time come after these and are not cross-attentions to text."""
    time = {"use_temporal_attention": True, "use_temporal_resblock": True, "video_kernel_size": [3, 1, 1]}
    mixed = {"use_spatial_context": True, "merge_strategy": "learned_with_images", "extra_ff_mix_layer": True}
    video = _unet(comfy.supported_models.SVD_img2vid, "sd2", in_channels=8, adm_in_channels=768, **time, **mixed)
    assert find_sites(video) == find_sites(published_unet("sd2"))


def test_a_model_of_turned_objects_has_the_sites_of_the_base_it_was_made_from():
    turned = _unet(comfy.supported_models.Stable_Zero123, "sd15", in_channels=8)
    assert find_sites(turned) == find_sites(published_unet("sd15"))


def _refusal(file_for: str, unet: nn.Module) -> str:
    spec = adapter_file("standard for ViT-H", find_sites(published_unet(file_for))).spec
    with pytest.raises(WrongBaseError) as error:
        check_base(spec, find_sites(unet), "some.bin", family_of(unet))
    return str(error.value)


def test_an_upscaler_of_other_widths_is_refused():
    changes = {"in_channels": 7, "model_channels": 256, "channel_mult": [1, 2, 2, 4]}
    depths = {"transformer_depth": [0, 0, 1, 1, 1, 1, 1, 1], "transformer_depth_output": [1] * 9 + [0] * 3}
    upscaler = _unet(comfy.supported_models.SD_X4Upscaler, "sd2", **changes, **depths)
    assert len(find_sites(upscaler)) == 16
    assert "at input 4 0 it expects width 320 and the connected model, otherwise alike, has 512" in _refusal(
        "sd2", upscaler
    )


def test_another_kind_of_model_is_refused():
    cascade = StageC(device="meta", operations=comfy.ops.disable_weight_init)
    assert (
        "some.bin was trained for SDXL (70 cross-attentions, context width 2048), but the connected model has no "
        in (_refusal("sdxl", cascade))
    )


@pytest.mark.parametrize("base", ["ssd-1b", "vega", "koala-700m", "koala-1b"])
def test_a_distilled_model_is_refused_with_the_models_that_fit(base):
    message = _refusal("sdxl", published_unet(base))
    assert "no rule is published by which the file's matrices could be assigned" in message
    assert "It fits SDXL 1.0 and models made from it" in message
