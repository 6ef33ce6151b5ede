"""Putting an adapter and a prompt of pictures or faces into a model."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.prompts.combine import Combine
from . import inputs, sockets
from .schema import also_found_as

_OUTPUT = "The model with the adapter; the incoming one stays as it is."
_MODEL = "A model of the adapter's base. LoRA nodes may come before or after."


class ApplyIPAdapter(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyIPAdapter",
            display_name="Apply IP-Adapter",
            category=sockets.CATEGORY,
            **also_found_as(
                "IPAdapter",
                "IPAdapter Advanced",
                "IPAdapter Batch",
                "IPAdapter Embeds",
                "IPAdapter Tiled",
                "IPAdapter Style & Composition SDXL",
                "IPAdapter Regional Conditioning",
                "style transfer",
            ),
            description="Lets the model follow an image prompt beside its text. Chain several for several adapters.",
            inputs=[
                io.Model.Input("model", tooltip=_MODEL),
                sockets.IPAdapter.Input("ip_adapter", tooltip="From Load IP-Adapter."),
                sockets.ImagePrompt.Input("image_prompt", tooltip="From Encode Image Prompt."),
                inputs.factor(
                    "weight",
                    "0 is the text alone, 1 what the adapter was trained for. With a text of your own try 0.5.",
                ),
                *inputs.when_and_how(),
                *inputs.where_and_finer(),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip=_OUTPUT)],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        ip_adapter: Any,
        image_prompt: Any,
        weight: float,
        start_percent: float,
        end_percent: float,
        weight_type: str,
        mask: Any = None,
        layer_weights: Any = None,
        schedule: Any = None,
        embeds_scaling: str = inputs.SCALING,
    ) -> io.NodeOutput:
        options = host.ApplyOptions(
            weight, start_percent, end_percent, weight_type, mask, layer_weights, schedule, embeds_scaling
        )
        return io.NodeOutput(host.apply(model, ip_adapter, image_prompt, options))


class ApplyFaceID(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="ApplyFaceID",
            display_name="Apply FaceID",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter FaceID", "IPAdapter FaceID Batch", "IPAdapter FaceID Kolors", "portrait"),
            description="Lets the model draw a person it sees in photographs. For several people chain several, each "
            "with its own faces and mask.",
            inputs=[
                io.Model.Input("model", tooltip=_MODEL),
                sockets.IPAdapter.Input("ip_adapter", tooltip="A FaceID or Portrait adapter, from Load IP-Adapter."),
                sockets.Faces.Input("faces", tooltip="Photographs of one person, from Analyze Faces or Load Faces."),
                inputs.factor("weight", "0 is the model alone, 1 what the adapter was trained for."),
                inputs.factor(
                    "structure_weight",
                    "FaceID-Plus V2 and Kolors: how much of the face's look, beside its identity, comes through.",
                ),
                inputs.factor(
                    "lora_weight",
                    "Strength of the LoRA inside the adapter's file. It acts on the whole picture, masked or not.",
                ),
                *inputs.when_and_how(),
                io.ClipVision.Input(
                    "clip_vision", optional=True, tooltip="For the Plus kinds: ViT-H, or ViT-L at 336 for Kolors."
                ),
                *inputs.where_and_finer(),
                io.Combo.Input(
                    "combine",
                    options=[how.value for how in Combine],
                    default=Combine.CONCAT.value,
                    optional=True,
                    tooltip="Several photographs: concat keeps the tokens of each, average makes one mean face.",
                ),
            ],
            outputs=[io.Model.Output(display_name="model", tooltip=_OUTPUT)],
        )

    @classmethod
    def execute(
        cls,
        model: Any,
        ip_adapter: Any,
        faces: Any,
        weight: float,
        structure_weight: float,
        lora_weight: float,
        start_percent: float,
        end_percent: float,
        weight_type: str,
        clip_vision: Any = None,
        mask: Any = None,
        layer_weights: Any = None,
        schedule: Any = None,
        embeds_scaling: str = inputs.SCALING,
        combine: str = Combine.CONCAT.value,
    ) -> io.NodeOutput:
        options = host.ApplyOptions(
            weight, start_percent, end_percent, weight_type, mask, layer_weights, schedule, embeds_scaling
        )
        face_options = host.FaceOptions(structure_weight, lora_weight, combine)
        return io.NodeOutput(host.apply_face(model, ip_adapter, faces, clip_vision, options, face_options))


NODES = [ApplyIPAdapter, ApplyFaceID]
