"""The classifier that measures pictures of the demo world."""

from __future__ import annotations

from torch import Tensor, nn

from . import world


class AttributeClassifier(nn.Module):
    """Scores of the four attributes of a picture, (n, 3, 64, 64) in [0, 1]."""

    SIZE = 64
    EMBEDDING = 128

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 32, 64, 96, 128)
        layers: list[nn.Module] = []
        for before, after in zip(widths[:-1], widths[1:], strict=True):
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
