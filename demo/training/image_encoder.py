"""A ViT in the host's CLIP vision class, which learns to predict the teacher's embedding."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..judge import AttributeClassifier
from .classifier import accuracy, attribute_loss, labelled_pictures
from .host_classes import build_image_encoder
from .run import Recipe, Run

RECIPE = Recipe(
    samples=200_000,
    batch=64,
    learning_rate=1e-3,
    betas=(0.9, 0.98),
    weight_decay=0.05,
    warmup_steps=300,
    decay_from=0.5,
    seed=31,
)
_MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073])[:, None, None]  # of CLIP's preprocessing
_STD = torch.tensor([0.26862954, 0.26130258, 0.27577711])[:, None, None]


def embeddings(model: nn.Module, pictures: Tensor) -> Tensor:
    """Projected embeddings (n, 128) of pictures (n, 3, 64, 64) in [0, 1]."""
    return model(pixel_values=(pictures - _MEAN) / _STD)[2]


def train(folder: Path, teacher: AttributeClassifier) -> nn.Module:
    """Distils the teacher: squared error to its embedding and half the cross-entropy under its heads."""
    torch.manual_seed(RECIPE.seed)
    model = build_image_encoder()
    run = Run("image_encoder", RECIPE, model, folder)
    held_out = labelled_pictures(512, torch.Generator().manual_seed(3))
    teacher.requires_grad_(False)

    def loss() -> Tensor:
        shown = labelled_pictures(run.batch, run.generator)
        guess = embeddings(model, shown.pictures)
        known = attribute_loss(teacher.score(guess), shown.labels)
        return functional.mse_loss(guess, teacher.embed(shown.pictures)) + 0.5 * known

    def report() -> str:
        with torch.no_grad():
            scores = teacher.score(embeddings(model, held_out.pictures))
        return "/".join(f"{value:.1f}" for value in accuracy(scores, held_out.labels))

    run.train(loss, report)
    return model.eval()
