"""Files that are not adapters of ours: refused, and called by their name."""

import pytest
from ip_adapter_nodes.ip_adapter.errors import AdapterError, AdapterFileError, NotAnAdapterError
from ip_adapter_nodes.ip_adapter.recognition.detect import describe

UNET_SITES = {f"ip_adapter.{k}.to_{x}_ip.weight": (320, 768) for k in range(1, 32, 2) for x in "kv"}
RESAMPLER = {
    "image_proj.latents": (1, 16, 64),
    "image_proj.proj_in.weight": (64, 1280),
    "image_proj.proj_out.weight": (768, 64),
    "image_proj.layers.0.0.to_q.weight": (64, 64),
    "image_proj.layers.0.1.1.weight": (256, 64),
}
XLABS = "double_blocks.0.processor.ip_adapter_double_stream_k_proj.weight"

RELATIVES = {
    "LoRA, kohya": ("a LoRA", {"lora_unet_down_blocks_0_attentions_0_proj_in.lora_down.weight": (8, 320)}),
    "LoRA, peft": ("a LoRA", {"transformer.blocks.0.attn.to_q.lora_A.weight": (8, 320)}),
    "LoRA, diffusers": ("a LoRA", {"unet.down_blocks.0.attn1.processor.to_q_lora.down.weight": (8, 320)}),
    "ControlNet, original": ("a ControlNet", {"control_model.zero_convs.0.0.weight": (320, 320, 1, 1)}),
    "ControlNet, diffusers": ("a ControlNet", {"controlnet_cond_embedding.conv_in.weight": (16, 3, 3, 3)}),
    "CLIP vision": ("a CLIP vision encoder", {"vision_model.encoder.layers.0.layer_norm1.weight": (1280,)}),
    "CLIP vision, openai": ("a CLIP vision encoder", {"visual.transformer.resblocks.0.ln_1.weight": (1280,)}),
    "checkpoint": ("a whole checkpoint", {"model.diffusion_model.input_blocks.0.0.weight": (320, 4, 3, 3)}),
    "Flux, XLabs": (
        "an IP-Adapter for Flux by XLabs",
        {"ip_adapter_proj_model.proj.weight": (16384, 768), XLABS: (3072, 4096)},
    ),
    "PuLID, original": ("a PuLID adapter", {"id_adapter.mapping_0.weight": (1024, 1024)}),
    "PuLID, Flux": ("a PuLID adapter", {"pulid_ca.0.to_q.weight": (2048, 3072)}),
    "PuLID, converted": (
        "a PuLID adapter",
        {"image_proj.body.0.weight": (1024, 1280), "image_proj.mapping_0.0.weight": (8, 8)} | UNET_SITES,
    ),
    "PuLID 1.1, converted": (
        "a PuLID adapter",
        {"image_proj.id_embedding_mapping.0.weight": (1024, 1280)} | RESAMPLER | UNET_SITES,
    ),
    "SD3.5": (
        "an IP-Adapter for Stable Diffusion 3.5",
        {"image_proj.time_embedding.linear_1.weight": (1280, 320)} | RESAMPLER | UNET_SITES,
    ),
    "Instruct": (
        "IP-Adapter-Instruct",
        {"image_proj.proj_new_input.weight": (768, 768)} | RESAMPLER | UNET_SITES,
    ),
    "Flux, InstantX": (
        "an IP-Adapter for Flux by InstantX",
        {"image_proj.proj.2.weight": (524288, 2304)}
        | {f"ip_adapter.{k}.to_{x}_ip.weight": (3072, 4096) for k in range(57) for x in "kv"},
    ),
    "Style Components": (
        "a Style Components adapter",
        {"image_proj.proj.0.weight": (1536, 768)} | {"ip_adapter.1.to_v_ip.weight": (640, 2048)},
    ),
    "HunyuanDiT": ("an IP-Adapter for HunyuanDiT", {"blocks.0.attn2.kv_proj_ip_adapter.weight": (2816, 1024)}),
    "Anima": ("an Anima IP-Adapter", {"ip_centroid": (1024,), "to_k_ip.0.weight": (2048, 1024)}),
    "CSGO": ("CSGO", {"content_image_proj.norm.weight": (2048,)} | UNET_SITES),
    "InstantCharacter": (
        "InstantCharacter for Flux",
        {"image_proj.cross_layer_blocks.0.norm.weight": (1024,)} | UNET_SITES,
    ),
    "PhotoMaker": ("a PhotoMaker file", {"id_encoder.visual_projection.weight": (768, 1024)}),
    "Fooocus negative": ("negative tokens of Fooocus", {"data": (1, 16, 2048)}),
    "T2I-Adapter": ("a T2I-Adapter", {"adapter.body.0.resnets.0.block1.weight": (320, 320, 3, 3)}),
    "Flux transformer": ("a diffusion model", {"double_blocks.0.img_attn.qkv.weight": (9216, 3072)}),
    "VAE": ("a VAE", {"decoder.conv_in.weight": (512, 4, 3, 3)}),
}


@pytest.mark.parametrize(("what", "shapes"), RELATIVES.values(), ids=RELATIVES)
def test_relative_is_named_with_the_remedy(what, shapes):
    with pytest.raises(
        NotAnAdapterError, match=rf"^some file\.bin is {what}, not an adapter for these nodes: \w+"
    ) as error:
        describe(shapes, "some file.bin")
    assert "\n" not in str(error.value)


UNKNOWN = {
    "nothing": {},
    "only a projector": {"image_proj.norm.weight": (768,)},
    "only attention": UNET_SITES,
}


@pytest.mark.parametrize("shapes", UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_file_is_refused_with_what_was_found(shapes):
    with pytest.raises(NotAnAdapterError, match="not a known IP-Adapter") as error:
        describe(shapes, "x.bin")
    assert f"found {len(shapes)} tensors" in str(error.value)


INCOMPLETE = {
    "transposed": {"image_proj.proj.weight": (1024, 3072), "image_proj.proj.bias": (3072,)},
    "without its norm": {"image_proj.proj.weight": (3072, 1024), "image_proj.proj.bias": (3072,)},
    "of another network": {"image_proj.something.weight": (768, 1024)},
}


@pytest.mark.parametrize("projector", INCOMPLETE.values(), ids=INCOMPLETE)
def test_adapter_with_a_projector_of_no_known_kind_is_damaged(projector):
    with pytest.raises(AdapterFileError, match=r"x\.bin is incomplete, or its image projection is of no known kind"):
        describe(projector | UNET_SITES, "x.bin")


HOSTILE_NAMES = {
    "zero-padded number": {"ip_adapter.01.to_k_ip.weight": (320, 768), "ip_adapter.01.to_v_ip.weight": (320, 768)},
    "endless number": {f"ip_adapter.{'9' * 5000}.to_{x}_ip.weight": (320, 768) for x in "kv"},
    "other digits": {f"ip_adapter.٣.to_{x}_ip.weight": (320, 768) for x in "kv"},
    "layer without number": UNET_SITES | {"image_proj.layers.x.0.to_q.weight": (64, 64)},
    "layer far away": UNET_SITES | {"image_proj.layers.999999999.0.to_q.weight": (64, 64)},
    "no head": UNET_SITES | {"image_proj.layers.0.0.to_q.weight": (8, 64)},
    "layer prefix alone": UNET_SITES | {"image_proj.layers.": (1,)},
}


@pytest.mark.parametrize("shapes", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_names_that_no_adapter_has_are_a_named_error(shapes):
    with pytest.raises(AdapterError):
        describe(RESAMPLER | shapes, "x.bin")
