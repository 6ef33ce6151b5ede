"""Bases and encoders by their sizes, and the names that people know them by."""

from .spec import Base, Stage

# (context width, number of cross-attentions) -> base; counted on the host's own classes.
_BASES = {
    (768, 16): Base.SD15,
    (768, 6): Base.SDXS,
    (1024, 16): Base.SD2,
    (2048, 70): Base.SDXL,
    (1280, 44): Base.SDXL_REFINER,
    (2048, 34): Base.SSD_1B,
    (2048, 15): Base.VEGA,
    (2048, 21): Base.KOALA_700M,
    (2048, 30): Base.KOALA_1B,
}
# What people call it, and what else has the same cross-attentions, whatever it does with its input or its steps.
_NAMES = {
    Base.SD15: ("Stable Diffusion 1.5", "and models made from it, for inpainting and instructions too"),
    Base.SD2: ("Stable Diffusion 2", "2.0 and 2.1 and models made from them, for inpainting too"),
    Base.SDXL: (
        "SDXL",
        "1.0 and models made from it: fine-tunes, Turbo, Lightning, LCM, Playground, CosXL, inpainting",
    ),
    Base.SDXL_REFINER: ("SDXL refiner", "and models made from it"),
    Base.SSD_1B: ("SSD-1B", "and models made from it"),
    Base.VEGA: ("Segmind Vega", "and models made from it"),
    Base.KOALA_700M: ("KOALA 700M", "and models made from it"),
    Base.KOALA_1B: ("KOALA 1B", "and models made from it"),
    Base.SDXS: ("SDXS", "and models made from it"),
    Base.KOLORS: ("Kolors", "and models made from it"),
    Base.OTHER: ("a UNet", "of these sizes"),
}

# (stage, width) -> the encoder and the file in which it is usually distributed for the host.
_ENCODERS = {
    (Stage.POOLED, 1024): "CLIP ViT-H/14 (clip_vision_h.safetensors)",
    (Stage.POOLED, 1280): "CLIP ViT-bigG/14 (clip_vision_g.safetensors)",
    (Stage.POOLED, 768): "CLIP ViT-L/14 (clip_vision_l.safetensors)",
    (Stage.PENULTIMATE, 1280): "CLIP ViT-H/14 (clip_vision_h.safetensors)",
    (Stage.PENULTIMATE, 1664): "CLIP ViT-bigG/14 (clip_vision_g.safetensors)",
    (Stage.PENULTIMATE, 1024): "CLIP ViT-L/14 at 336 pixels (clip-vit-large-patch14-336.bin)",
}


def base_of(context_width: int, sites: int, family: Base | None = None) -> Base:
    """The base that has this many cross-attentions of this width; `family` where more is known of it than that."""
    return Base.KOLORS if family is Base.KOLORS else _BASES.get((context_width, sites), Base.OTHER)


def base_name(context_width: int, sites: int, family: Base | None = None) -> str:
    """A base model in words, as "SDXL (70 cross-attentions, context width 2048)"."""
    name, _ = _NAMES[base_of(context_width, sites, family)]
    return f"{name} ({sites} cross-attentions, context width {context_width})"


def fitting_bases(context_width: int, sites: int, family: Base | None = None) -> str:
    """The models that an adapter of these sizes fits, as "Stable Diffusion 1.5 and models made from it"."""
    return " ".join(_NAMES[base_of(context_width, sites, family)])


def encoder_name(stage: Stage, width: int) -> str:
    """An image encoder in words, as "CLIP ViT-H/14 (clip_vision_h.safetensors)"."""
    return _ENCODERS.get((stage, width), f"an encoder whose {stage.value} features are {width} wide")
