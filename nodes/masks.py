"""Masks for the apply nodes."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.attention.region import MAX_FEATHER, softened
from . import sockets
from .schema import also_found_as


class SoftenMask(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="SoftenMask",
            display_name="Soften Mask",
            category=sockets.CATEGORY,
            **also_found_as("blur mask", "feather mask"),
            description="Softens the edges of masks, so that what an adapter does fades out there.",
            inputs=[
                io.Mask.Input("mask", tooltip="One mask, or one for each frame."),
                io.Int.Input(
                    "feather",
                    default=32,
                    min=0,
                    max=MAX_FEATHER,
                    tooltip="How far on either side of an edge, in pixels of the mask. Edges of the picture stay.",
                ),
            ],
            outputs=[io.Mask.Output(display_name="mask", tooltip="For the Apply nodes.")],
        )

    @classmethod
    def execute(cls, mask: Any, feather: int) -> io.NodeOutput:
        return io.NodeOutput(softened(mask, feather))


NODES = [SoftenMask]
