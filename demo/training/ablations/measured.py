"""What a trained variant draws for the held-out cases, and how it is scored."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ... import world as demo_world
from ...judge import AttributeClassifier, read_labels, read_objects
from ...measure import HELD_OUT_SEED, other_shapes
from ...outline import intersection_over_union
from ..adapter import adapter_loss
from ..latents import Pool
from .sampler import Following, draw
from .trained import RECIPE, World
from .variants import Reads, Variant

SHOWN, LOSS_BATCHES = 6, 16


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
    count, seen = len(prompts), world.asked[reads]
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 2)
    noise = torch.randn(count, *world.pool.latents.shape[1:], generator=generator)
    following = None if model is None else Following(model, seen.rows(slice(count)), seen.none(count))
    return draw(world.base, world.autoencoder, prompts, noise, following)


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


def scored(world: World, model: nn.Module, variant: Variant, judge: AttributeClassifier) -> Scores:
    """Draws every case without a text, and with a text that names another shape."""
    wanted, others = world.cases.labels, other_shapes(world.cases)
    alone = drawn(world, [""] * len(wanted), model, variant.reads)
    named = drawn(world, other_texts(world), model, variant.reads)
    read = read_labels(judge, named)
    return Scores(
        alone=(read_labels(judge, alone) == wanted).float(),
        place=intersection_over_union(read_objects(judge, alone), read_objects(judge, demo_world.render(world.cases))),
        named=torch.cat([read[:, :1] == others[:, None], read == wanted], dim=1).float(),
        loss=held_out_loss(world, model, variant),
        shown=torch.stack([alone[:SHOWN], named[:SHOWN]]),
    )
