"""`run.py evaluate`: how much pictures follow the references and captions they were made from, by CLIP."""

import logging
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import comfy.sd
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import AdapterError, SettingError
from ..evaluation import find_cases, markdown, save_grid, scores, table
from ..recognition.checkpoint import read_tensors
from ..training.pictures import centre_crop, read_picture
from ..training.samples import BROKEN
from .encode import HostEncoder
from .training import escaped, load_clip_vision, load_packs

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


@torch.no_grad()
def _evaluate(options: Namespace) -> None:
    load_packs(options.custom_nodes)
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


def _image_features(vision: HostEncoder, path: Path) -> Tensor:
    try:
        picture = read_picture(path)
    except BROKEN as error:
        raise SettingError(f"{path} cannot be read ({error}). Remove or replace it.") from error
    return vision.encode(centre_crop(picture, vision.size)).pooled


def _text_encoder(file: Path) -> Any:
    """Raises SettingError for a text encoder without the projection into the space of the pictures."""
    if not any("text_projection" in name for name in read_tensors(file).shapes):
        raise SettingError(
            f"{file.name} has no text_projection, so its texts cannot be compared with pictures. Name the text model "
            "of a CLIP that has one, as clip_l.safetensors; the one inside a checkpoint of SD 1.5 lacks it."
        )
    return comfy.sd.load_clip([str(file)])


def text_features(clip: Any, caption: str) -> Tensor:
    """The caption in the space of the pictures, (1, width): the projected state at the end of the text."""
    # Whether the host projects the pooled state by itself depends on the class it takes the file for.
    pooled: Tensor = clip.encode_from_tokens(clip.tokenize(escaped(caption)), return_pooled="unprojected")[1]
    encoder = clip.cond_stage_model
    projection = getattr(encoder, encoder.clip).transformer.text_projection.weight
    return functional.linear(pooled.float().cpu(), projection.float().cpu())
