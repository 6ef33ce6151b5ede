"""Noise as a negative picture."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.host import encode as host
from ..ip_adapter.prompts.noise import MAX_BLUR, Noise, NoiseOptions
from . import sockets
from .schema import also_found_as


class NegativeNoise(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="NegativeNoise",
            display_name="Negative Noise",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Noise"),
            description="Noise for negative_image of Encode Image Prompt: leads away from grain and blotches.",
            inputs=[
                io.Combo.Input(
                    "noise",
                    options=[kind.value for kind in Noise],
                    default=Noise.FADE.value,
                    tooltip="fade mixes the picture with noise, dissolve replaces pixels, gaussian adds noise, shuffle "
                    "lets pieces of the picture change places and keeps its colours.",
                ),
                io.Float.Input(
                    "strength", default=1.0, min=0.0, max=1.0, step=0.05, tooltip="0 is the picture, 1 noise alone."
                ),
                io.Float.Input(
                    "blur", default=0.0, min=0.0, max=MAX_BLUR, step=0.5, tooltip="Makes the grain coarser, in pixels."
                ),
                io.Int.Input(
                    "seed",
                    default=0,
                    min=0,
                    max=0xFFFFFFFFFFFFFFFF,
                    control_after_generate=False,
                    tooltip="Equal seeds give equal noise. The host's own random numbers are not touched.",
                ),
                io.Int.Input(
                    "size", default=224, min=16, max=2048, tooltip="Pixels of a side, where no picture is connected."
                ),
                io.Image.Input("image", optional=True, tooltip="What the noise is made of; a neutral grey without it."),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="For negative_image.")],
        )

    @classmethod
    def execute(
        cls, noise: str, strength: float, blur: float, seed: int, size: int, image: Any = None
    ) -> io.NodeOutput:
        return io.NodeOutput(host.negative_image(image, NoiseOptions(Noise(noise), strength, blur, seed, size)))


NODES = [NegativeNoise]
