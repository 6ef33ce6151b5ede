"""Measures FaceID on the demo family: what detector and recogniser know, and whether pictures show who is asked for."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Collection, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ..ip_adapter.faces.onnx import OnnxFaceAnalyser, open_pack
from ..ip_adapter.faces.pack import Pack
from . import face, world
from .files import FACE_PACK, WEIGHTS
from .judge import load_judge, read_labels
from .measure import HELD_OUT_SEED, Drawn, grid, held_out

SIZE = 256
CONDITIONS = {
    "face alone": "the face alone, weight 1",
    "two photographs": "the same from two photographs",
    "background": 'the face, text "a SHAPE on a COLOUR background"',
    "no look": "the same with structure_weight 0",
    "no lora": "the same with lora_weight 0",
    "empty": "empty text, weight and lora_weight 0",
}


def other_photographs(scenes: world.Scenes) -> world.Scenes:
    """Another photograph of everybody: background, place, size and angle are new."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 2)
    return face.of_identities(world.sample_scenes(len(scenes), generator), face.identities(scenes.labels))


def other_backgrounds(scenes: world.Scenes) -> Tensor:
    """A background (n,) for each scene that is neither its own nor of the object's colour."""
    colours = torch.arange(len(world.COLOURS))
    taken = (colours == scenes.labels[:, 1:2]) | (colours == scenes.labels[:, 3:])
    generator = torch.Generator().manual_seed(HELD_OUT_SEED + 3)
    return torch.rand(taken.shape, generator=generator).masked_fill(taken, -1.0).argmax(1)


def draw(count: int, weights: Path, conditions: Collection[str] = tuple(CONDITIONS)) -> Drawn:
    """Pictures of the held-out cases under these conditions; the number of a case is its seed."""
    from .face_studio import FaceStudio, FaceWeights
    from .studio import as_image, as_pictures, inference

    scenes = held_out(count)
    first, second = (as_image(world.render(some, SIZE)) for some in (scenes, other_photographs(scenes)))
    backgrounds = other_backgrounds(scenes).tolist()
    drawn: dict[str, list[Tensor]] = {}
    with inference():
        studio = FaceStudio(weights)
        for case in range(count):
            one = studio.faces(first[case : case + 1])
            both = studio.faces(torch.stack([first[case], second[case]]))
            shape = world.SHAPES[int(scenes.labels[case, 0])]
            text = f"a {shape} on a {world.COLOURS[backgrounds[case]]} background"
            wishes = {
                "face alone": ("", one, FaceWeights()),
                "two photographs": ("", both, FaceWeights()),
                "background": (text, one, FaceWeights()),
                "no look": (text, one, FaceWeights(structure_weight=0.0)),
                "no lora": (text, one, FaceWeights(lora_weight=0.0)),
                "empty": ("", one, FaceWeights(weight=0.0, lora_weight=0.0)),
            }
            for name in conditions:
                prompt, faces, numbers = wishes[name]
                picture = studio.draw(prompt, case, studio.with_faces(faces, numbers))
                drawn.setdefault(name, []).append(as_pictures(picture))
    return {name: torch.cat(pictures).contiguous() for name, pictures in drawn.items()}


def table(weights: Path, drawn: Drawn, scenes: world.Scenes) -> str:
    """Agreement in percent with the photograph's object, and with the background that the text names."""
    judge = load_judge(weights)
    wanted = torch.cat([scenes.labels[:, :3], other_backgrounds(scenes)[:, None]], dim=1)
    lines = ["| condition | shape | colour | texture | text's background |", "|---|---|---|---|---|"]
    for name, meaning in CONDITIONS.items():
        right = (read_labels(judge, drawn[name]) == wanted).float().mean(0) * 100
        lines.append(f"| {meaning} | " + " | ".join(f"{value:.0f}" for value in right.tolist()) + " |")
    return "\n".join([*lines, "| chance | 17 | 12 | 33 | 12 |"])


def models(weights: Path, scenes: world.Scenes) -> str:
    """What detector and recogniser know of held-out photographs."""
    analyser = open_pack(Pack(FACE_PACK.name, weights / FACE_PACK), "CPU")
    others = other_photographs(scenes)
    (found, off, one), (_, _, two) = seen(analyser, scenes), seen(analyser, others)
    who = face.identities(scenes.labels)
    same, differ = who[:, None] == who, who[:, None] != who
    cosines = one @ two.T
    nearest = (who[cosines.argmax(1)] == who).float().mean()
    return (
        f"Detector: {100 * found:.1f} % of {len(scenes)} photographs with exactly one face, points off by "
        f"{100 * off:.1f} % of its width. Recogniser: cosine {cosines[same].mean():.2f} for two photographs of one "
        f"identity, {cosines[differ].mean():.2f} for two identities; the nearest is the right one in "
        f"{100 * nearest:.0f} %."
    )


def seen(analyser: OnnxFaceAnalyser, scenes: world.Scenes) -> tuple[float, float, Tensor]:
    """Share of pictures with exactly one face, mean distance of its points in its widths, and embeddings of length 1.

    A picture without a face has a zero embedding.
    """
    from ..ip_adapter.faces.alignment import RECOGNISED, aligned

    wanted = face.points(scenes, SIZE)
    exact, distances, vectors = 0, list[Tensor](), list[Tensor]()
    for picture, points, radius in zip(world.render(scenes, SIZE), wanted, scenes.radius, strict=True):
        faces = analyser.detect(picture, 640, 0.5)
        exact += len(faces) == 1
        if not len(faces):
            vectors.append(torch.zeros_like(analyser.embed(torch.zeros(1, 3, RECOGNISED, RECOGNISED))[0]))
            continue
        distances.append((faces.points[0] - points).norm(dim=1).mean() / (radius * SIZE))
        vectors.append(analyser.embed(aligned(picture, faces.points[0], RECOGNISED)[None])[0])
    embeddings = torch.nn.functional.normalize(torch.stack(vectors), dim=1)
    return exact / len(scenes), float(torch.stack(distances).mean()), embeddings


def main(arguments: Sequence[str]) -> None:
    """Draws held-out cases in every condition, measures them, and writes the tables and a picture."""
    parser = argparse.ArgumentParser(prog="demo.measure_faces", description=__doc__)
    parser.add_argument("--cases", type=int, default=64)
    parser.add_argument("--output", type=Path, required=True, help="a folder for faces.md and faces.png")
    parser.add_argument("--weights", type=Path, default=WEIGHTS)
    options = parser.parse_args(arguments)
    options.output.mkdir(parents=True, exist_ok=True)
    started, scenes = time.monotonic(), held_out(options.cases)
    drawn = draw(options.cases, options.weights)
    minutes = (time.monotonic() - started) / 60
    grid([world.render(scenes), *(drawn[name] for name in CONDITIONS)], 12).save(options.output / "faces.png")
    note = f"{options.cases} held-out cases; agreement in %. Drawn in {minutes:.1f} minutes."
    known = models(options.weights, held_out(max(256, options.cases)))
    text = "\n\n".join([note, table(options.weights, drawn, scenes), known]) + "\n"
    (options.output / "faces.md").write_text(text, encoding="utf-8")
    sys.stdout.write(text)
