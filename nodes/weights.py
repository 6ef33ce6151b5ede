"""Where in the model, when in sampling and in which frames an adapter acts, and how strongly."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter import host
from ..ip_adapter.bases.base_models import BASE_SITES
from ..ip_adapter.host.images import as_image
from ..ip_adapter.weights.crossfade import crossfade
from ..ip_adapter.weights.frames import MAX_FRAMES
from ..ip_adapter.weights.keyframes import Easing, read_keyframes
from ..ip_adapter.weights.layer_plot import layer_picture
from ..ip_adapter.weights.layer_weights import LayerWeights
from ..ip_adapter.weights.schedule import WeightSchedule
from ..ip_adapter.weights.schedule_plot import schedule_picture
from ..ip_adapter.weights.weight_types import WEIGHT_TYPES
from . import sockets
from .schema import also_found_as

_PROGRESS = (
    "Factors over the course of sampling: the progress from 0 to 1, a colon, the factor there. "
    "A number alone holds all the time."
)
_EASING = "How the factor moves between keyframes. Constant holds it until the next."


class LayerWeightsNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LayerWeights",
            display_name="Layer Weights",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Mad Scientist", "IPAdapter MS", "block weights"),
            description="A factor for every cross-attention: those of a weight type, times your own.",
            inputs=[
                io.Combo.Input(
                    "weight_type",
                    options=list(WEIGHT_TYPES),
                    default="linear",
                    tooltip="A table over the blocks; the picture shows it.",
                ),
                io.String.Input(
                    "layers",
                    default="",
                    multiline=True,
                    tooltip="Factors by block: in4:0.5, mid:0, out0-2:1.2; one depth: in7.3:0.2; all:0 for the rest, "
                    "first; 6:1 is the seventh block in order. Or one number per block. Later entries override.",
                ),
                io.Combo.Input(
                    "base",
                    options=list(BASE_SITES),
                    default="SDXL",
                    tooltip="What the picture shows as long as no model is connected.",
                ),
                io.Model.Input("model", optional=True, tooltip="The model whose blocks the picture shows."),
            ],
            outputs=[
                sockets.LayerWeights.Output(display_name="layer_weights", tooltip="For the Apply nodes."),
                io.Image.Output(display_name="image", tooltip="The factors over the UNet."),
            ],
        )

    @classmethod
    def execute(cls, weight_type: str, layers: str, base: str, model: Any = None) -> io.NodeOutput:
        weights = LayerWeights.parse(layers, weight_type)
        sites = BASE_SITES[base] if model is None else host.sites_of(model)
        return io.NodeOutput(weights, as_image(layer_picture(weights, sites)))


class WeightScheduleNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="WeightSchedule",
            display_name="Weight Schedule",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Weights", "keyframes"),
            description="A factor over the course of sampling, and over the frames of an animation.",
            is_input_list=True,
            inputs=[
                io.String.Input("progress", default="0:1.0, 1:1.0", tooltip=_PROGRESS),
                io.String.Input(
                    "over_frames",
                    default="",
                    tooltip="Factors over frames, as 0:0, 15:1; the first frame is 0. Empty: all frames alike. "
                    "With it, every row of the batch of latents is a frame.",
                ),
                io.Int.Input(
                    "frames", default=16, min=1, max=MAX_FRAMES, tooltip="How many frames; counts with over_frames."
                ),
                io.Combo.Input(
                    "easing", options=[easing.value for easing in Easing], default="linear", tooltip=_EASING
                ),
                io.Float.Input(
                    "factors",
                    optional=True,
                    force_input=True,
                    tooltip="A list of numbers from another node, one per frame, in place of over_frames.",
                ),
            ],
            outputs=[
                sockets.WeightSchedule.Output(display_name="schedule", tooltip="For the Apply nodes."),
                io.Image.Output(display_name="image", tooltip="The factors as curves."),
            ],
        )

    @classmethod
    def execute(
        cls, progress: list[str], over_frames: list[str], frames: list[int], easing: list[str], factors: Any = None
    ) -> io.NodeOutput:
        schedule = WeightSchedule.parse(progress[0], over_frames[0], frames[0], Easing(easing[0]))
        schedule = schedule if factors is None else schedule.with_factors(factors)
        return io.NodeOutput(schedule, as_image(schedule_picture(schedule)))


class CrossfadeSchedule(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="CrossfadeSchedule",
            display_name="Crossfade Schedule",
            category=sockets.CATEGORY,
            **also_found_as("IPAdapter Weights From Strategy", "IPAdapter Weights", "animation"),
            description="From picture to picture of an image prompt over the frames of an animation.",
            inputs=[
                io.Int.Input(
                    "pictures", default=2, min=2, max=64, tooltip="As many as the image prompt holds (combine: concat)."
                ),
                io.Int.Input("hold", default=8, min=1, max=MAX_FRAMES, tooltip="Frames in which a picture is alone."),
                io.Int.Input(
                    "overlap", default=8, min=0, max=MAX_FRAMES, tooltip="Frames in which it passes to the next."
                ),
                io.Combo.Input(
                    "easing", options=[easing.value for easing in Easing], default="ease in-out", tooltip=_EASING
                ),
                io.String.Input("progress", default="0:1.0, 1:1.0", tooltip=_PROGRESS),
            ],
            outputs=[
                sockets.WeightSchedule.Output(display_name="schedule", tooltip="For the Apply nodes."),
                io.Int.Output(display_name="frames", tooltip="How many there are: the batch size of the latents."),
                io.Image.Output(display_name="image", tooltip="The factors as curves."),
            ],
        )

    @classmethod
    def execute(cls, pictures: int, hold: int, overlap: int, easing: str, progress: str) -> io.NodeOutput:
        curves = crossfade(pictures, hold, overlap, Easing(easing))
        schedule = WeightSchedule(read_keyframes(progress, 1), Easing(easing), curves)
        return io.NodeOutput(schedule, len(curves[0]), as_image(schedule_picture(schedule)))


NODES = [LayerWeightsNode, WeightScheduleNode, CrossfadeSchedule]
