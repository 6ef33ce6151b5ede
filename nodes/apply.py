"""Putting an adapter and an image prompt into a model."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.layer_weights import WEIGHT_TYPES
from ..ip_adapter.weight import MAX_WEIGHT
from . import sockets


class ApplyIPAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyIPAdapter",
            display_name="Apply IP-Adapter",
            category=sockets.CATEGORY,
            description="Lets the model follow an image prompt beside its text. Chain several for several adapters.",
            inputs=[
                io.Model.Input("model", tooltip="A model of the adapter's base. LoRA nodes may come before or after."),
                sockets.IPAdapter.Input("ip_adapter", tooltip="From Load IP-Adapter."),
                sockets.ImagePrompt.Input("image_prompt", tooltip="From Encode Image Prompt."),
                io.Float.Input(
                    "weight",
                    default=1.0,
                    min=-MAX_WEIGHT,
                    max=MAX_WEIGHT,
                    step=0.05,
                    tooltip="0 is the text alone, 1 what the adapter was trained for. With a text of your own try 0.5.",
                ),
                io.Float.Input(
                    "start_percent",
                    default=0.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When the adapter begins to act, 0 is the first step.",
                ),
                io.Float.Input(
                    "end_percent",
                    default=1.0,
                    min=0.0,
                    max=1.0,
                    step=0.01,
                    tooltip="When it stops, 1 is the last step.",
                ),
                io.Combo.Input(
                    "weight_type",
                    options=list(WEIGHT_TYPES),
                    default="linear",
                    tooltip="How the weight is spread over the model's layers.",
                ),
                io.Mask.Input("mask", optional=True, tooltip="Where in the new picture the adapter acts; any size."),
                sockets.LayerWeights.Input(
                    "layer_weights", optional=True, tooltip="A factor per cross-attention, times the weight type."
                ),
                sockets.WeightSchedule.Input(
                    "schedule", optional=True, tooltip="A factor over the course of sampling."
                ),
            ],
            outputs=[
                io.Model.Output(
                    display_name="model", tooltip="The model with the adapter; the incoming one stays as it is."
                )
            ],
        )

    @classmethod
    def execute(cls, model: Any, ip_adapter: Any, image_prompt: Any, **settings: Any) -> io.NodeOutput:
        return io.NodeOutput(host.apply(model, ip_adapter, image_prompt, host.Settings(**settings)))


NODES = [ApplyIPAdapter]
