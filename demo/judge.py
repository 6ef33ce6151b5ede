"""The classifier that measures pictures of the demo world."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from . import world
from .files import WEIGHTS


class AttributeClassifier(nn.Module):
    """Scores of the four attributes of a picture, (n, 3, 64, 64) in [0, 1]."""

    SIZE = 64
    EMBEDDING = 128

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.embedding = nn.Linear(128 * 4 * 4, self.EMBEDDING)
        self.norm = nn.LayerNorm(self.EMBEDDING)
        self.heads = nn.ModuleList(nn.Linear(self.EMBEDDING, len(values)) for values in world.ATTRIBUTES.values())

    def embed(self, pictures: Tensor) -> Tensor:
        """(n, EMBEDDING), normalised per row."""
        return self.norm(self.embedding(self.features(pictures * 2 - 1)))

    def score(self, embedding: Tensor) -> list[Tensor]:
        return [head(embedding) for head in self.heads]

    def forward(self, pictures: Tensor) -> list[Tensor]:
        return self.score(self.embed(pictures))


def load_judge(weights: Path = WEIGHTS) -> AttributeClassifier:
    """The trained judge."""
    judge = AttributeClassifier()
    tensors = load_file(weights / "demo_judge.safetensors")
    judge.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return judge.eval()


@torch.no_grad()
def read_labels(judge: AttributeClassifier, pictures: Tensor) -> Tensor:
    """The judge's labels (n, 4), in the order of `world.ATTRIBUTES`, of pictures (n, 3, h, w) in [0, 1]."""
    small = functional.interpolate(pictures, (judge.SIZE, judge.SIZE), mode="area")
    return torch.stack([score.argmax(dim=1) for score in judge(small)], dim=1)
