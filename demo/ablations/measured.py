"""What a trained variant draws for the held-out cases, and how it is scored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .. import world as demo_world
from ..judge import AttributeClassifier, read_labels
from ..measure import HELD_OUT_SEED, other_shapes
from ..outline import object_masks
from ..training.adapter import adapter_loss
from ..training.latents import Pool
from .sampler import Following, sample
from .trained import RECIPE, World
from .variants import Reads, Variant

BATCH, SHOWN, LOSS_BATCHES = 32, 6, 16


@dataclass(frozen=True)
class Scores:
    """What came out for every case, 0 or 1 each; the loss on held-out pictures; the first pictures for the eye."""

    alone: Tensor  # (cases, 4): the reference's attributes, drawn without a text
    place: Tensor  # (cases,): how much of the two objects lies on each other, drawn without a text
    named: Tensor  # (cases, 5): the shape that the text names, and the reference's attributes
    loss: Tensor  # ()
    shown: Tensor  # (2, SHOWN, 3, h, w)


def drawn(world: World, prompts: list[str], model: nn.Module | None = None, reads: str = Reads.POOLED) -> Tensor:
    """Pictures (cases, 3, h, w) of the prompts, each after its case's reference if there is an adapter.

    Every case has its noise, which is the same in every call.
    """
    seen, generator = world.asked[reads], torch.Generator().manual_seed(HELD_OUT_SEED + 2)
    parts: list[Tensor] = []
    for start in range(0, len(prompts), BATCH):
        texts = prompts[start : start + BATCH]
        noise = torch.randn(len(texts), *world.pool.latents.shape[1:], generator=generator)
        rows = slice(start, start + BATCH)
        following = None if model is None else Following(model, seen.rows(rows), seen.none(len(texts)))
        with torch.no_grad():
            parts.append(world.autoencoder.decode(sample(world.base, texts, noise, following)).clamp(0, 1))
    return torch.cat(parts)


@torch.no_grad()
def held_out_loss(world: World, model: nn.Module, variant: Variant) -> Tensor:
    """The training's loss on the held-out cases, with the same noise for every variant."""
    pool = Pool(world.cases, world.autoencoder.encode(demo_world.render(world.cases)))
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 3)
    loss = adapter_loss(model, world.base, pool, world.asked[variant.reads], RECIPE.batch, generator)
    return torch.stack([loss() for _ in range(LOSS_BATCHES)]).mean()


def other_texts(world: World) -> list[str]:
    """For every case a text that names another shape than its reference has."""
    return [f"a {demo_world.SHAPES[other]}" for other in other_shapes(world.cases).tolist()]


def _shared(pictures: Tensor, references: Tensor) -> Tensor:
    """Intersection over union of the objects, (n,)."""
    first, second = object_masks(pictures).bool(), object_masks(references).bool()
    return (first & second).sum(dim=(1, 2)) / (first | second).sum(dim=(1, 2)).clamp(min=1)


def scored(world: World, model: nn.Module, variant: Variant, judge: AttributeClassifier) -> Scores:
    """Draws every case without a text, and with a text that names another shape."""
    wanted, others = world.cases.labels, other_shapes(world.cases)
    alone = drawn(world, [""] * len(wanted), model, variant.reads)
    named = drawn(world, other_texts(world), model, variant.reads)
    read = read_labels(judge, named)
    return Scores(
        alone=(read_labels(judge, alone) == wanted).float(),
        place=_shared(alone, demo_world.render(world.cases)),
        named=torch.cat([read[:, :1] == others[:, None], read == wanted], dim=1).float(),
        loss=held_out_loss(world, model, variant),
        shown=torch.stack([alone[:SHOWN], named[:SHOWN]]),
    )
