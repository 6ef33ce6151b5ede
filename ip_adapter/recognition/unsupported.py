"""Files that people try to load as an adapter: how each shows, what it is, and where it belongs."""

from collections.abc import Callable
from dataclasses import dataclass

from ...models.facts import Kind, Shapes

_UNET_NODES = "this pack's nodes do not support it yet"
_LORA = "put it into models/loras and use Load LoRA"


@dataclass(frozen=True)
class Relative:
    """`shows` gets the shapes under canonical names; `kind` and `base` are short names for listings."""

    what: str
    where: str
    kind: str
    base: str | None
    shows: Callable[[Shapes], bool]


def _starts(*prefixes: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(name.startswith(prefixes) for name in shapes)


def _contains(*parts: str) -> Callable[[Shapes], bool]:
    return lambda shapes: any(part in name for name in shapes for part in parts)


def _is_instantx_flux(shapes: Shapes) -> bool:
    keys = [name for name in shapes if name.endswith(".to_k_ip.weight")]
    return len(keys) == 57 or any(shapes[name][-1:] == (4096,) for name in keys)


def _is_style_components(shapes: Shapes) -> bool:
    return any(name.endswith(".to_v_ip.weight") for name in shapes) and not _contains(".to_k_ip.")(shapes)


def _is_negative_tokens(shapes: Shapes) -> bool:
    return set(shapes) == {"data"}


# Adapters of other families. Some carry the very names of ours besides their own, so these are asked first.
LOOKALIKES = (
    Relative(
        "an IP-Adapter for Flux by XLabs",
        "it needs the x-flux nodes",
        "xlabs",
        "flux",
        _starts("ip_adapter_proj_model.", "double_blocks.0.processor.ip_adapter"),
    ),
    Relative(
        "an Anima IP-Adapter",
        "it needs the nodes for Anima",
        "anima",
        "anima",
        _starts("ip_centroid", "ip_gate.", "blocks.0.ip_k_proj.", "shared_ip_k_proj.", "ip_cross_attns."),
    ),
    Relative(
        "an IP-Adapter for HunyuanDiT",
        "no ComfyUI nodes for it are known",
        "hunyuan",
        "hunyuan-dit",
        _contains("kv_proj_ip_adapter", "ip_adapter_clip_len_trans_block"),
    ),
    Relative("CSGO", "it needs the CSGO nodes", "csgo", "sdxl", _starts("content_image_proj.", "style_image_proj.")),
    Relative(
        "InstantCharacter for Flux",
        "it needs its own nodes",
        "instant-character",
        "flux",
        _starts("image_proj.cross_layer_blocks.", "image_proj.cross_scale_blocks."),
    ),
    Relative(
        "a PuLID adapter",
        "it needs the PuLID nodes",
        "pulid",
        None,
        _starts(
            "id_adapter.",
            "id_adapter_attn_layers.",
            "pulid_",
            "image_proj.mapping_0",
            "image_proj.body.",
            "image_proj.id_embedding_mapping.",
        ),
    ),
    Relative(
        "an IP-Adapter for Stable Diffusion 3.5",
        _UNET_NODES,
        "sd35",
        "sd35",
        _starts("image_proj.time_embedding.", "image_proj.layers.0.2.", "ip_adapter.0.norm_ip."),
    ),
    Relative(
        "IP-Adapter-Instruct",
        "it needs an instruction beside the picture, which these nodes do not have",
        "instruct",
        None,
        _starts("image_proj.proj_new_input.", "image_proj.proj_prompt_input."),
    ),
    Relative("an IP-Adapter for Flux by InstantX", "it needs nodes for Flux", "instantx", "flux", _is_instantx_flux),
    Relative(
        "a Style Components adapter",
        "it needs its own style extractor and nodes",
        "style-components",
        "sdxl",
        _is_style_components,
    ),
    Relative(
        "a PhotoMaker file",
        "put it into models/photomaker and use PhotoMakerLoader",
        "photomaker",
        "sdxl",
        _starts("id_encoder."),
    ),
    Relative(
        "negative tokens of Fooocus",
        "it belongs to Fooocus; no adapter is in it",
        "fooocus-negative",
        "sdxl",
        _is_negative_tokens,
    ),
)
# Files of other kinds, asked when nothing in a file is named like an adapter.
OTHER_FILES = (
    Relative("a LoRA", _LORA, "lora", None, _contains("lora_down.", "lora.down.", "lora_A.", "lora_up.")),
    Relative(
        "a ControlNet",
        "put it into models/controlnet and use ControlNetLoader",
        "controlnet",
        None,
        _starts("zero_convs.", "control_model.", "input_hint_block.", "controlnet_"),
    ),
    Relative(
        "a T2I-Adapter",
        "put it into models/controlnet and use ControlNetLoader",
        "t2i-adapter",
        None,
        _starts("adapter.body.", "body.0.resnets.", "body.0.in_conv.", "body.0.block1."),
    ),
    Relative(
        "a CLIP vision encoder",
        "put it into models/clip_vision and use CLIPVisionLoader",
        "clip-vision",
        None,
        _starts("vision_model.", "visual."),
    ),
    Relative(
        "a text encoder",
        "put it into models/text_encoders and use a CLIP loader",
        "text-encoder",
        None,
        _starts("text_model.", "encoder.block.0.layer.0.SelfAttention."),
    ),
    Relative(
        "a whole checkpoint",
        "put it into models/checkpoints and use CheckpointLoaderSimple",
        "checkpoint",
        None,
        _starts("model.diffusion_model."),
    ),
    Relative(
        "a diffusion model",
        "put it into models/diffusion_models and use UNETLoader",
        "diffusion-model",
        None,
        _starts("input_blocks.", "down_blocks.", "double_blocks.", "transformer_blocks.", "joint_blocks."),
    ),
    Relative(
        "a VAE",
        "put it into models/vae and use VAELoader",
        "vae",
        None,
        _starts("decoder.", "first_stage_model.", "encoder.down"),
    ),
)
# Kinds of our own networks that these nodes do not run; `variant.py` tells them by other facts than tensors.
UNSUPPORTED_KINDS = {
    Kind.INSTANT_ID: Relative(
        "an InstantID adapter",
        "it needs the InstantID nodes with its ControlNet. If it is a FaceID Portrait unnorm, choose that as variant",
        Kind.INSTANT_ID.value,
        "sdxl",
        lambda shapes: False,
    ),
}


def first_shown(table: tuple[Relative, ...], shapes: Shapes) -> Relative | None:
    """The first entry of a table that these tensors show, None if they show none."""
    return next((relative for relative in table if relative.shows(shapes)), None)
