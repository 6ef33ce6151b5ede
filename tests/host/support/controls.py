"""A ControlNet and a T2I-Adapter of the host with random weights, for the small models."""

from typing import Any

import comfy.cldm.cldm
import comfy.controlnet
import comfy.ops
import comfy.t2i_adapter.adapter
import torch
from torch import Tensor

from .small_models import CHANNELS, randomise, supported_model


def control_net(hint: Tensor) -> Any:
    """A ControlNet for SD1.5's topology that looks at a picture of edges."""
    config = {name: value for name, value in supported_model("sd15").unet_config.items() if name != "out_channels"}
    config |= {"hint_channels": 3, "operations": comfy.ops.manual_cast, "device": None, "dtype": torch.float32}
    network = comfy.cldm.cldm.ControlNet(**config)
    randomise(network, torch.Generator().manual_seed(3))
    control = comfy.controlnet.ControlNet(network, load_device=torch.device("cpu"))
    return control.set_cond_hint(hint, 1.0, (0.0, 1.0))


def t2i_adapter(hint: Tensor) -> Any:
    """A T2I-Adapter of the widths of the small models."""
    channels = [CHANNELS * factor for factor in (1, 2, 4, 4)]
    network = comfy.t2i_adapter.adapter.Adapter(channels=channels, nums_rb=1, cin=3 * 64, ksize=1, sk=True, xl=False)
    randomise(network, torch.Generator().manual_seed(3))
    control = comfy.controlnet.T2IAdapter(network, 3, 8, "nearest-exact", device=torch.device("cpu"))
    return control.set_cond_hint(hint, 1.0, (0.0, 1.0))
