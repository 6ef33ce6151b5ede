"""A LoRA for the demo model that teaches the look of demo/comic.py, saved under the names of kohya's trainer."""

from __future__ import annotations

import re
from pathlib import Path

import torch
from comfy.ldm.modules.diffusionmodules.openaimodel import UNetModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .. import comic
from ..model import UNET
from .autoencoder import Autoencoder
from .frozen import Batch, Captions, frozen_loss
from .latents import Pool, encoded
from .low_rank import LowRankOps, add_differences, learned
from .run import Recipe, Run
from .text_to_image import TextToImage

RECIPE = Recipe(
    samples=9_600,
    batch=16,
    learning_rate=2e-3,
    warmup_steps=50,
    decay_from=0.4,
    ema=0.99,
    seed=91,
)
CAPTIONS = Captions(keep=0.8, empty=0.15)
RANK, PICTURES = 2, 4_096
_LAYERS = re.compile(r".*attn[12]\.to_(q|k|v|out\.0)|output_blocks\.[2-5].*(in_layers\.2|out_layers\.3|conv)|out\.2")


class TrainableLora(nn.Module):
    def __init__(self, unet: UNetModel) -> None:
        super().__init__()
        self.net = UNetModel(**UNET, operations=LowRankOps)
        self.net.load_state_dict(unet.state_dict())
        add_differences(self.net, RANK, lambda name: bool(_LAYERS.fullmatch(name)))

    def published_state_dict(self) -> dict[str, Tensor]:
        """Tensors under the names of kohya's trainer; without an alpha the host takes the rank, which scales by one."""
        tensors: dict[str, Tensor] = {}
        for name, tensor in learned(self.net).items():
            layer, part = name.rsplit(".", 1)
            reach = self.net.get_parameter(f"{layer}.weight").shape[1:]
            shape = (tensor.shape[0], *reach) if part == "down" else (*tensor.shape, *(1 for _ in reach[1:]))
            tensors[f"lora_unet_{layer.replace('.', '_')}.lora_{part}.weight"] = tensor.reshape(shape)
        return tensors


def comic_pool(folder: Path, pool: Pool, autoencoder: Autoencoder) -> Pool:
    """The pool's first PICTURES scenes in the new look, encoded on first use."""
    scenes, file = pool.first(PICTURES).scenes, folder / "comic_latents.safetensors"
    if not file.exists():
        save_file({"latents": encoded(autoencoder, scenes, comic.render)}, file)
    return Pool(scenes, load_file(file)["latents"])


def train(folder: Path, base: TextToImage, pool: Pool, autoencoder: Autoencoder) -> TrainableLora:
    torch.manual_seed(RECIPE.seed)
    model = TrainableLora(base.unet)
    run = Run("lora", RECIPE, model, folder)
    pool = comic_pool(folder, pool, autoencoder)

    def predict(batch: Batch) -> Tensor:
        return model.net(batch.noisy, batch.timesteps, context=batch.context)

    run.train(frozen_loss(base, pool, run, CAPTIONS, predict), every=50)
    model.load_state_dict(run.average)
    return model.eval()
