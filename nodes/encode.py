"""From reference pictures to an image prompt."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.encoder import Reference
from ..ip_adapter.preprocess import Fit
from ..ip_adapter.prompt import Combine
from ..ip_adapter.weight import MAX_WEIGHT
from . import sockets


class EncodeImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EncodeImagePrompt",
            display_name="Encode Image Prompt",
            category=sockets.CATEGORY,
            description="Turns reference pictures into an image prompt, for any adapter of the same encoder.",
            inputs=[
                io.ClipVision.Input(
                    "clip_vision", tooltip="The image encoder the adapter was trained with; ViT-H for most."
                ),
                io.Image.Input("image", tooltip="The reference: one picture, or a batch of several."),
                io.Combo.Input(
                    "fit",
                    options=[fit.value for fit in Fit],
                    default=Fit.CROP.value,
                    tooltip="How a picture that is not square is fitted: crop takes the middle square, pad shows all "
                    "of it on a neutral ground, stretch distorts it, tiles adds squares that cover it to the whole.",
                ),
                io.Combo.Input(
                    "combine",
                    options=[how.value for how in Combine],
                    default=Combine.CONCAT.value,
                    tooltip="Several pictures: concat keeps the tokens of each, average makes one of their mean.",
                ),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=-MAX_WEIGHT,
                    max=MAX_WEIGHT,
                    step=0.05,
                    tooltip="How strongly these pictures speak, times the weight of Apply IP-Adapter.",
                ),
                io.Image.Input(
                    "negative_image", optional=True, tooltip="What the picture should not look like (cfg above 1)."
                ),
                io.Mask.Input(
                    "mask", optional=True, tooltip="The part of the reference that counts; the rest becomes neutral."
                ),
            ],
            outputs=[
                sockets.ImagePrompt.Output(
                    display_name="image_prompt", tooltip="The image prompt, for Apply IP-Adapter."
                ),
                io.Image.Output(display_name="image", tooltip="Exactly what the encoder saw."),
            ],
        )

    @classmethod
    def execute(
        cls,
        clip_vision: Any,
        image: Any,
        fit: str,
        combine: str,
        weight: float,
        negative_image: Any = None,
        mask: Any = None,
    ) -> io.NodeOutput:
        choice = host.EncodeChoice(Fit(fit), Combine(combine), weight)
        negative = None if negative_image is None else Reference(negative_image)
        return io.NodeOutput(*host.encode_prompt(clip_vision, Reference(image, mask), negative, choice))


NODES = [EncodeImagePrompt]
