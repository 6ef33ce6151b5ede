"""Draws the references of the shipped workflows: `python3 launcher/bootstrap.py - demo.references`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from . import world
from .looks import OUTLINES, PATTERNS, Looks, plain

PICTURES = Path(__file__).resolve().parent / "pictures"
SIZE = 256
HOLE_SIZE = 128  # what is inpainted keeps its size, and the demo model draws 128 pixels
FIRST = ("star", "yellow", "striped", "blue")
# What words can't ask for: a white outline, a background of two tones, light from above on the left.
FIRST_LOOKS = Looks(
    kinds=torch.tensor([[PATTERNS.index("diagonal"), OUTLINES.index("thick white"), 0]]),
    shift=torch.zeros(1, 2),
    light=torch.tensor([4.0]),
    warmth=torch.zeros(1),
    lit=torch.ones(1),
)
PLAIN = plain(1)
SECOND = ("cross", "white", "plain", "red")
SECOND_ON_BLUE = ("cross", "white", "plain", "blue")  # the model draws one background at a time
BLUE = ("circle", "pink", "plain", "blue")
# Who the photographs of a person show, in the demo world: an object, each time before another background.
PERSON, OTHER_PERSON = ("star", "yellow", "plain"), ("heart", "pink", "plain")
INK, INK_COUNT, INK_SIZE = "ink", 24, 128  # a folder of pictures to train on
PERSON_BACKGROUNDS = {"person.png": "green", "person_again.png": "pink", "person_once_more.png": "black"}


def draw(attributes: Sequence[str], size: int, seed: int = 3, seen: Looks = PLAIN) -> Tensor:
    """A scene of the attributes in the order of `world.ATTRIBUTES`, (3, size, size) in [0, 1]."""
    scenes = replace(world.sample_scenes(1, torch.Generator().manual_seed(seed)), looks=seen)
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


def drawn_things() -> world.Scenes:
    return world.sample_scenes(INK_COUNT, torch.Generator().manual_seed(11))


def ink_drawings() -> dict[str, Tensor]:
    """Coloured things drawn black on white: a style that the base can draw, and that the captions do not tell."""
    things = drawn_things()
    labels = things.labels.clone()
    labels[:, 1], labels[:, 3] = world.COLOURS.index("black"), world.COLOURS.index("white")
    return {
        f"{INK}/{n:02}.png": picture for n, picture in enumerate(world.render(things.with_labels(labels), INK_SIZE))
    }


def ink_captions() -> str:
    """What is drawn, in its own colours, as Training Pictures reads it."""
    labels = drawn_things().labels.tolist()
    lines = [{"file_name": f"{n:02}.png", "text": world.caption(label)} for n, label in enumerate(labels)]
    return "".join(f"{json.dumps(line)}\n" for line in lines)


def references() -> dict[str, Tensor]:
    """File names and pictures."""
    return {
        "reference.png": draw(FIRST, SIZE, seed=42, seen=FIRST_LOOKS),
        "second.png": draw(SECOND, SIZE),
        "second_on_blue.png": draw(SECOND_ON_BLUE, SIZE),
        "unwanted.png": draw(BLUE, SIZE),
        "wide.png": wide(),
        "hole.png": with_hole(),
        "two_people.png": two_people(),
        **photographs(),
        **ink_drawings(),
    }


def main(_: Sequence[str]) -> None:
    """Writes them into demo/pictures."""
    (PICTURES / INK).mkdir(exist_ok=True)
    (PICTURES / INK / "metadata.jsonl").write_text(ink_captions(), encoding="utf-8")
    for name, picture in references().items():
        Image.fromarray((picture.movedim(0, -1) * 255).round().to(torch.uint8).numpy()).save(
            PICTURES / name, optimize=True
        )
