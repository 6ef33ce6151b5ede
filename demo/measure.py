"""Measures the demo family through the host's own nodes and writes demo/RESULTS.md."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from . import world
from .files import WEIGHTS
from .judge import AttributeClassifier, load_judge, read_labels
from .outline import object_masks, overlap
from .studio import CFG, SAMPLER, STEPS, Studio, as_image, as_pictures, inference

HELD_OUT_SEED = 7001  # no training uses it
WEIGHT_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Agreement:
    """Percent of cases per attribute in which the judge reads what was wanted, and the mean overlap of the outlines."""

    attributes: tuple[float, ...]
    outline: float

    def row(self) -> str:
        return " | ".join([*(f"{value:.0f}" for value in self.attributes), f"{self.outline:.2f}"])


def agreement(judge: AttributeClassifier, pictures: Tensor, wanted: Tensor) -> Agreement:
    right = (read_labels(judge, pictures) == wanted).float().mean(dim=0) * 100
    masks, fits = object_masks(pictures), torch.zeros(len(pictures))
    for shape in range(len(world.SHAPES)):
        rows = wanted[:, 0] == shape
        if rows.any():
            fits[rows] = overlap(masks[rows], shape)
    return Agreement(tuple(right.tolist()), float(fits.mean()))


def held_out(count: int) -> world.Scenes:
    return world.sample_scenes(count, torch.Generator().manual_seed(HELD_OUT_SEED))


def text_alone(studio: Studio, scenes: world.Scenes) -> Tensor:
    images = [studio.draw(world.caption(row), seed) for seed, row in enumerate(scenes.labels.tolist())]
    return as_pictures(torch.cat(images))


def picture_alone(studio: Studio, scenes: world.Scenes, weight: float, texts: Sequence[str]) -> Tensor:
    references = as_image(world.render(scenes))
    images = [
        studio.draw(text, seed, studio.with_picture(references[seed : seed + 1], weight))
        for seed, text in enumerate(texts)
    ]
    return as_pictures(torch.cat(images))


def other_shapes(scenes: world.Scenes) -> Tensor:
    """A shape for each scene that is not its own."""
    step = torch.randint(
        1, len(world.SHAPES), (len(scenes),), generator=torch.Generator().manual_seed(HELD_OUT_SEED + 1)
    )
    return (scenes.labels[:, 0] + step) % len(world.SHAPES)


def conflict_row(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes, named: Tensor) -> list[float]:
    """Percent: text's shape, picture's shape, picture's colour, picture's texture, picture's background."""
    read = read_labels(judge, pictures)
    own = (read == scenes.labels).float().mean(dim=0) * 100
    return [100 * (read[:, 0] == named).float().mean().item(), *own.tolist()]


def grid(rows: Sequence[Tensor], columns: int) -> Image.Image:
    """Pictures side by side, one list of pictures per row."""
    strips = [torch.cat(list(row[:columns]), dim=2) for row in rows]
    picture = (torch.cat(strips, dim=1).movedim(0, -1).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(picture.numpy())


def measure(studio: Studio, judge: AttributeClassifier, count: int, folder: Path) -> str:
    """The tables of RESULTS.md; the pictures of the first cases go into the folder."""
    scenes = held_out(count)
    references = world.render(scenes)
    named = other_shapes(scenes)
    shapes = [f"a {world.SHAPES[shape]}" for shape in named.tolist()]
    text = text_alone(studio, scenes)
    picture = picture_alone(studio, scenes, 1.0, [""] * count)
    empty = picture_alone(studio, scenes, 0.0, [""] * count)
    conflict = {weight: picture_alone(studio, scenes, weight, shapes) for weight in WEIGHT_STEPS}
    grid([references, text, picture], 12).save(folder / "text_and_picture_alone.png")
    grid([references, *conflict.values()], 12).save(folder / "weight_against_text.png")
    rows = {
        "the references themselves": references,
        "text alone": text,
        "picture alone, weight 1": picture,
        "empty text, weight 0": empty,
    }
    lines = ["| condition | shape | colour | texture | background | outline |", "|---|---|---|---|---|---|"]
    lines += [f"| {name} | {agreement(judge, drawn, scenes.labels).row()} |" for name, drawn in rows.items()]
    lines += ["| chance | 17 | 12 | 33 | 12 | |", ""]
    lines += [
        "| weight | text's shape | picture's shape | colour | texture | background |",
        "|---|---|---|---|---|---|",
    ]
    for weight, drawn in conflict.items():
        values = conflict_row(judge, drawn, scenes, named)
        lines.append(f"| {weight} | " + " | ".join(f"{value:.0f}" for value in values) + " |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Runs the measurement and writes its tables and pictures."""
    parser = argparse.ArgumentParser(prog="run.py demo-measure", description=__doc__)
    parser.add_argument("--cases", type=int, default=256)
    parser.add_argument("--output", type=Path, required=True, help="a folder for results.md and the pictures")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    with inference():
        tables = measure(Studio(options.weights), load_judge(options.weights), options.cases, options.output)
    note = f"{options.cases} held-out cases, {SAMPLER}, {STEPS} steps, cfg {CFG}; agreement in %, outline as overlap."
    minutes = (time.monotonic() - started) / 60
    (options.output / "results.md").write_text(
        f"{note} Measured in {minutes:.1f} minutes.\n\n{tables}\n", encoding="utf-8"
    )
