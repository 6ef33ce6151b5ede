"""From reference pictures to an image prompt."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.prompts.combine import Combine
from ..ip_adapter.prompts.encoder import BATCH, EncodeOptions
from ..ip_adapter.prompts.negative import Negative
from ..ip_adapter.prompts.preprocess import MAX_SHARPENING, Fit, Position
from ..ip_adapter.weights.weight import MAX_WEIGHT
from . import sockets
from .schema import RARE, also_found_as


class EncodeImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EncodeImagePrompt",
            display_name="Encode Image Prompt",
            category=sockets.CATEGORY,
            **also_found_as(
                "IPAdapter Encoder", "IPAdapter Tiled", "Prep Image For ClipVision", "reference image", "tiles"
            ),
            description="Turns reference pictures into an image prompt, for any adapter of the same encoder. A list of "
            "pictures of different sizes gives a list of prompts; Combine Image Prompts makes one of them.",
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
                    tooltip="Several pictures: concat shows all of them to every picture of the batch, one per latent "
                    "the first to the first, the second to the second. The others make one picture of their features, "
                    "patch by patch: average is their weighted mean, norm average the mean of their directions, add "
                    "their sum, subtract the first less the mean of the others, max the largest of each number; "
                    "negative pictures are then averaged.",
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
                io.Combo.Input(
                    "position",
                    options=[position.value for position in Position],
                    default=Position.CENTER.value,
                    tooltip="Which part crop takes of a picture that is not square; other fits show all of it.",
                    **RARE,
                ),
                io.Float.Input(
                    "sharpening",
                    default=0.0,
                    min=0.0,
                    max=MAX_SHARPENING,
                    step=0.05,
                    tooltip="How much the fitted picture is sharpened; small encoders see large pictures softly.",
                    **RARE,
                ),
                io.String.Input(
                    "weights",
                    default="",
                    tooltip="One weight per picture as 1, 0.5, 0.2, times weight. Empty: all the same. All ways to "
                    "combine but max mix the pictures by them.",
                    **RARE,
                ),
                io.Combo.Input(
                    "negative",
                    options=[kind.value for kind in Negative],
                    default=Negative.AUTO.value,
                    tooltip="What the negative side sees without a negative_image. auto: what the adapter was trained "
                    "with, a zero embedding or, for Plus, a zero (grey) picture. black picture: as "
                    "ComfyUI_IPAdapter_plus does for Plus. none: the text alone.",
                    **RARE,
                ),
                io.Int.Input(
                    "encode_batch_size",
                    default=BATCH,
                    min=1,
                    max=4096,
                    tooltip="How many pictures are encoded at once; fewer need less memory.",
                    **RARE,
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
        position: str = Position.CENTER.value,
        sharpening: float = 0.0,
        weights: str = "",
        negative: str = Negative.AUTO.value,
        encode_batch_size: int = BATCH,
    ) -> io.NodeOutput:
        options = EncodeOptions(fit, combine, weight, position, sharpening, weights, negative, encode_batch_size)
        against = None if negative_image is None else host.reference(negative_image)
        return io.NodeOutput(*host.encode_prompt(clip_vision, host.reference(image, mask), against, options))


NODES = [EncodeImagePrompt]
