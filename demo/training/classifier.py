"""Small convolutional classifiers of the attributes and looks.

Two are trained, from different seeds: the teacher, whose embedding the image encoder learns to predict, and the judge,
which only measures finished pictures and which no training sees.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .. import world
from ..judge import AttributeClassifier
from ..looks import UNKNOWN
from .autoencoder import Autoencoder
from .run import Recipe, Run

TEACHER = Recipe(
    samples=144_000, batch=64, learning_rate=2e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.4, seed=21
)
JUDGE = Recipe(
    samples=96_000, batch=64, learning_rate=2e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.4, seed=22
)
MAP_WEIGHT = 2.0


@dataclass(frozen=True)
class Labelled:
    """Rendered pictures and what is to be read in them."""

    pictures: Tensor  # (n, 3, size, size)
    labels: Tensor  # (n, 9): attributes, then looks
    objects: Tensor  # (n, MAP_SIZE, MAP_SIZE), how much of each place is the object


def _labelled(scenes: world.Scenes, pictures: Tensor) -> Labelled:
    labels = torch.cat([scenes.labels, scenes.look_labels()], dim=1)
    return Labelled(pictures, labels, world.silhouettes(scenes, AttributeClassifier.MAP_SIZE))


def labelled_pictures(batch: int, generator: torch.Generator, size: int = AttributeClassifier.SIZE) -> Labelled:
    scenes = world.sample_styled_scenes(batch, generator)
    return _labelled(scenes, world.render(scenes, size))


def attribute_loss(scores: list[Tensor], labels: Tensor) -> Tensor:
    return sum(
        (
            functional.cross_entropy(score, label, ignore_index=UNKNOWN)
            for score, label in zip(scores, labels.T, strict=True)
        ),
        start=torch.zeros(()),
    )


def accuracy(scores: list[Tensor], labels: Tensor) -> list[float]:
    """Share of right answers per attribute and look, in percent, where there is one."""
    return [
        100 * (score.argmax(dim=1) == label)[label != UNKNOWN].float().mean().item()
        for score, label in zip(scores, labels.T, strict=True)
    ]


def train(name: str, recipe: Recipe, folder: Path, autoencoder: Autoencoder | None = None) -> AttributeClassifier:
    """Trains a classifier; with an autoencoder, some of its pictures have passed through it."""
    torch.manual_seed(recipe.seed)
    model = AttributeClassifier()
    run = Run(name, recipe, model, folder)
    held_out = labelled_pictures(512, torch.Generator().manual_seed(3))

    def loss() -> Tensor:
        shown = labelled_pictures(run.batch, run.generator)
        if autoencoder is not None:
            shown = _with_restored(shown, autoencoder, run.generator)
        noise = 0.02 * torch.randn(shown.pictures.shape, generator=run.generator)
        scores, objects = model(shown.pictures + noise)
        where = functional.binary_cross_entropy_with_logits(objects, shown.objects)
        return attribute_loss(scores, shown.labels) + MAP_WEIGHT * where

    def report() -> str:
        model.eval()
        with torch.no_grad():
            scores, objects = model(held_out.pictures)
        model.train()
        found, wanted = objects > 0, held_out.objects > 0.5
        overlap = (found & wanted).sum() / (found | wanted).sum()
        return "/".join(f"{value:.1f}" for value in accuracy(scores, held_out.labels)) + f", object {overlap:.3f}"

    run.train(loss, report)
    return model.eval()


def _with_restored(shown: Labelled, autoencoder: Autoencoder, generator: torch.Generator) -> Labelled:
    """And an eighth as many pictures that have passed through the autoencoder, as finished pictures have."""
    scenes = world.sample_styled_scenes(len(shown.labels) // 8, generator)
    with torch.no_grad():
        restored = autoencoder.decode(autoencoder.encode(world.render(scenes, 128))).clamp(0, 1)
    small = functional.interpolate(restored, size=AttributeClassifier.SIZE, mode="area")
    more = _labelled(scenes, small)
    return Labelled(
        torch.cat([shown.pictures, more.pictures]),
        torch.cat([shown.labels, more.labels]),
        torch.cat([shown.objects, more.objects]),
    )
