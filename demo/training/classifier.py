"""Small convolutional classifiers of the four attributes.

Two are trained, from different seeds: the teacher, whose embedding the image encoder learns to predict, and the judge,
which only measures finished pictures and which no training sees.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .. import world
from ..judge import AttributeClassifier
from .autoencoder import Autoencoder
from .run import Recipe, Run

TEACHER = Recipe(
    samples=120_000, batch=64, learning_rate=2e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.5, seed=21
)
JUDGE = Recipe(
    samples=48_000, batch=64, learning_rate=2e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.5, seed=22
)


def labelled_pictures(batch: int, generator: torch.Generator, size: int = 64) -> tuple[Tensor, Tensor]:
    """Rendered pictures (batch, 3, size, size) and their labels (batch, 4)."""
    scenes = world.sample_scenes(batch, generator)
    return world.render(scenes, size), scenes.labels


def attribute_loss(scores: list[Tensor], labels: Tensor) -> Tensor:
    return sum(
        (functional.cross_entropy(score, label) for score, label in zip(scores, labels.T, strict=True)),
        start=torch.zeros(()),
    )


def accuracy(scores: list[Tensor], labels: Tensor) -> list[float]:
    """Share of right answers per attribute, in percent."""
    return [
        100 * (score.argmax(dim=1) == label).float().mean().item()
        for score, label in zip(scores, labels.T, strict=True)
    ]


def train(name: str, recipe: Recipe, folder: Path, autoencoder: Autoencoder | None = None) -> AttributeClassifier:
    """Trains a classifier; with an autoencoder, some of its pictures have passed through it."""
    torch.manual_seed(recipe.seed)
    model = AttributeClassifier()
    run = Run(name, recipe, model, folder)
    pictures, labels = labelled_pictures(512, torch.Generator().manual_seed(3))

    def batch() -> Tensor:
        if autoencoder is None:
            inputs, wanted = labelled_pictures(recipe.batch, run.generator)
        else:
            inputs, wanted = _restored(autoencoder, recipe.batch, run.generator)
        return attribute_loss(model(inputs + 0.02 * torch.randn(inputs.shape, generator=run.generator)), wanted)

    def report() -> str:
        model.eval()
        with torch.no_grad():
            result = accuracy(model(pictures), labels)
        model.train()
        return "/".join(f"{value:.1f}" for value in result)

    run.train(batch, report)
    return model.eval()


def _restored(autoencoder: Autoencoder, batch: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures of which an eighth has passed through the autoencoder, as finished pictures have."""
    pictures, labels = labelled_pictures(batch, generator)
    scenes = world.sample_scenes(batch // 8, generator)
    with torch.no_grad():
        restored = autoencoder.decode(autoencoder.encode(world.render(scenes, 128))).clamp(0, 1)
    small = functional.interpolate(restored, size=64, mode="area")
    return torch.cat([pictures, small]), torch.cat([labels, scenes.labels])
