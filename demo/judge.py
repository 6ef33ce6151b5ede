"""The classifier that measures pictures of the demo world: attributes, looks, and where the object is."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from . import world
from .files import WEIGHTS
from .looks import LOOKS

NAMED = len(world.ATTRIBUTES)  # the first of the labels, which words can name; the others are the looks
JUDGE = "demo_judge.safetensors"
CLASSES = (*(len(values) for values in world.ATTRIBUTES.values()), *LOOKS.values())


class AttributeClassifier(nn.Module):
    """Scores of the attributes and looks of a picture, (n, 3, 64, 64) in [0, 1], and a map of its object."""

    SIZE, MAP_SIZE = 64, 32
    EMBEDDING, MAP_WIDTH = 128, 16

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
        self.features = nn.Sequential(*layers)
        self.embedding = nn.Linear(128 * 4 * 4, self.EMBEDDING)
        self.norm = nn.LayerNorm(self.EMBEDDING)
        self.heads = nn.ModuleList(nn.Linear(self.EMBEDDING, count) for count in CLASSES)
        self.to_map = nn.ModuleList(nn.Conv2d(width, self.MAP_WIDTH, 1) for width in widths[1:])
        self.map = nn.Conv2d(self.MAP_WIDTH, 1, 3, padding=1)

    def _levels(self, pictures: Tensor) -> list[Tensor]:
        """Features at a half, a quarter, an eighth and a sixteenth of the size."""
        levels: list[Tensor] = []
        x = pictures * 2 - 1
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.SiLU):
                levels.append(x)
        return levels

    def embed(self, pictures: Tensor) -> Tensor:
        """(n, EMBEDDING), normalised per row."""
        return self._embedded(self._levels(pictures))

    def _embedded(self, levels: list[Tensor]) -> Tensor:
        return self.norm(self.embedding(levels[-1].flatten(1)))

    def score(self, embedding: Tensor) -> list[Tensor]:
        return [head(embedding) for head in self.heads]

    def forward(self, pictures: Tensor) -> tuple[list[Tensor], Tensor]:
        """The scores, and logits (n, MAP_SIZE, MAP_SIZE) of being the object."""
        levels = self._levels(pictures)
        size = (self.MAP_SIZE, self.MAP_SIZE)
        parts = [
            functional.interpolate(to_map(level), size, mode="bilinear")
            for to_map, level in zip(self.to_map, levels, strict=True)
        ]
        return self.score(self._embedded(levels)), self.map(functional.silu(torch.stack(parts).sum(dim=0)))[:, 0]


def load_judge(weights: Path = WEIGHTS) -> AttributeClassifier:
    """The trained judge."""
    judge = AttributeClassifier()
    tensors = load_file(weights / JUDGE)
    judge.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})
    return judge.eval()


def _small(judge: AttributeClassifier, pictures: Tensor) -> Tensor:
    return functional.interpolate(pictures, (judge.SIZE, judge.SIZE), mode="area")


@torch.no_grad()
def read_all(judge: AttributeClassifier, pictures: Tensor) -> Tensor:
    """The judge's labels (n, 9) of pictures (n, 3, h, w) in [0, 1]: `world.ATTRIBUTES`, then `looks.LOOKS`."""
    return torch.stack([score.argmax(dim=1) for score in judge(_small(judge, pictures))[0]], dim=1)


def read_labels(judge: AttributeClassifier, pictures: Tensor) -> Tensor:
    """The judge's labels (n, 4), in the order of `world.ATTRIBUTES`, of pictures (n, 3, h, w) in [0, 1]."""
    return read_all(judge, pictures)[:, :NAMED]


@torch.no_grad()
def read_objects(judge: AttributeClassifier, pictures: Tensor) -> Tensor:
    """Where the judge sees the object of each picture (n, 3, h, w), (n, SIZE, SIZE) in {0, 1}."""
    logits = judge(_small(judge, pictures))[1][:, None]
    return (functional.interpolate(logits, (judge.SIZE, judge.SIZE), mode="bilinear")[:, 0] > 0).float()
