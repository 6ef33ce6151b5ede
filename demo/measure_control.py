"""Measures ControlNet, T2I-Adapter and LoRA of the demo family: what is kept of structure, looks and style."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from . import comic, world
from .files import WEIGHTS
from .judge import AttributeClassifier, load_judge, read_labels, read_objects
from .measure import Drawn, grid, held_out, other_shapes
from .outline import SIZE, intersection_over_union

STRUCTURES = {"ControlNet": "demo_controlnet.safetensors", "T2I-Adapter": "demo_t2i_adapter.safetensors"}
ADAPTER_WEIGHT = 1.0


def references(scenes: world.Scenes) -> world.Scenes:
    """For each scene one of another shape, place and size, in the scene's colours and texture."""
    labels = scenes.labels.clone()
    labels[:, 0] = other_shapes(scenes)
    return replace(scenes, labels=labels, centre=-scenes.centre, radius=1.42 - scenes.radius)


def in_place(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes) -> Tensor:
    """Intersection over union of each drawn object with the scene's silhouette where it is, (n,) in [0, 1]."""
    return intersection_over_union(read_objects(judge, pictures), (world.silhouettes(scenes, SIZE) > 0.5).float())


def draw(count: int, weights: Path = WEIGHTS, wanted: Collection[str] | None = None) -> Drawn:
    """What the table needs (or the wanted part of it) for held-out cases; the number of a case is its seed."""
    from .studio import Studio, as_image, as_pictures, inference
    from .training.edges import find_edges

    scenes = held_out(count)
    shown = as_image(world.render(references(scenes)))
    edges = find_edges(world.render(scenes)).expand(-1, 3, -1, -1).movedim(1, -1)
    drawn: dict[str, list[Tensor]] = {}
    with inference():
        studio = Studio(weights)
        comic_look = studio.with_lora()
        for case in range(count):
            own = slice(case, case + 1)
            followed = studio.with_picture(shown[own], ADAPTER_WEIGHT)
            all_three = studio.with_picture(shown[own], ADAPTER_WEIGHT, comic_look)
            nets = {name: studio.structure(file, edges[own]) for name, file in STRUCTURES.items()}
            words = world.caption(scenes.labels[case].tolist(), (False, True, False, True))
            full = world.caption(scenes.labels[case].tolist())
            wishes = {f"text, {name}": (words, None, net) for name, net in nets.items()}
            wishes |= {f"picture, {name}": ("", followed, net) for name, net in nets.items()}
            wishes |= {"text": (words, None, None), "picture": ("", followed, None), "LoRA": (full, comic_look, None)}
            wishes |= {"no LoRA": (full, None, None), "picture, ControlNet, LoRA": ("", all_three, nets["ControlNet"])}
            for name in wanted or wishes:
                prompt, model, net = wishes[name]
                drawn.setdefault(name, []).append(as_pictures(studio.draw(prompt, case, model, net)))
    return {name: torch.cat(pictures).contiguous() for name, pictures in drawn.items()}


def row(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes) -> tuple[float, ...]:
    """Percent of shapes, colours, textures and backgrounds, the overlap in place, and the share of black pixels."""
    right = (read_labels(judge, pictures) == scenes.labels).float().mean(dim=0) * 100
    return (*right.tolist(), in_place(judge, pictures, scenes).mean().item(), comic.blackness(pictures).mean().item())


def table(judge: AttributeClassifier, drawn: Drawn, scenes: world.Scenes) -> str:
    """The table of RESULTS.md."""
    conditions = {
        "the scenes themselves": world.render(scenes),
        "the scenes in the LoRA's look": comic.render(scenes),
        "text: colours; nothing else": drawn["text"],
        "text: colours; ControlNet": drawn["text, ControlNet"],
        "text: colours; T2I-Adapter": drawn["text, T2I-Adapter"],
        "reference; nothing else": drawn["picture"],
        "reference; ControlNet": drawn["picture, ControlNet"],
        "reference; T2I-Adapter": drawn["picture, T2I-Adapter"],
        "text: everything; nothing else": drawn["no LoRA"],
        "text: everything; LoRA": drawn["LoRA"],
        "reference; ControlNet; LoRA": drawn["picture, ControlNet, LoRA"],
    }
    lines = [
        "| condition | shape | colour | texture | background | in place | black |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, pictures in conditions.items():
        *percent, overlap, black = row(judge, pictures, scenes)
        cells = [*(f"{value:.0f}" for value in percent), f"{overlap:.2f}", f"{black:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    """Draws held-out cases with every combination, measures them, and writes the table and a picture."""
    parser = argparse.ArgumentParser(prog="demo.measure_control", description=__doc__)
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--output", type=Path, required=True, help="a folder for control.md and control.png")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    scenes, drawn = held_out(options.cases), draw(options.cases, options.weights)
    rows = [world.render(scenes), world.render(references(scenes)), *drawn.values()]
    grid(rows, 12).save(options.output / "control.png")
    minutes = (time.monotonic() - started) / 60
    text = f"{options.cases} cases, {minutes:.1f} minutes\n\n{table(load_judge(options.weights), drawn, scenes)}\n"
    (options.output / "control.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
