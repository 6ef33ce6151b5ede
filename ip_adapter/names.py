"""Names of the bases and encoders that people know, for messages: facts that no computation depends on."""

from .spec import Stage

# (context width, number of cross-attentions) -> the base model; counted on the host's own classes.
_BASES = {
    (768, 16): "Stable Diffusion 1.5",
    (1024, 16): "Stable Diffusion 2",
    (2048, 70): "SDXL",
    (1280, 44): "SDXL refiner",
    (2048, 34): "SSD-1B",
    (2048, 15): "Segmind Vega",
    (2048, 21): "KOALA 700M",
}

# (stage, width) -> the encoder and the file in which it is usually distributed for the host.
_ENCODERS = {
    (Stage.POOLED, 1024): "CLIP ViT-H/14 (clip_vision_h.safetensors)",
    (Stage.POOLED, 1280): "CLIP ViT-bigG/14 (clip_vision_g.safetensors)",
    (Stage.POOLED, 768): "CLIP ViT-L/14 (clip_vision_l.safetensors)",
    (Stage.PENULTIMATE, 1280): "CLIP ViT-H/14 (clip_vision_h.safetensors)",
    (Stage.PENULTIMATE, 1664): "CLIP ViT-bigG/14 (clip_vision_g.safetensors)",
    (Stage.PENULTIMATE, 1024): "CLIP ViT-L/14 (clip_vision_l.safetensors)",
}


def base_name(context_width: int, sites: int) -> str:
    """A base model in words, as "SDXL (70 cross-attentions, context width 2048)"."""
    name = _BASES.get((context_width, sites), "a UNet")
    return f"{name} ({sites} cross-attentions, context width {context_width})"


def encoder_name(stage: Stage, width: int) -> str:
    """An image encoder in words, as "CLIP ViT-H/14 (clip_vision_h.safetensors)"."""
    return _ENCODERS.get((stage, width), f"an encoder whose {stage.value} features are {width} wide")
