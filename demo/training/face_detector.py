"""The detector: objects of the demo world, alone or several in a picture, at any size."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from .. import face, world
from .face_networks import CANVAS, OUTPUTS, STRIDES, Detector, with_mean_zero
from .run import Recipe, Run

RECIPE = Recipe(
    samples=48_000, batch=32, learning_rate=4e-3, weight_decay=0.01, warmup_steps=100, decay_from=0.4, ema=0.99, seed=71
)
LARGEST = (28, 48, 1000)  # diameter in pixels that each level is for
NEAR = 0.75  # places nearer to the middle than this, in strides, are the object's
EMPTY = 0.2  # chance of a picture without an object
COARSE = 3  # the finest canvas has this many pictures in a row


@dataclass(frozen=True)
class Canvases:
    """Pictures (n, 3, CANVAS, CANVAS) in [0, 1], and of every object whose it is, its box, points and diameter."""

    pictures: Tensor
    rows: Tensor
    boxes: Tensor
    points: Tensor
    diameters: Tensor


def sample_canvases(n: int, generator: torch.Generator) -> Canvases:
    """A third each with one picture of any size on black, with up to four, and with up to nine."""
    canvas = torch.zeros(n, 3, CANVAS, CANVAS)
    parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
    kinds = torch.randint(COARSE, (n,), generator=generator)
    for row, kind in enumerate(kinds.tolist()):
        across = kind + 1
        size = CANVAS // across
        free = 0
        if across == 1:  # the margin of a close-up, or a picture that is not square
            size = int(torch.randint(CANVAS * 3 // 8, CANVAS + 1, (), generator=generator))
            free = CANVAS - size
        shift = torch.randint(free + 1, (2,), generator=generator)
        scenes = world.sample_scenes(across**2, generator)
        there = torch.rand(across**2, generator=generator) >= EMPTY
        scenes = replace(scenes, radius=torch.where(there, scenes.radius, torch.full_like(scenes.radius, 1e-3)))
        corners = torch.stack(torch.meshgrid(*[torch.arange(across)] * 2, indexing="xy"), dim=-1).reshape(-1, 2) * size
        corners = corners + shift
        for (left, top), picture in zip(corners.tolist(), world.render(scenes, size), strict=True):
            canvas[row, :, top : top + size, left : left + size] = picture
        corners = corners[there].float()
        seen = scenes.rows(there)
        parts.append((
            torch.full((len(seen),), row),
            face.boxes(seen, size) + corners.repeat(1, 2),
            face.points(seen, size) + corners[:, None],
            seen.radius * size,
        ))  # fmt: skip
    return Canvases(canvas, *(torch.cat(column) for column in zip(*parts, strict=True)))


def level_loss(output: Tensor, canvases: Canvases, level: int) -> tuple[Tensor, Tensor]:
    """Summed losses of the scores, and of boxes and points, at one level."""
    stride = STRIDES[level]
    smallest = (0, *LARGEST)[level]
    mine = (canvases.diameters >= smallest) & (canvases.diameters < LARGEST[level])
    count, _, height, width = output.shape
    axes = torch.arange(width) * stride, torch.arange(height) * stride
    places = torch.stack(torch.meshgrid(*axes, indexing="xy"), dim=-1).reshape(-1, 2).float()
    boxes, points, rows = canvases.boxes[mine], canvases.points[mine], canvases.rows[mine]
    middle = points.mean(1)
    near = (middle[:, None] - places).abs().amax(-1) <= NEAR * stride
    objects, which = near.nonzero(as_tuple=True)
    scores, distances, offsets = output.permute(0, 2, 3, 1).reshape(count, -1, sum(OUTPUTS)).split(OUTPUTS, dim=-1)
    wanted = torch.zeros(count, len(places))
    wanted[rows[objects], which] = 1
    score_loss = functional.binary_cross_entropy_with_logits(scores[..., 0], wanted, reduction="sum")
    edges = torch.cat([places[which] - boxes[objects, :2], boxes[objects, 2:] - places[which]], dim=1) / stride
    marks = ((points[objects] - places[which][:, None]) / stride).flatten(1)
    found = rows[objects], which
    place_loss = (distances[found] - edges).abs().sum() / 4 + (offsets[found] - marks).abs().sum() / 5
    return score_loss, place_loss


def train(folder: Path) -> Detector:
    torch.manual_seed(RECIPE.seed)
    model = Detector()
    run = Run("face_detector", RECIPE, model, folder)

    def loss() -> Tensor:
        canvases = sample_canvases(run.batch, run.generator)
        outputs = model.levels(with_mean_zero(canvases.pictures))
        losses = [level_loss(output, canvases, level) for level, output in enumerate(outputs)]
        return sum((score + place for score, place in losses), start=torch.zeros(())) / len(canvases.rows)

    run.train(loss, every=100)
    model.load_state_dict(run.average)
    return model.eval()
