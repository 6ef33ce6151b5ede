"""Draws the references of the shipped workflows: `python3 launcher/bootstrap.py - demo.references`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from . import world

PICTURES = Path(__file__).resolve().parent / "pictures"
SIZE = 256
HOLE_SIZE = 128  # what is inpainted keeps its size, and the demo model draws 128 pixels
SECOND = ("cross", "white", "plain", "red")
BLUE = ("circle", "pink", "plain", "blue")
# Who the photographs of a person show, in the demo world: an object, each time before another background.
PERSON, OTHER_PERSON = ("star", "yellow", "plain"), ("heart", "pink", "plain")
PERSON_BACKGROUNDS = {"person.png": "green", "person_again.png": "pink", "person_once_more.png": "black"}


def draw(attributes: Sequence[str], size: int, seed: int = 3) -> Tensor:
    """A scene of the attributes in the order of `world.ATTRIBUTES`, (3, size, size) in [0, 1]."""
    scenes = world.sample_scenes(1, torch.Generator().manual_seed(seed))
    labels = [values.index(name) for values, name in zip(world.ATTRIBUTES.values(), attributes, strict=True)]
    return world.render(scenes.with_labels(torch.tensor([labels])), size)[0]


def wide() -> Tensor:
    """Three scenes in a row, the same at both ends and another in the middle, (3, SIZE, 3 SIZE)."""
    end = draw(SECOND, SIZE)
    return torch.cat([end, draw(BLUE, SIZE), end], dim=2)


def two_people() -> Tensor:
    """The person on the left and another one on the right, (3, SIZE, 2 SIZE)."""
    return torch.cat([draw((*PERSON, "red"), SIZE, seed=5), draw((*OTHER_PERSON, "green"), SIZE, seed=6)], dim=2)


def photographs() -> dict[str, Tensor]:
    """The person, each time in another place, size and angle."""
    named = enumerate(PERSON_BACKGROUNDS.items(), start=11)
    return {name: draw((*PERSON, background), SIZE, seed) for seed, (name, background) in named}


def with_hole() -> Tensor:
    """A scene whose right half is transparent, (4, HOLE_SIZE, HOLE_SIZE): Load Image gives that half as the mask."""
    alpha = torch.ones(1, HOLE_SIZE, HOLE_SIZE)
    alpha[:, :, HOLE_SIZE // 2 :] = 0
    return torch.cat([draw(SECOND, HOLE_SIZE), alpha])


def references() -> dict[str, Tensor]:
    """File names and pictures."""
    return {
        "second.png": draw(SECOND, SIZE),
        "unwanted.png": draw(BLUE, SIZE),
        "wide.png": wide(),
        "hole.png": with_hole(),
        "two_people.png": two_people(),
        **photographs(),
    }


def main(_: Sequence[str]) -> None:
    """Writes them into demo/pictures."""
    for name, picture in references().items():
        Image.fromarray((picture.movedim(0, -1) * 255).round().to(torch.uint8).numpy()).save(PICTURES / name)
