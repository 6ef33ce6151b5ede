"""A copy of the base, fine-tuned to another look (demo/comic.py): whether an adapter trained on the base works on it.

Source: Ye et al. 2023 (arXiv 2308.06721), section 4.3.1.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from .. import comic
from .. import world as demo_world
from ..judge import AttributeClassifier, read_labels
from ..training.frozen import Batch, Captions, frozen_loss
from ..training.lora import comic_pool
from ..training.run import Recipe, Run
from ..training.text_to_image import TextToImage
from .measured import drawn
from .report import percent
from .shipped_adapter import load_adapter
from .trained import World

RECIPE = Recipe(samples=9_600, batch=16, learning_rate=2e-4, warmup_steps=50, decay_from=0.4, ema=0.99, seed=111)
CAPTIONS = Captions(keep=0.88, empty=0.1)
CONDITIONS = tuple(f"{base}: {what}" for base in ("base", "sibling") for what in ("text", "reference", "neither"))
Drawn = dict[str, Tensor]  # condition -> pictures (cases, 3, h, w)


def fine_tuned(world: World, folder: Path) -> TextToImage:
    """Every weight of the UNet learns; the text encoder stays."""
    torch.manual_seed(RECIPE.seed)
    sibling = copy.deepcopy(world.base)
    run = Run("sibling", RECIPE, sibling.unet.requires_grad_(True), folder)
    pool = comic_pool(folder, world.pool, world.autoencoder)

    def predict(batch: Batch) -> Tensor:
        return sibling.unet(batch.noisy, batch.timesteps, context=batch.context)

    run.train(frozen_loss(world.base, pool, run, CAPTIONS, predict), every=50)
    sibling.unet.load_state_dict(run.average)
    return sibling.requires_grad_(False).eval()


def draw_both(world: World, folder: Path) -> Drawn:
    """Every case on the base and on its sibling: by its caption, and after its reference with the same adapter."""
    texts = [demo_world.caption(row) for row in world.cases.labels.tolist()]
    result: Drawn = {}
    for name, base in (("base", world.base), ("sibling", fine_tuned(world, folder))):
        here, adapter = replace(world, base=base), load_adapter(base)
        result[f"{name}: text"] = drawn(here, texts)
        result[f"{name}: reference"] = drawn(here, [""] * len(texts), adapter)
        result[f"{name}: neither"] = drawn(here, [""] * len(texts))
    return result


def table(world: World, pictures: Drawn, judge: AttributeClassifier) -> str:
    """Agreement in percent, and the share of black, which the new look has more of."""
    lines = ["| condition | shape | colour | texture | background | black |", "|---|---|---|---|---|---|"]
    shown = {
        "the references themselves": demo_world.render(world.cases),
        "the references in the sibling's look": comic.render(world.cases),
        **{name: pictures[name] for name in CONDITIONS},
    }
    for name, made in shown.items():
        right = (read_labels(judge, made) == world.cases.labels).float()
        cells = [*(percent(right[:, attribute]) for attribute in range(4)), percent(comic.blackness(made))]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join([*lines, ""])
