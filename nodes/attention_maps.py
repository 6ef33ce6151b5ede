"""What an adapter does, made visible."""

from typing import Any

from comfy_api.latest import io

from ..ip_adapter.attention_maps.fit import MAX_SIZE, MIN_SIZE
from ..ip_adapter.attention_maps.labelled_grid import labelled_grid
from ..ip_adapter.attention_maps.layer_groups import read_groups
from ..ip_adapter.attention_maps.map_pictures import HeatmapStyle, Scale, map_pictures
from ..ip_adapter.attention_maps.maps import MapOptions, Show, Steps, attention_maps
from ..ip_adapter.attention_maps.sweep import WeightSweep
from ..ip_adapter.host.attention_record import MAX_PARTS, record_attention
from ..ip_adapter.host.images import as_image, as_pictures
from . import sockets
from .schema import also_found_as


class RecordAttention(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="RecordAttention",
            display_name="Record Attention",
            category=sockets.CATEGORY,
            **also_found_as("attention map", "heatmap"),
            description="Notes what the adapters of a model attend to while it samples, for Attention Maps. The "
            "pictures stay as they are.",
            inputs=[
                io.Model.Input("model", tooltip="A model with adapters; those applied after this node count as well."),
                io.Int.Input(
                    "parts",
                    default=4,
                    min=1,
                    max=MAX_PARTS,
                    tooltip="Into how many parts of sampling maps can be told apart; each takes as much memory.",
                ),
            ],
            outputs=[
                io.Model.Output(display_name="model", tooltip="For the sampler."),
                sockets.AttentionRecord.Output(display_name="record", tooltip="For Attention Maps."),
            ],
        )

    @classmethod
    def execute(cls, model: Any, parts: int) -> io.NodeOutput:
        return io.NodeOutput(*record_attention(model, parts))


class AttentionMaps(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="AttentionMaps",
            display_name="Attention Maps",
            category=sockets.CATEGORY,
            **also_found_as("heatmap", "visualize attention", "DAAM"),
            description="Where in the new picture an image prompt is attended to, or how much it changes there.",
            inputs=[
                sockets.AttentionRecord.Input("record", tooltip="From Record Attention."),
                io.Latent.Input("latent", tooltip="As the sampler gave it: it tells which run is meant."),
                io.Image.Input("image", tooltip="The same, decoded: what the maps are laid over."),
                io.Combo.Input(
                    "show",
                    options=[show.value for show in Show],
                    default=Show.TOKENS.value,
                    tooltip="tokens: the share of attention that each image token gets. pictures: that of all tokens "
                    "of a picture. influence: the length of what the adapter adds, relative to what was there.",
                ),
                io.String.Input(
                    "layers",
                    default="all",
                    multiline=True,
                    tooltip="A map for every line: in4, mid, out0-2 is the mean over these; all; in7.3 is one depth. "
                    "each: every block by itself.",
                ),
                io.Float.Input(
                    "start_percent", default=0.0, min=0.0, max=1.0, step=0.01, tooltip="From where in the run's steps."
                ),
                io.Float.Input(
                    "end_percent", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="To where; parts count as wholes."
                ),
                io.Combo.Input(
                    "steps",
                    options=[steps.value for steps in Steps],
                    default=Steps.TOGETHER.value,
                    tooltip="One map for all steps in this range, or one for each part that was recorded.",
                ),
                io.Combo.Input(
                    "scale",
                    options=[scale.value for scale in Scale],
                    default=Scale.ALL.value,
                    tooltip="Whether colours mean the same in all maps, or go from lowest to highest in each.",
                ),
                io.Float.Input(
                    "strength", default=0.6, min=0.0, max=1.0, step=0.05, tooltip="How much the heat covers."
                ),
                io.Int.Input(
                    "size", default=384, min=MIN_SIZE, max=MAX_SIZE, tooltip="The longer side of each map, in pixels."
                ),
            ],
            outputs=[
                io.Image.Output(display_name="image", tooltip="The maps with their labels, those of a latent in turn."),
                io.Mask.Output(display_name="mask", tooltip="The maps alone, 0 for dark and 1 for bright."),
            ],
        )

    @classmethod
    def execute(
        cls,
        record: Any,
        latent: Any,
        image: Any,
        show: str,
        layers: str,
        start_percent: float,
        end_percent: float,
        steps: str,
        scale: str,
        strength: float,
        size: int,
    ) -> io.NodeOutput:
        options = MapOptions(Show(show), read_groups(layers, record.sites), start_percent, end_percent, Steps(steps))
        style = HeatmapStyle(Scale(scale), strength, size)
        maps = attention_maps(record.run_of(latent["samples"]), options)
        pictures, masks = map_pictures(maps, as_pictures(image), style)
        return io.NodeOutput(as_image(pictures), masks)


class WeightSweepNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="WeightSweep",
            display_name="Weight Sweep",
            category=sockets.CATEGORY,
            **also_found_as("XY plot", "weight range", "IPAdapter Weights"),
            description="Runs what comes after it with every weight and weight type; Labelled Grid shows the results.",
            inputs=[
                io.String.Input(
                    "weights", default="0, 0.25, 0.5, 0.75, 1", tooltip="Weights, or ranges: 0-1:5 is five from 0 to 1."
                ),
                io.String.Input(
                    "weight_types",
                    default="linear",
                    multiline=True,
                    tooltip="A row for each, separated by commas or line ends; all for all weight types.",
                ),
            ],
            outputs=[
                io.Float.Output(display_name="weight", is_output_list=True, tooltip="For weight of an Apply node."),
                sockets.WeightType.Output(
                    display_name="weight_type", is_output_list=True, tooltip="For weight_type of the same node."
                ),
                sockets.WeightSweep.Output(display_name="sweep", tooltip="For Labelled Grid."),
            ],
        )

    @classmethod
    def execute(cls, weights: str, weight_types: str) -> io.NodeOutput:
        sweep = WeightSweep.parse(weights, weight_types)
        return io.NodeOutput(*map(list, zip(*sweep.cells, strict=True)), sweep)


class LabelledGrid(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        return io.Schema(
            node_id="LabelledGrid",
            display_name="Labelled Grid",
            category=sockets.CATEGORY,
            **also_found_as("XY plot", "contact sheet", "image grid"),
            description="The pictures of a Weight Sweep on one sheet, with their weights and weight types.",
            is_input_list=True,
            inputs=[
                io.Image.Input("image", tooltip="What was made with the weights of the sweep."),
                sockets.WeightSweep.Input("sweep", tooltip="From Weight Sweep."),
                io.Int.Input(
                    "size", default=384, min=MIN_SIZE, max=MAX_SIZE, tooltip="The longer side of each picture on it."
                ),
            ],
            outputs=[io.Image.Output(display_name="image", tooltip="A sheet; with batches, one for each of a batch.")],
        )

    @classmethod
    def execute(cls, image: list[Any], sweep: list[Any], size: list[int]) -> io.NodeOutput:
        return io.NodeOutput(as_image(labelled_grid([as_pictures(batch) for batch in image], sweep[0], size[0])))


NODES = [RecordAttention, AttentionMaps, WeightSweepNode, LabelledGrid]
