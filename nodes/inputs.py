"""Inputs that every apply node has, in the order of the contract."""

from comfy_api.latest import io

from ..ip_adapter.attention.scaling import Scaling
from ..ip_adapter.weights.weight import MAX_WEIGHT
from ..ip_adapter.weights.weight_types import WEIGHT_TYPES
from . import sockets

SCALING = Scaling.VALUES.value  # unless somebody chooses another


def factor(name: str, tooltip: str) -> io.Float.Input:
    """A weight with its usual range."""
    return io.Float.Input(name, default=1.0, min=-MAX_WEIGHT, max=MAX_WEIGHT, step=0.05, tooltip=tooltip)


def when_and_how() -> list[io.Input]:
    """The range of sampling in which the adapter acts, and how its weight is spread over the layers."""
    return [
        io.Float.Input(
            "start_percent",
            default=0.0,
            min=0.0,
            max=1.0,
            step=0.01,
            tooltip="When the adapter begins to act, 0 is the first step.",
        ),
        io.Float.Input(
            "end_percent", default=1.0, min=0.0, max=1.0, step=0.01, tooltip="When it stops, 1 is the last step."
        ),
        io.Combo.Input(
            "weight_type",
            options=list(WEIGHT_TYPES),
            default="linear",
            tooltip="How the weight is spread over the model's layers.",
        ),
    ]


def where_and_finer() -> list[io.Input]:
    """Optional: a mask, and finer control by layer and by time."""
    return [
        io.Mask.Input("mask", optional=True, tooltip="Where in the new picture the adapter acts; any size."),
        sockets.LayerWeights.Input(
            "layer_weights", optional=True, tooltip="A factor per cross-attention, times the weight type."
        ),
        sockets.WeightSchedule.Input(
            "schedule", optional=True, tooltip="A factor over the course of sampling, or over frames."
        ),
        io.Combo.Input(
            "embeds_scaling",
            options=[how.value for how in Scaling],
            default=SCALING,
            optional=True,
            tooltip="Where the weights of adapter, layers and pictures enter. V only: what attention gives is "
            "multiplied. K+V: its keys too, so a low weight also blurs what it picks out. With C penalty: the same, "
            "times the site's width / 1280. Mask and schedule always multiply what attention gives.",
        ),
    ]
