"""`run.py evaluate`: how much pictures follow the references and captions they were made from.

By CLIP, and by a face recogniser where one is named. With --adapter it first draws the pictures, by the protocol of the
paper (arXiv 2308.06721, section 4.1) unless told otherwise.
"""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import comfy.sd
import torch

from ..ip_adapter.errors import AdapterError, SettingError
from ..ip_adapter.evaluation.cases import find_cases
from ..ip_adapter.evaluation.grid import save_grid
from ..ip_adapter.evaluation.measures import (
    Metric,
    Score,
    embeddings,
    face_similarity,
    image_prompt_similarity,
    measured,
    text_prompt_similarity,
)
from ..ip_adapter.evaluation.report import markdown, table
from ..ip_adapter.files.checkpoint import read_tensors
from ..ip_adapter.host.encode import HostEncoder
from ..ip_adapter.library.inventory import load_adapter
from ..ip_adapter.tasks.clip_text import REMEDY, text_features
from ..ip_adapter.tasks.generate import GenerationOptions, Generator, Texts, draw_all
from ..ip_adapter.tasks.readers import load_face_models
from ..ip_adapter.tasks.training import load_checkpoint, load_clip_vision, load_packs
from ..ip_adapter.training.pictures import find_pictures

FINISHED, ERROR, INTERRUPTED = 0, 1, 130
log = logging.getLogger("ip_adapter.evaluation")


def main(arguments: Sequence[str], further: Sequence[Metric] = ()) -> int:
    """Measure what the command line names, and by further measures, and return the exit status."""
    parser = ArgumentParser("run.py evaluate", description=__doc__)
    parser.add_argument("pictures", type=Path, help="a folder of what was made; a_1.png and a_2.png from a.png")
    parser.add_argument("references", type=Path, help="a folder of references, with captions as for run.py train")
    parser.add_argument("--image-encoder", type=Path, help="a CLIP vision model (the paper: ViT-L/14), for CLIP-I")
    parser.add_argument("--text-encoder", type=Path, help="the text model of the same CLIP, for CLIP-T")
    parser.add_argument("--face-models", type=Path, help="a folder with face detector and recogniser: face similarity")
    parser.add_argument("--output", type=Path, default=Path("evaluation"), help="a folder for tables and grid")
    _add_drawing(parser)
    parser.add_argument("--custom-nodes", type=Path, nargs="*", default=[], help="packs the host needs to know them")
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr, force=True)
    try:
        _evaluate(options, further)
    except AdapterError as error:
        log.error("run.py evaluate: %s", error)
        return ERROR
    except KeyboardInterrupt:
        return INTERRUPTED
    return FINISHED


@torch.inference_mode()
def _evaluate(options: Namespace, further: Sequence[Metric]) -> None:
    load_packs(options.custom_nodes)
    measures = [*_measures(options), *further]
    if not measures:
        raise SettingError("There is nothing to measure with. Name --image-encoder, --face-models, or both.")
    note = "" if options.adapter is None else _draw(options)
    scores = measured(find_cases(options.pictures, options.references), measures)
    summary = markdown(scores, measures) + note
    try:
        _write(options.output, summary, scores, measures)
    except OSError as error:
        raise SettingError(f"{options.output} cannot be written ({error}). Name another folder.") from error
    sys.stdout.write(summary)


def _write(folder: Path, summary: str, scores: Sequence[Score], measures: Sequence[Metric]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.md").write_text(summary, encoding="utf-8")
    (folder / "scores.csv").write_text(table(scores, measures), encoding="utf-8")
    save_grid(scores, folder / "grid.png")


def _measures(options: Namespace) -> Iterator[Metric]:
    """Raises SettingError for a text encoder without an image encoder, or without a projection to compare by."""
    if options.image_encoder is not None:
        embedding = embeddings(HostEncoder(load_clip_vision(options.image_encoder)))
        yield image_prompt_similarity(embedding, options.image_encoder.name)
        if options.text_encoder is not None:
            clip = _text_encoder(options.text_encoder)
            yield text_prompt_similarity(embedding, lambda text: text_features(clip, text), options.text_encoder.name)
    elif options.text_encoder is not None:
        raise SettingError("Expected --image-encoder with --text-encoder: the picture tower of the same CLIP. Name it.")
    if options.face_models is not None:
        yield face_similarity(load_face_models(options.face_models), options.face_models.name)


def _add_drawing(parser: ArgumentParser) -> None:
    paper = GenerationOptions()
    group = parser.add_argument_group("drawing the pictures first", "pictures that are there already are kept")
    group.add_argument("--adapter", type=Path, help="an adapter of pictures or faces; PICTURES is where they go")
    group.add_argument("--base", type=Path, help="the checkpoint to draw with")
    group.add_argument("--adapter-encoder", type=Path, help="the adapter's CLIP vision model, if it is another one")
    group.add_argument("--adapter-face-models", type=Path, help="the adapter's face models, if they are others")
    group.add_argument("--weights", type=float, nargs="+", default=paper.weights, help="default: 1")
    texts = [text.value for text in Texts]
    group.add_argument("--texts", choices=texts, nargs="+", default=[Texts.EMPTY], help="default: empty")
    for name in ("pictures", "steps", "resolution", "seed"):
        value = getattr(paper, name)
        option = "--per-reference" if name == "pictures" else f"--{name}"
        group.add_argument(option, type=int, default=value, help=f"default: {value}")
    group.add_argument("--guidance", type=float, default=paper.guidance, help=f"default: {paper.guidance:g}")


def _draw(options: Namespace) -> str:
    """Draws, and says what could not be drawn."""
    protocol = GenerationOptions(
        pictures=options.per_reference,
        steps=options.steps,
        guidance=options.guidance,
        weights=tuple(options.weights),
        texts=tuple(map(Texts, options.texts)),
        resolution=options.resolution,
        seed=options.seed,
    )
    references = find_pictures(options.references)[0]
    faceless = draw_all(_artist(options), references, protocol, options.pictures)
    if not faceless:
        return ""
    return f"- no face, so not drawn: {len(faceless)} of {len(references)} references ({', '.join(faceless)})\n"


def _artist(options: Namespace) -> Generator:
    """The base, and the adapter with what it reads through. Raises SettingError for what is not named."""
    if options.base is None:
        raise SettingError("Expected --base with --adapter: the checkpoint to draw with. Name it.")
    adapter = load_adapter(options.adapter)
    encoder, models = (
        options.adapter_encoder or options.image_encoder,
        options.adapter_face_models or options.face_models,
    )
    wanted = (("--adapter-encoder", adapter.spec.stage, encoder), ("--adapter-face-models", adapter.spec.face, models))
    for option, read, given in wanted:
        if read is not None and given is None:
            raise SettingError(f"Expected {option} with {adapter.source.name}, which reads through it. Name it.")
    vision = None if adapter.spec.stage is None else load_clip_vision(encoder)
    analyser = None if adapter.spec.face is None else load_face_models(models)
    return Generator(load_checkpoint(options.base), adapter, vision, analyser)


def _text_encoder(file: Path) -> Any:
    """Raises SettingError for a text encoder without the projection into the space of the pictures."""
    if not any("text_projection" in name for name in read_tensors(file).shapes):
        raise SettingError(f"{file.name} has no text_projection, so texts cannot be compared with pictures. {REMEDY}")
    return comfy.sd.load_clip([str(file)])
