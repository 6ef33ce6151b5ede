"""A T2I-Adapter of the demo UNet's levels for the host's standard ControlNet loader."""

from __future__ import annotations

from typing import Any

import comfy.controlnet
from comfy.t2i_adapter.adapter import Adapter_light
from torch import Tensor

from .recognised import recognise

CHANNELS = (64, 128)  # after the residual block of each level of the UNet; the third is left out, it is of four pixels
INPUT = 64  # one channel in patches of eight by eight
_LAST = f"body.{len(CHANNELS) - 1}.out_conv.weight"


class DemoT2IAdapter(Adapter_light):
    """The host's light T2I-Adapter, whose features go to every second input block instead of every third.

    The UNets of the published files have two residual blocks in a level, the demo UNet has one.
    """

    def __init__(self) -> None:
        super().__init__(channels=list(CHANNELS), nums_rb=1, cin=INPUT)

    def forward(self, x: Tensor) -> dict[str, list[Tensor | None]]:
        features = [feature for feature in super().forward(x)["input"] if feature is not None]
        return {"input": [part for feature in features for part in (feature, None)]}


def _is_demo(state_dict: dict[str, Any]) -> bool:
    last = state_dict.get(_LAST)
    return last is not None and last.shape[0] == CHANNELS[-1]


def _load_demo(state_dict: dict[str, Any]) -> Any:
    model = DemoT2IAdapter()
    model.load_state_dict(state_dict)
    return comfy.controlnet.T2IAdapter(model, model.input_channels, 8, "nearest-exact")


def register() -> None:
    """Lets the host's ControlNet loader recognise the demo T2I-Adapter; it knows Stable Diffusion's."""
    recognise(comfy.controlnet, "load_t2i_adapter", _is_demo, _load_demo)
