"""The recogniser: embeddings near each other for pictures of one identity, and far from each other for two."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...ip_adapter.faces.alignment import RECOGNISED
from ...ip_adapter.faces.face import WIDTH
from .. import face, world
from .face_networks import Recogniser
from .run import Recipe, Run

RECIPE = Recipe(
    samples=38_400, batch=64, learning_rate=3e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.4, ema=0.99, seed=72
)
SCALE, APART = 16.0, 0.2  # CosFace (Wang et al. 2018, arXiv 1801.09414): the sharpness and the margin of its cosines
SIZES = (40, 64, RECOGNISED)  # as large as the objects were before they were aligned


class Trained(nn.Module):
    """The recogniser, and the direction of each identity, which only training needs."""

    def __init__(self) -> None:
        super().__init__()
        self.recogniser = Recogniser()
        self.directions = nn.Parameter(torch.randn(face.COUNT, WIDTH))

    def cosines(self, crops: Tensor) -> Tensor:
        embeddings = functional.normalize(self.recogniser(crops * 2 - 1), dim=1)
        return embeddings @ functional.normalize(self.directions, dim=1).T


def sample_crops(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Crops (n, 3, 112, 112) in [0, 1] as alignment by slightly wrong points gives them, and who they show."""

    def noise(spread: float, *shape: int) -> Tensor:
        return spread * torch.randn(n, *shape, generator=generator)

    scenes = world.sample_scenes(n, generator)
    zoom = (1 + noise(0.05)) / (face.MARGIN * scenes.radius)
    radius, period = scenes.radius * zoom, scenes.period * zoom
    scenes = replace(scenes, centre=noise(0.03, 2), radius=radius, angle=noise(math.pi / 36), period=period)
    size = SIZES[int(torch.randint(len(SIZES), (), generator=generator))]
    pictures = world.render(scenes, size)
    pictures = functional.interpolate(pictures, (RECOGNISED, RECOGNISED), mode="bilinear").clamp(0, 1)
    # The picture may end close to the object; what lies outside is black.
    edges = torch.rand(n, 4, generator=generator)
    edges = (edges - 0.5).clamp(min=0) * 0.2 * RECOGNISED
    axis = torch.arange(RECOGNISED)
    columns = (axis >= edges[:, :1]) & (axis < RECOGNISED - edges[:, 1:2])
    rows = (axis >= edges[:, 2:3]) & (axis < RECOGNISED - edges[:, 3:])
    inside = (rows[:, :, None] & columns[:, None])[:, None]
    return pictures * inside + noise(0.02, *pictures.shape[1:]), face.identities(scenes.labels)


def train(folder: Path) -> Recogniser:
    torch.manual_seed(RECIPE.seed)
    model = Trained()
    run = Run("face_recogniser", RECIPE, model, folder)

    def loss() -> Tensor:
        crops, wanted = sample_crops(run.batch, run.generator)
        margin = APART * functional.one_hot(wanted, face.COUNT)
        return functional.cross_entropy(SCALE * (model.cosines(crops) - margin), wanted)

    def report() -> str:
        model.eval()
        with torch.no_grad():
            crops, wanted = sample_crops(512, torch.Generator().manual_seed(3))
            right = (model.cosines(crops).argmax(1) == wanted).float().mean()
        model.train()
        return f"{100 * right:.1f} % right"

    run.train(loss, report, every=100)
    model.load_state_dict(run.average)
    return model.recogniser.eval()
