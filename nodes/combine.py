"""Several image prompts as one."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.prompts.combine import Combine
from ..ip_adapter.prompts.prompt import combine_prompts
from ..ip_adapter.weights.weight import read_weights
from . import sockets
from .schema import also_found_as

_MOST = 6


class CombineImagePrompts(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CombineImagePrompts",
            display_name="Combine Image Prompts",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Combine Embeds", "IPAdapter Combine Params", "several pictures"),
            description="One prompt of several, or of a list of prompts, all of one encoder. Each is first combined as "
            "its own node says; negative pictures are joined.",
            is_input_list=True,
            inputs=[
                sockets.ImagePrompt.Input("image_prompt_1", tooltip="An image prompt, or a list of several."),
                io.Combo.Input(
                    "combine",
                    options=[how.value for how in Combine],
                    default=Combine.CONCAT.value,
                    tooltip="concat and one per latent put all pictures side by side. The others combine the first "
                    "pictures of all prompts, then the second ones, and so on; a prompt of one picture goes with all "
                    "of the others'. subtract takes the other prompts from the first.",
                ),
                io.String.Input(
                    "weights", default="", tooltip="One factor per prompt as 1, 0.5, 0.2. Empty: all the same."
                ),
                *(
                    sockets.ImagePrompt.Input(f"image_prompt_{number}", optional=True, tooltip="Another one.")
                    for number in range(2, _MOST + 1)
                ),
            ],
            outputs=[sockets.ImagePrompt.Output(display_name="image_prompt", tooltip="For Apply IP-Adapter.")],
        )

    @classmethod
    def execute(cls, image_prompt_1: list[Any], combine: list[str], weights: list[str], **others: Any) -> io.NodeOutput:
        prompts = [*image_prompt_1, *(prompt for _, more in sorted(others.items()) for prompt in more)]
        factors = read_weights(weights[0], len(prompts), "image prompts")
        return io.NodeOutput(combine_prompts(prompts, factors, Combine(combine[0])))


NODES = [CombineImagePrompts]
