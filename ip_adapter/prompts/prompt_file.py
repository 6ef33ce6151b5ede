"""Image prompts on the disk: our own safetensors files, and the `.ipadpt` files of ComfyUI_IPAdapter_plus."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from ...models.facts import Stage
from ..errors import AdapterFileError
from ..files.checkpoint import TensorSource, read_tensors
from .combine import Combine
from .features import NOTHING, Features
from .negative import Negative
from .preprocess import Fit, Position, Preparation
from .prompt import ImagePrompt, Origin

EXTENSIONS = (".safetensors", ".ipadpt")
FORMAT, VERSION = "ip-adapter-nodes image prompt", 1
_SIDES = ("positive", "negative", "zero_picture")
_DIMENSIONS = {Stage.POOLED: 2, Stage.PENULTIMATE: 3}
# Patches of the coarsest CLIP, ViT-B/32, with the class token: fewer rows than that are pictures.
_FEWEST_PATCHES = 50


def save_prompt(prompt: ImagePrompt, path: Path) -> None:
    """Writes a file that `load_prompt` reads back bit for bit; it can be applied without an encoder."""
    sides = {"positive": prompt.positive, "negative": prompt.negative, "zero_picture": prompt.zero_picture}
    tensors = {
        f"{name}.{stage.value}": features.at(stage).contiguous()
        for name, features in sides.items()
        if features is not None
        for stage in Stage
    }
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "encoder": prompt.positive.encoder,
        "combine": prompt.combine.value,
        "weights": json.dumps(prompt.weights),
        "negative": prompt.negative_kind.value,
        "origin": json.dumps(None if prompt.origin is None else asdict(prompt.origin)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, path, metadata)


def load_prompt(path: Path) -> ImagePrompt:
    """The image prompt of our own file, or of embeddings saved by ComfyUI_IPAdapter_plus.

    The latter hold one stage of the encoder's features, so they fit only the adapters that read it. Raises
    AdapterFileError for a file that cannot be read, holds something else, or is of a later version.
    """
    source = read_tensors(path)
    if source.metadata.get("format") == FORMAT:
        return _own(source)
    with source.open() as read:
        if list(source.shapes) == [""]:
            return _incumbents(read(""), source.name)
    raise AdapterFileError(
        f"{source.name} is no image prompt: it holds {', '.join(list(source.shapes)[:4])}. Choose a file of Save Image "
        "Prompt, or an .ipadpt file."
    )


def _own(source: TensorSource) -> ImagePrompt:
    version = source.metadata.get("version")
    if version != str(VERSION):
        raise AdapterFileError(
            f"{source.name} is of version {version} of this format, expected {VERSION}. Update IP-Adapter Nodes, or "
            "save the prompt again."
        )
    sides = {name: _features(source, name) for name in _SIDES}
    if sides["positive"] is None or sides["zero_picture"] is None:
        raise AdapterFileError(f"{source.name} is damaged: it lacks features. Save the prompt again.")
    try:
        facts = source.metadata
        return ImagePrompt(
            positive=sides["positive"],
            negative=sides["negative"],
            zero_picture=sides["zero_picture"],
            weights=tuple(float(weight) for weight in json.loads(facts["weights"])),
            combine=Combine(facts["combine"]),
            negative_kind=Negative(facts["negative"]),
            origin=_origin(json.loads(facts["origin"])),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise AdapterFileError(f"{source.name} is damaged ({error}). Save the prompt again.") from error


def _features(source: TensorSource, side: str) -> Features | None:
    names = {stage: f"{side}.{stage.value}" for stage in Stage}
    shapes = [source.shapes.get(name, ()) for name in names.values()]
    if not any(shapes):
        return None
    expected = [_DIMENSIONS[stage] for stage in Stage]
    if [len(shape) for shape in shapes] != expected or shapes[0][0] != shapes[1][0] or not shapes[0][0]:
        raise AdapterFileError(
            f"{source.name} is damaged: expected {' and '.join(names.values())} of the same number of pictures, of "
            f"{expected} dimensions, got {shapes}. Save the prompt again."
        )
    with source.open() as read:
        # A copy, since the file may be deleted or written anew while the prompt is in use.
        pooled, penultimate = (read(name).float().clone() for name in names.values())
    return Features(pooled, penultimate)


def _origin(facts: Mapping[str, Any] | None) -> Origin | None:
    if facts is None:
        return None
    how = facts["preparation"]
    return Origin(facts["size"], Preparation(Fit(how["fit"]), Position(how["position"]), how["sharpening"]))


def _incumbents(tensor: Tensor, file: str) -> ImagePrompt:
    """Positive embeddings alone, or, from before March 2024, positive and negative ones stacked.

    https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/IPAdapterPlus.py#L1593
    and https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/6a411dc/IPAdapterPlus.py#L1068
    """
    is_pair = tensor.ndim == 4 or (tensor.ndim == 3 and tensor.shape[1] < _FEWEST_PATCHES)
    if tensor.ndim not in (2, 3, 4) or 0 in tensor.shape or (is_pair and len(tensor) != 2):
        raise AdapterFileError(
            f"Expected embeddings (pictures, width) or (pictures, patches, width) in {file}, got {tuple(tensor.shape)}."
            " Encode the picture again with Encode Image Prompt."
        )
    positive, negative = tensor.float().clone() if is_pair else (tensor.float().clone(), None)
    return ImagePrompt(
        _one_stage(positive), None if negative is None else _one_stage(negative), NOTHING, (1.0,) * len(positive)
    )


def _one_stage(rows: Tensor) -> Features:
    empty = torch.zeros(len(rows), 0)
    return Features(rows, empty[:, None]) if rows.ndim == 2 else Features(empty, rows)
