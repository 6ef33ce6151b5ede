"""`run.py evaluate`: how much pictures follow the references and captions they were made from, by CLIP.

With --adapter it first draws them, by the protocol of the paper (arXiv 2308.06721, section 4.1) unless told otherwise.
"""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.sd
import torch
from torch import Tensor

from ..adapter import Adapter
from ..errors import AdapterError, SettingError
from ..evaluation import find_cases, markdown, save_grid, scores, table
from ..recognition.checkpoint import read_tensors
from ..training.pictures import BROKEN, centre_crop, find_pictures, read_picture
from .clip_text import REMEDY, text_features
from .drawing import Artist, Protocol, Texts, draw_all
from .encode import HostEncoder
from .training import load_checkpoint, load_clip_vision, load_packs

FINISHED, ERROR, INTERRUPTED = 0, 1, 130
log = logging.getLogger("ip_adapter.evaluation")


def main(arguments: Sequence[str]) -> int:
    """Measure what the command line names and return the exit status."""
    parser = ArgumentParser("run.py evaluate", description=__doc__)
    parser.add_argument("pictures", type=Path, help="a folder of what was made; a_1.png and a_2.png from a.png")
    parser.add_argument("references", type=Path, help="a folder of references, with captions as for run.py train")
    parser.add_argument("--image-encoder", type=Path, required=True, help="a CLIP vision model (the paper: ViT-L/14)")
    parser.add_argument("--text-encoder", type=Path, help="the text model of the same CLIP; without it no CLIP-T")
    parser.add_argument("--output", type=Path, default=Path("evaluation"), help="a folder for table and grid")
    _add_drawing(parser)
    parser.add_argument("--custom-nodes", type=Path, nargs="*", default=[], help="packs the host needs to know them")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        _evaluate(options)
    except AdapterError as error:
        log.error("run.py evaluate: %s", error)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return FINISHED


@torch.inference_mode()
def _evaluate(options: Namespace) -> None:
    load_packs(options.custom_nodes)
    if options.adapter is not None:
        _draw(options)
    cases = find_cases(options.pictures, options.references)
    vision = HostEncoder(load_clip_vision(options.image_encoder))
    paths = dict.fromkeys([path for case in cases for path in (case.made, case.reference.path)])
    images = {path: _image_features(vision, path) for path in paths}
    captions = dict.fromkeys(case.reference.caption for case in cases if case.reference.caption)
    clip = None if options.text_encoder is None else _text_encoder(options.text_encoder)
    texts = {} if clip is None else {caption: text_features(clip, caption) for caption in captions}
    results = scores(cases, images, texts)
    summary = markdown(results, options.image_encoder.name)
    try:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "scores.md").write_text(summary, encoding="utf-8")
        (options.output / "scores.csv").write_text(table(results), encoding="utf-8")
        save_grid(cases, options.output / "grid.png")
    except OSError as error:
        raise SettingError(f"{options.output} cannot be written ({error}). Name another folder.") from error
    sys.stdout.write(summary)


def _add_drawing(parser: ArgumentParser) -> None:
    paper = Protocol()
    group = parser.add_argument_group("drawing the pictures first", "pictures that are there already are kept")
    group.add_argument("--adapter", type=Path, help="an adapter that reads pictures; PICTURES is where they go")
    group.add_argument("--base", type=Path, help="the checkpoint to draw with")
    group.add_argument("--adapter-encoder", type=Path, help="the adapter's CLIP vision model, if it is another one")
    group.add_argument("--weights", type=float, nargs="+", default=paper.weights, help="default: 1")
    texts = [text.value for text in Texts]
    group.add_argument("--texts", choices=texts, nargs="+", default=[Texts.EMPTY], help="default: empty")
    for name in ("pictures", "steps", "resolution", "seed"):
        value = getattr(paper, name)
        option = "--per-reference" if name == "pictures" else f"--{name}"
        group.add_argument(option, type=int, default=value, help=f"default: {value}")
    group.add_argument("--guidance", type=float, default=paper.guidance, help=f"default: {paper.guidance:g}")


def _draw(options: Namespace) -> None:
    if options.base is None:
        raise SettingError("Expected --base with --adapter: the checkpoint to draw with. Name it.")
    protocol = Protocol(
        pictures=options.per_reference,
        steps=options.steps,
        guidance=options.guidance,
        weights=tuple(options.weights),
        texts=tuple(map(Texts, options.texts)),
        resolution=options.resolution,
        seed=options.seed,
    )
    encoder = load_clip_vision(options.adapter_encoder or options.image_encoder)
    artist = Artist(load_checkpoint(options.base), encoder, Adapter.load(options.adapter))
    draw_all(artist, find_pictures(options.references)[0], protocol, options.pictures)


def _image_features(vision: HostEncoder, path: Path) -> Tensor:
    try:
        picture = read_picture(path)
    except BROKEN as error:
        raise SettingError(f"{path} cannot be read ({error}). Remove or replace it.") from error
    return vision.encode(centre_crop(picture, vision.size)).pooled


def _text_encoder(file: Path) -> Any:
    """Raises SettingError for a text encoder without the projection into the space of the pictures."""
    if not any("text_projection" in name for name in read_tensors(file).shapes):
        raise SettingError(f"{file.name} has no text_projection, so texts cannot be compared with pictures. {REMEDY}")
    return comfy.sd.load_clip([str(file)])
