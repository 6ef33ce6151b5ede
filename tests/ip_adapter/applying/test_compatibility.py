"""What a user is told when model, adapter and prompt do not fit: all three, and files that would."""

import pytest
import torch
from census import FILES, SD15_WIDTHS, SDXL_WIDTHS
from factories import make_features
from ip_adapter_nodes.ip_adapter.adapter import Adapter
from ip_adapter_nodes.ip_adapter.applying.compatibility import check_fit
from ip_adapter_nodes.ip_adapter.bases.backbones import find_sites
from ip_adapter_nodes.ip_adapter.bases.base_models import family_of
from ip_adapter_nodes.ip_adapter.errors import WrongBaseError, WrongEncoderError, WrongPromptError
from ip_adapter_nodes.ip_adapter.faces.face import Face, Faces, Recogniser
from ip_adapter_nodes.ip_adapter.faces.prompt import FacePrompt
from ip_adapter_nodes.ip_adapter.prompts.prompt import ImagePrompt
from torch import nn

ENCODERS = {"ViT-H": (1024, 1280), "bigG": (1280, 1664), "ViT-L": (768, 1024)}


class Shapes:
    """An adapter file of which nothing but the shapes is there."""

    metadata, dtypes = {}, {}

    def __init__(self, name):
        self.name, self.shapes = f"{name}.bin", FILES[name].shapes


def attention_block(width, context):
    block = nn.Module()
    block.attn2, block.n_heads = nn.Module(), 8
    block.attn2.to_k = nn.Linear(context, width, bias=False, device="meta")
    return block


def unet(widths, context):
    """Cross-attentions in the published order, all in one row of blocks."""
    model, blocks = nn.Module(), nn.ModuleList()
    for width in widths:
        stage = nn.ModuleList([nn.Module(), nn.Module()])
        stage[1].transformer_blocks = nn.ModuleList([attention_block(width, context)])
        blocks.append(stage)
    model.input_blocks = blocks
    return model


MODELS = {"sd15": unet(SD15_WIDTHS, 768), "sdxl": unet(SDXL_WIDTHS, 2048), "flux": nn.Linear(2, 2)}


def prompt_of(encoder):
    pooled, hidden = ENCODERS[encoder]
    return ImagePrompt(make_features(1, 0, pooled, hidden), None, make_features(1, 1, pooled, hidden), (1.0,))


def checked_sites(network, adapter, prompt):
    """The cross-attentions of a model that fits adapter and prompt."""
    sites = find_sites(network)
    check_fit(sites, family_of(network), adapter, prompt)
    return sites


def message(error, base, file, prompt):
    with pytest.raises(error) as raised:
        checked_sites(MODELS[base], Adapter.of(Shapes(file)), prompt)
    return str(raised.value)


CASES = {
    "SDXL adapter, SD1.5 model": (
        WrongBaseError,
        ("sd15", "ip-adapter_sdxl", "ViT-H"),
        (
            "Stable Diffusion 1.5 (16",
            "ip-adapter_sdxl.bin, standard for sdxl",
            "ViT-H/14",
            "ip-adapter_sd15.safetensors",
        ),
    ),
    "bigG adapter, ViT-H prompt": (
        WrongEncoderError,
        ("sdxl", "ip-adapter_sdxl", "ViT-H"),
        ("clip_vision_g.safetensors", "SDXL (70", "Published for", "ip-adapter_sdxl_vit-h.safetensors"),
    ),
    "Plus adapter, bigG prompt": (
        WrongEncoderError,
        ("sd15", "ip-adapter-plus_sd15", "bigG"),
        ("clip_vision_h.safetensors", "Published for", "ip-adapter_sd15_vit-G.safetensors"),
    ),
    "a model without cross-attention": (
        WrongBaseError,
        ("flux", "ip-adapter_sd15", "ViT-H"),
        ("no UNet with cross-attention", "Connect one of these"),
    ),
    "FaceID adapter, picture": (
        WrongPromptError,
        ("sd15", "ip-adapter-faceid_sd15", "ViT-H"),
        ("Use Apply FaceID", "faceid for sd15", "ip-adapter_sd15.safetensors"),
    ),
}


@pytest.mark.parametrize(("error", "trio", "parts"), CASES.values(), ids=CASES)
def test_all_three_are_named_and_what_would_fit(error, trio, parts):
    base, file, encoder = trio
    text = message(error, base, file, prompt_of(encoder))
    for part in parts:
        assert part in text
    assert "flux" not in text.partition("Published")[2]


def test_no_file_is_published_for_a_prompt_of_vit_l_and_sd15():
    assert "Published" not in message(WrongEncoderError, "sd15", "ip-adapter_sd15", prompt_of("ViT-L"))


def test_faces_are_told_what_reads_faces():
    faces = FacePrompt(Faces((Face(0, torch.ones(512)),), Recogniser("buffalo_l")))
    text = message(WrongPromptError, "sdxl", "ip-adapter_sdxl", faces)
    for part in ("Use Apply IP-Adapter", "of faces by buffalo_l", "ip-adapter-faceid_sdxl.bin"):
        assert part in text


@pytest.mark.parametrize("name", ["ip-adapter_sd15", "ip-adapter-plus_sd15", "ip-adapter-full-face_sd15"])
def test_what_fits_is_passed(name):
    assert len(checked_sites(MODELS["sd15"], Adapter.of(Shapes(name)), prompt_of("ViT-H"))) == 16
