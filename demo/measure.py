"""Measures the demo family through the host's own nodes: tables and pictures for demo/RESULTS.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from . import world
from .files import WEIGHTS
from .judge import AttributeClassifier, load_judge, read_labels
from .outline import object_masks, overlap

HELD_OUT_SEED = 7001  # no training uses it
WEIGHT_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
Drawn = dict[str, Tensor]  # what was asked for -> pictures (cases, 3, h, w)


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


def other_shapes(scenes: world.Scenes) -> Tensor:
    """A shape for each scene that is not its own."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 1)
    step = torch.randint(1, len(world.SHAPES), (len(scenes),), generator=generator)
    return (scenes.labels[:, 0] + step) % len(world.SHAPES)


def draw(cases: range, count: int, weights: Path) -> Drawn:
    """Everything the tables need, for some of the held-out cases; the number of a case is its seed."""
    from .studio import Studio, as_image, as_pictures, inference

    scenes = held_out(count)
    references, named = as_image(world.render(scenes)), other_shapes(scenes).tolist()
    drawn: dict[str, list[Tensor]] = {}
    with inference():
        studio = Studio(weights)
        for case in cases:
            text, other = world.caption(scenes.labels[case].tolist()), f"a {world.SHAPES[named[case]]}"
            followed = {weight: studio.with_picture(references[case : case + 1], weight) for weight in WEIGHT_STEPS}
            wishes = {"text": (text, None), "picture": ("", followed[1.0]), "empty": ("", followed[0.0])}
            wishes |= {f"conflict {weight}": (other, followed[weight]) for weight in WEIGHT_STEPS}
            for name, (prompt, model) in wishes.items():
                drawn.setdefault(name, []).append(as_pictures(studio.draw(prompt, case, model)))
    return {name: torch.cat(pictures).contiguous() for name, pictures in drawn.items()}


def conflict_row(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes, named: Tensor) -> str:
    """Percent: text's shape, picture's shape, picture's colour, picture's texture, picture's background."""
    read = read_labels(judge, pictures)
    own = (read == scenes.labels).float().mean(dim=0) * 100
    values = [100 * (read[:, 0] == named).float().mean().item(), *own.tolist()]
    return " | ".join(f"{value:.0f}" for value in values)


def grid(rows: Sequence[Tensor], columns: int) -> Image.Image:
    """Pictures side by side, one list of pictures per row."""
    strips = [torch.cat(list(row[:columns]), dim=2) for row in rows]
    picture = (torch.cat(strips, dim=1).movedim(0, -1).clamp(0, 1) * 255).round().to(torch.uint8)
    return Image.fromarray(picture.numpy())


def tables(judge: AttributeClassifier, drawn: Drawn, scenes: world.Scenes) -> str:
    """The tables of RESULTS.md."""
    conditions = {
        "the references themselves": world.render(scenes),
        "text alone": drawn["text"],
        "picture alone, weight 1": drawn["picture"],
        "empty text, weight 0": drawn["empty"],
    }
    lines = ["| condition | shape | colour | texture | background | outline |", "|---|---|---|---|---|---|"]
    lines += [f"| {name} | {agreement(judge, made, scenes.labels).row()} |" for name, made in conditions.items()]
    lines += ["| chance | 17 | 12 | 33 | 12 | |", ""]
    lines += [
        "| weight | text's shape | picture's shape | colour | texture | background |",
        "|---|---|---|---|---|---|",
    ]
    named = other_shapes(scenes)
    for weight in WEIGHT_STEPS:
        lines.append(f"| {weight} | {conflict_row(judge, drawn[f'conflict {weight}'], scenes, named)} |")
    return "\n".join(lines)


def _write(drawn: Drawn, scenes: world.Scenes, options: argparse.Namespace, minutes: float) -> None:
    references, folder = world.render(scenes), options.output
    conflict = [drawn[f"conflict {weight}"] for weight in WEIGHT_STEPS]
    grid([references, drawn["text"], drawn["picture"]], 12).save(folder / "text_and_picture_alone.png")
    grid([references, drawn["picture"], *conflict], 8).save(folder / "weight_against_text.png")
    note = f"{len(scenes)} held-out cases; agreement in %, outline as overlap. Drawn in {minutes:.1f} minutes."
    text = f"{note}\n\n{tables(load_judge(options.weights), drawn, scenes)}\n"
    (folder / "results.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)


def _draw_in_workers(options: argparse.Namespace) -> Drawn:
    """One thread each in several processes draws more than several threads in one."""
    command = [sys.executable, *sys.argv]
    workers = [subprocess.Popen([*command, "--worker", str(number)]) for number in range(options.workers)]
    failed = [worker.wait() for worker in workers]
    if any(failed):
        raise SystemExit("A worker failed; its message stands above.")
    parts = [load_file(options.output / f"part-{number}.safetensors") for number in range(options.workers)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def main(arguments: Sequence[str]) -> None:
    """Draws the held-out cases, measures them, and writes tables and pictures."""
    parser = argparse.ArgumentParser(prog="run.py demo-measure", description=__doc__)
    parser.add_argument("--cases", type=int, default=256)
    parser.add_argument("--output", type=Path, required=True, help="a folder for results.md and the pictures")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw at the same time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    if options.worker is None:
        started = time.monotonic()
        drawn = _draw_in_workers(options)
        _write(drawn, held_out(options.cases), options, (time.monotonic() - started) / 60)
        return
    torch.set_num_threads(1)
    share = options.cases // options.workers
    end = options.cases if options.worker == options.workers - 1 else (options.worker + 1) * share
    drawn = draw(range(options.worker * share, end), options.cases, options.weights)
    save_file(drawn, options.output / f"part-{options.worker}.safetensors")
