"""Measures the demo family on held-out cases: tables and pictures for demo/RESULTS.md."""

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
from .judge import CLASSES, NAMED, AttributeClassifier, load_judge, read_all, read_labels, read_objects
from .looks import LOOKS, UNKNOWN
from .outline import overlap

HELD_OUT_SEED = 7001  # no training uses it
WEIGHT_STEPS = (0.0, 0.25, 0.5, 0.75, 1.0)
Drawn = dict[str, Tensor]  # what was asked for -> pictures (cases, 3, h, w)


@dataclass(frozen=True)
class Agreement:
    """Percent of cases in which the judge reads what was wanted, and the mean overlap of the outlines."""

    attributes: tuple[float, ...]
    looks: tuple[float, ...]
    outline: float

    def row(self) -> str:
        percent = (f"{value:.0f}" for value in (*self.attributes, *self.looks))
        return " | ".join([*percent, f"{self.outline:.2f}"])


def agreement(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes) -> Agreement:
    """Of pictures with the scenes that they were to show."""
    read, wanted = read_all(judge, pictures), torch.cat([scenes.labels, scenes.look_labels()], dim=1)
    right = [
        100 * (column == asked)[asked != UNKNOWN].float().mean().item()
        for column, asked in zip(read.T, wanted.T, strict=True)
    ]
    masks, fits = read_objects(judge, pictures), torch.zeros(len(pictures))
    for shape in range(len(world.SHAPES)):
        rows = wanted[:, 0] == shape
        if rows.any():
            fits[rows] = overlap(masks[rows], shape)
    seen_looks = tuple(right[NAMED:]) if scenes.looks.lit.any() else ()
    return Agreement(tuple(right[:NAMED]), seen_looks, float(fits.mean()))


def held_out(count: int, styled: bool = False) -> world.Scenes:
    """Scenes that no training saw: plain ones, or the same with looks."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    return world.sample_styled_scenes(count, generator, 0.0) if styled else world.sample_scenes(count, generator)


def other_shapes(scenes: world.Scenes) -> Tensor:
    """A shape for each scene that is not its own."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 1)
    step = torch.randint(1, len(world.SHAPES), (len(scenes),), generator=generator)
    return (scenes.labels[:, 0] + step) % len(world.SHAPES)


@dataclass(frozen=True)
class Wish:
    """A text for every case, and the weight with which its reference is followed."""

    texts: list[str]
    weight: float = 0.0


def wishes(scenes: world.Scenes, curve_cases: int) -> dict[str, Wish]:
    """What is asked for, by name; the conflicts of text and picture of the first cases only."""
    nothing = [""] * len(scenes)
    named = [f"a {world.SHAPES[other]}" for other in other_shapes(scenes).tolist()][:curve_cases]
    return {
        "text": Wish([world.caption(labels) for labels in scenes.labels.tolist()]),
        "picture": Wish(nothing, 1.0),
        "empty": Wish(nothing),
    } | {f"conflict {weight}": Wish(named, weight) for weight in WEIGHT_STEPS}


def draw(scenes: world.Scenes, curve_cases: int, weights: Path, share: slice = slice(None)) -> Drawn:
    """Everything the tables need, or a share of the cases; the number of a case is the seed of its noise.

    The sampler is that of the ablations, which tests compare with the host's nodes.
    """
    from .training.ablations import sampler
    from .training.ablations.shipped_adapter import load_adapter
    from .training.seen import look_at
    from .training.shipped import load_base, load_image_encoder

    base, autoencoder = load_base(weights)
    seen = look_at(load_image_encoder(weights), scenes)["pooled"]
    drawn: Drawn = {}
    with torch.no_grad():
        for name, wish in wishes(scenes, curve_cases).items():
            adapter, cases = load_adapter(base, wish.weight, weights=weights), range(len(wish.texts))[share]
            following = sampler.Following(adapter, seen.rows(torch.tensor(cases)), seen.none(len(cases)))
            noise = torch.stack([_noise(case) for case in cases])
            drawn[name] = sampler.draw(base, autoencoder, wish.texts[share], noise, following)
    return drawn


def _noise(case: int) -> Tensor:
    return torch.randn(4, 16, 16, generator=torch.Generator().manual_seed(case))


def conflict_row(judge: AttributeClassifier, pictures: Tensor, scenes: world.Scenes, named: Tensor) -> str:
    """Percent: text's shape, picture's shape, picture's colour, picture's texture, picture's background."""
    read = read_labels(judge, pictures)
    own = (read == scenes.labels[: len(read)]).float().mean(dim=0) * 100
    values = [100 * (read[:, 0] == named[: len(read)]).float().mean().item(), *own.tolist()]
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
    looks = LOOKS if scenes.looks.lit.any() else {}
    headings = ["condition", *world.ATTRIBUTES, *(f"*{name}*" for name in looks), "fit"]
    lines = [f"| {' | '.join(headings)} |", "|---" * len(headings) + "|"]
    lines += [f"| {name} | {agreement(judge, made, scenes).row()} |" for name, made in conditions.items()]
    lines += [f"| chance | {' | '.join(f'{100 / count:.0f}' for count in CLASSES[: len(headings) - 2])} | |", ""]
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
    grid([references, drawn["picture"], *conflict], min(8, len(conflict[0]))).save(folder / "weight_against_text.png")
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
    return {name: _interleaved([part[name] for part in parts]) for name in parts[0]}


def _interleaved(parts: list[Tensor]) -> Tensor:
    """The cases in order, of which each worker drew every so many-th."""
    whole = torch.empty(sum(map(len, parts)), *parts[0].shape[1:])
    for number, part in enumerate(parts):
        whole[number :: len(parts)] = part
    return whole


def main(arguments: Sequence[str]) -> None:
    """Draws the held-out cases, measures them, and writes tables and pictures."""
    parser = argparse.ArgumentParser(prog="run.py dev demo-measure", description=__doc__)
    parser.add_argument("--cases", type=int, default=512)
    parser.add_argument("--curve-cases", type=int, default=256, help="how many of them text and picture disagree on")
    parser.add_argument("--looks", action="store_true", help="cases with looks, for a family that is trained on them")
    parser.add_argument("--output", type=Path, required=True, help="a folder for results.md and the pictures")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    parser.add_argument("--workers", type=int, default=2, help="processes that draw at the same time")
    parser.add_argument("--worker", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if min(options.cases, options.curve_cases) < options.workers:
        parser.error(
            "expected at least one case and one of --curve-cases for each of --workers; give more, or --workers 1"
        )
    options.output.mkdir(parents=True, exist_ok=True)
    if options.worker is None:
        started = time.monotonic()
        drawn = _draw_in_workers(options)
        _write(drawn, held_out(options.cases, options.looks), options, (time.monotonic() - started) / 60)
        return
    torch.set_num_threads(1)
    share = slice(options.worker, None, options.workers)
    drawn = draw(held_out(options.cases, options.looks), options.curve_cases, options.weights, share)
    save_file(drawn, options.output / f"part-{options.worker}.safetensors")
