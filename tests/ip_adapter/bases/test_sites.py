"""Cross-attentions of UNets laid out as the host's, without the host."""

import pytest
from factories import adapter_tensors
from ip_adapter_nodes.ip_adapter.bases.backbone import Site
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.bases.fit import check_base
from ip_adapter_nodes.ip_adapter.errors import WrongBaseError
from ip_adapter_nodes.ip_adapter.files.checkpoint import TensorDict
from ip_adapter_nodes.ip_adapter.recognition.detect import describe
from torch import nn

# Block number: (width, transformer blocks), as the host numbers its input and output blocks; last the middle.
_SD15_INPUT = {1: (320, 1), 2: (320, 1), 4: (640, 1), 5: (640, 1), 7: (1280, 1), 8: (1280, 1)}
_SD15_OUTPUT = {n: (1280 if n < 6 else 640 if n < 9 else 320, 1) for n in range(3, 12)}
_SDXL_INPUT = {4: (640, 2), 5: (640, 2), 7: (1280, 10), 8: (1280, 10)}
_SDXL_OUTPUT = {n: (1280, 10) if n < 3 else (640, 2) for n in range(6)}
_SSD_INPUT = {4: (640, 2), 5: (640, 2), 7: (1280, 4), 8: (1280, 4)}
_SSD_OUTPUT = {0: (1280, 4), 1: (1280, 4), 2: (1280, 10), 3: (640, 2), 4: (640, 1), 5: (640, 1)}
LAYOUTS = {
    "SD1.5": (12, _SD15_INPUT, _SD15_OUTPUT, (1280, 1), 768),
    "SDXL": (9, _SDXL_INPUT, _SDXL_OUTPUT, (1280, 10), 2048),
    "SSD-1B": (9, _SSD_INPUT, _SSD_OUTPUT, None, 2048),
}


def transformer(width, depth, context):
    """The part of the host's SpatialTransformer that matters: blocks with self- and cross-attention."""
    spatial = nn.Module()
    spatial.transformer_blocks = nn.ModuleList()
    for _ in range(depth):
        block = nn.Module()
        block.n_heads = width // 64
        for name, inputs in (("attn1", width), ("attn2", context)):
            attention = nn.Module()
            attention.to_k = nn.Linear(inputs, width, bias=False, device="meta")
            setattr(block, name, attention)
        spatial.transformer_blocks.append(block)
    return spatial


def fake_unet(name):
    """Registers the parts in another order than the published one, so that the order must come from their names."""
    count, inputs, outputs, middle, context = LAYOUTS[name]
    unet = nn.Module()
    unet.middle_block = nn.ModuleList(
        [nn.Identity(), transformer(*middle, context) if middle else nn.Identity(), nn.Identity()]
    )
    for part, blocks in (("output_blocks", outputs), ("input_blocks", inputs)):
        modules = [
            [nn.Identity(), transformer(*blocks[n], context)] if n in blocks else [nn.Identity()] for n in range(count)
        ]
        setattr(unet, part, nn.ModuleList(map(nn.ModuleList, modules)))
    return unet


def published_order(name):
    _, inputs, outputs, middle, context = LAYOUTS[name]
    parts = (("input", inputs), ("output", outputs), ("middle", {0: middle} if middle else {}))
    return tuple(
        Site((part, number, depth), width, context, width // 64)
        for part, blocks in parts
        for number, (width, depths) in sorted(blocks.items())
        for depth in range(depths)
    )


@pytest.mark.parametrize(("name", "count"), [("SD1.5", 16), ("SDXL", 70), ("SSD-1B", 34)])
def test_sites_in_published_order(name, count):
    sites = find_sites(fake_unet(name))
    assert sites == published_order(name)
    assert len(sites) == count


def test_middle_is_last_and_has_the_label_the_host_uses():
    assert [site.block for site in find_sites(fake_unet("SDXL"))[-10:]] == [("middle", 0, depth) for depth in range(10)]
    assert find_sites(fake_unet("SD1.5"))[-1].name == "middle 0 0"


@pytest.mark.parametrize("name", ["SD1.5", "SDXL"])
def test_widths_are_those_of_the_published_matrices(name):
    tables = {"SD1.5": "320 320 640 640" + " 1280" * 5 + " 640" * 3 + " 320" * 3 + " 1280"}
    tables["SDXL"] = "640 " * 4 + "1280 " * 50 + "640 " * 6 + "1280 " * 10
    assert [site.width for site in find_sites(fake_unet(name))] == [*map(int, tables[name].split())]


def test_a_model_of_another_kind_has_no_sites():
    flux = nn.Module()
    flux.double_blocks = nn.ModuleList([transformer(64, 1, 32)])
    assert find_sites(flux) == ()


def test_self_attention_alone_is_no_site():
    unet = fake_unet("SD1.5")
    del unet.input_blocks[1][1].transformer_blocks[0].attn2
    assert find_sites(unet) == published_order("SD1.5")[1:]


def spec_for(sites):
    return describe(TensorDict("x", adapter_tensors(sites)).shapes, "x")


@pytest.fixture(scope="module")
def small():
    """SD1.5's layout with narrow matrices, so that files for it take no memory."""
    return tuple(Site(site.block, site.width // 16, 32, 2) for site in published_order("SD1.5"))


def test_fitting_base_passes(small):
    check_base(spec_for(small), small, "x")


def test_message_names_the_base_of_the_file_and_the_given_one():
    spec = spec_for(tuple(Site(site.block, 2, 768, 1) for site in published_order("SD1.5")))
    with pytest.raises(WrongBaseError) as error:
        check_base(spec, published_order("SDXL"), "some.bin")
    for part in (
        "some.bin",
        "Stable Diffusion 1.5 (16 cross-attentions, context width 768)",
        "SDXL (70 cross-attentions",
    ):
        assert part in str(error.value)


def test_model_without_cross_attention(small):
    with pytest.raises(WrongBaseError, match="no UNet cross-attention"):
        check_base(spec_for(small), (), "x")


def test_one_wrong_width_is_found_and_located(small):
    wrong = (*small[:5], Site(small[5].block, 999, 32, 2), *small[6:])
    with pytest.raises(WrongBaseError, match=r"at input 8 0 it expects width 80 .* has 999"):
        check_base(spec_for(small), wrong, "x")


def test_one_wrong_context_is_found(small):
    wrong = (*small[:5], Site(small[5].block, small[5].width, 48, 2), *small[6:])
    with pytest.raises(WrongBaseError):
        check_base(spec_for(small), wrong, "x")


def test_one_site_too_few_is_found(small):
    with pytest.raises(WrongBaseError, match=r"16 cross-attentions.*15 cross-attentions"):
        check_base(spec_for(small), small[:-1], "x")
