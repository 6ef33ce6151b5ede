"""Measuring how much pictures follow what they were made from."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.tasks import picture_scores as host
from . import sockets

_VISION = "The image encoder of the CLIP to measure with; the paper measures with ViT-L/14."
_MADE = "What was made: one, a batch, or a list of different sizes."
_MARGIN = "Every picture, and the mean with its 95 % interval, as Markdown."


class EvaluateImagePrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EvaluateImagePrompt",
            display_name="Evaluate Image Prompt (CLIP-I)",
            category=sockets.TRAINING,
            description="How alike pictures are to their references: the cosine of their CLIP embeddings.",
            is_input_list=True,
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip=_VISION),
                io.Image.Input("pictures", tooltip=_MADE),
                io.Image.Input(
                    "references",
                    tooltip="What they were made from. Of several references each has equally many pictures: first "
                    "those of the first one, then those of the second.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="clip_i", tooltip="The mean, from -1 to 1."),
                io.String.Output(display_name="table", tooltip=_MARGIN),
            ],
        )

    @classmethod
    def execute(cls, clip_vision: list[Any], pictures: list[Any], references: list[Any]) -> io.NodeOutput:
        return io.NodeOutput(*host.against_pictures(clip_vision[0], pictures, references))


class EvaluateTextPrompt(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="EvaluateTextPrompt",
            display_name="Evaluate Text Prompt (CLIP-T)",
            category=sockets.TRAINING,
            description="How well pictures fit their captions: CLIPScore, 2.5 times the cosine of the CLIP embeddings "
            "of picture and text, at least 0.",
            is_input_list=True,
            inputs=[
                io.ClipVision.Input("clip_vision", tooltip=_VISION),
                io.Clip.Input(
                    "clip",
                    tooltip="The text model of the same CLIP, from Load CLIP: clip_l.safetensors goes with ViT-L/14. "
                    "The one inside an SD 1.5 checkpoint lacks the projection.",
                ),
                io.Image.Input("pictures", tooltip=_MADE),
                io.String.Input(
                    "captions",
                    multiline=True,
                    tooltip="The caption of the pictures, or a list of them. Of several captions each has equally many "
                    "pictures: first those of the first one, then those of the second.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="clip_t", tooltip="The mean, from 0 to 2.5."),
                io.String.Output(display_name="table", tooltip=_MARGIN),
            ],
        )

    @classmethod
    def execute(
        cls, clip_vision: list[Any], clip: list[Any], pictures: list[Any], captions: list[str]
    ) -> io.NodeOutput:
        return io.NodeOutput(*host.against_texts(clip_vision[0], clip[0], pictures, captions))


NODES = [EvaluateImagePrompt, EvaluateTextPrompt]
