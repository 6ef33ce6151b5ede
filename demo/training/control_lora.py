"""A Control-LoRA for the demo model: a ControlNet whose encoder is the UNet's own with differences of low rank.

Source: Zhang et al. 2023 (arXiv 2302.05543), sections 3.1 and 3.2; the form is that of
https://huggingface.co/stabilityai/control-lora, which the host completes with the weights of the model it controls.
"""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import torch
from comfy.cldm.cldm import ControlNet
from comfy.ldm.modules.diffusionmodules.openaimodel import TimestepEmbedSequential, UNetModel
from torch import Tensor, nn

from ..model import UNET
from .edges import PICTURES, load_edges
from .frozen import Batch, Captions, frozen_loss
from .latents import Pool
from .low_rank import LowRankOps, add_differences, learned
from .run import Recipe, Run
from .text_to_image import TextToImage

RECIPE = Recipe(
    samples=24_000,
    batch=16,
    learning_rate=2e-3,
    weight_decay=0.01,
    warmup_steps=50,
    decay_from=0.4,
    ema=0.99,
    seed=71,
)
CAPTIONS = Captions(keep=0.5, empty=0.3)  # what the caption leaves out, the edges must say
RANK = 4
HINT_WIDTHS = (3, 8, 8, 16, 16, 24, 24, 48)  # the published ones are (3, 16, 16, 32, 32, 96, 96, 256)
HALVED_AT = (2, 4, 6)
START_GAIN = 1.8  # keeps the variance through a SiLU
_CONVOLUTIONS = re.compile(r"input_blocks\.[1-9].*(in_layers\.2|out_layers\.3|op)")


def _hint_block(channels: int) -> nn.Module:
    """The encoder of the edge picture, eight times smaller at its end."""
    layers: list[nn.Module] = []
    for index, (before, after) in enumerate(pairwise(HINT_WIDTHS)):
        stride = 2 if index in HALVED_AT else 1
        layers += [_conv(before, after, stride), nn.SiLU()]
    return TimestepEmbedSequential(*layers, _conv(HINT_WIDTHS[-1], channels))


def _conv(before: int, after: int, stride: int = 1) -> nn.Conv2d:
    """With PyTorch's own start so many layers in a row would let next to nothing of the edges through."""
    layer = nn.Conv2d(before, after, 3, stride=stride, padding=1)
    nn.init.normal_(layer.weight, std=START_GAIN / math.sqrt(9 * before))
    return layer


class TrainableControl(nn.Module):
    def __init__(self, unet: UNetModel) -> None:
        super().__init__()
        shape = {name: value for name, value in UNET.items() if name != "out_channels"}
        self.net = ControlNet(**shape, hint_channels=HINT_WIDTHS[0], operations=LowRankOps)
        self.net.load_state_dict(unet.state_dict(), strict=False)
        add_differences(self.net, RANK, lambda name: bool(_CONVOLUTIONS.fullmatch(name)))
        self.net.input_hint_block = _hint_block(UNET["model_channels"])
        for connection in [*self.net.zero_convs, self.net.middle_block_out]:
            for parameter in connection.requires_grad_(True).parameters():
                nn.init.zeros_(parameter)

    def forward(self, batch: Batch, edges: Tensor) -> dict[str, list[Tensor]]:
        """What is added to the UNet's streams, for edges (n, 1, h, w)."""
        hint = edges.float().expand(-1, HINT_WIDTHS[0], -1, -1)
        return self.net(batch.noisy, hint, batch.timesteps, batch.context)

    def published_state_dict(self) -> dict[str, Tensor]:
        """Tensors under the names of the published files, of which the first only says what the file is."""
        return {"lora_controlnet": torch.zeros(0)} | learned(self.net)


def train(folder: Path, base: TextToImage, pool: Pool) -> TrainableControl:
    torch.manual_seed(RECIPE.seed)
    model = TrainableControl(base.unet)
    run = Run("control_lora", RECIPE, model, folder)
    edges = load_edges(folder, pool)

    def predict(batch: Batch) -> Tensor:
        control = model(batch, edges[batch.rows])
        return base.unet(batch.noisy, batch.timesteps, context=batch.context, control=control)

    run.train(frozen_loss(base, pool.first(PICTURES), run, CAPTIONS, predict), every=50)
    model.load_state_dict(run.average)
    return model.eval()
