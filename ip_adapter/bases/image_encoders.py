"""The table of image encoders: their names and files, and the features by which they are known."""

from dataclasses import dataclass

from ...models.facts import Stage


@dataclass(frozen=True)
class EncoderFacts:
    """An image encoder: its name, the file in which it is usually distributed for the host, and what it gives."""

    name: str
    file: str
    catalogue: str  # its entry there
    pooled_width: int
    patch_width: int
    stages: tuple[Stage, ...] = tuple(Stage)  # that published adapters read of it

    def width(self, stage: Stage) -> int:
        return self.pooled_width if stage is Stage.POOLED else self.patch_width


ENCODERS = (
    EncoderFacts("CLIP ViT-H/14", "clip_vision_h.safetensors", "clip_vision_h", 1024, 1280),
    EncoderFacts("CLIP ViT-bigG/14", "clip_vision_g.safetensors", "clip_vision_g", 1280, 1664),
    EncoderFacts("CLIP ViT-L/14", "clip_vision_l.safetensors", "clip_vision_l", 768, 1024, (Stage.POOLED,)),
    EncoderFacts(
        "CLIP ViT-L/14 at 336 pixels",
        "clip-vit-large-patch14-336.bin",
        "clip_vision_l_336",
        768,
        1024,
        (Stage.PENULTIMATE,),
    ),
)


def encoder_name(stage: Stage, width: int) -> str:
    """An image encoder in words, as "CLIP ViT-H/14 (clip_vision_h.safetensors)"."""
    known = (facts for facts in ENCODERS if stage in facts.stages and facts.width(stage) == width)
    unknown = f"an encoder whose {stage.value} features are {width} wide"
    return next((f"{facts.name} ({facts.file})" for facts in known), unknown)


def catalogue_names(pooled_width: int, patch_width: int) -> tuple[str, ...]:
    """The catalogue's entries of encoders whose features have these widths."""
    widths = (pooled_width, patch_width)
    return tuple(facts.catalogue for facts in ENCODERS if (facts.pooled_width, facts.patch_width) == widths)
