"""CLIP-I and CLIP-T of pictures in a workflow, by any CLIP that the host loads."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import SettingError, WrongEncoderError
from ..evaluation.metrics import Mean, clip_i, clip_t
from ..host.encode import HostEncoder
from ..host.feedback import Progress
from ..host.images import as_pictures
from ..host.model import HostClip, HostClipVision
from ..training.pictures import centre_crop
from .clip_text import text_features


def against_pictures(
    clip_vision: HostClipVision, made: Sequence[Tensor], references: Sequence[Tensor]
) -> tuple[float, str]:
    """Mean CLIP-I of host IMAGEs of any sizes, and a table; the first pictures belong to the first reference.

    Raises SettingError unless every reference has equally many pictures.
    """
    features, wanted = _features(clip_vision, made), _features(clip_vision, references)
    owners = _owners(len(features), len(wanted), "references")
    return _told("CLIP-I", "reference", clip_i(features, wanted[owners]), owners)


def against_texts(
    clip_vision: HostClipVision, clip: HostClip, made: Sequence[Tensor], captions: Sequence[str]
) -> tuple[float, str]:
    """Mean CLIP-T of host IMAGEs of any sizes, and a table; the first pictures belong to the first caption.

    Raises SettingError as `against_pictures`, WrongEncoderError for a text encoder of another CLIP.
    """
    texts = torch.cat([text_features(clip, caption) for caption in captions])
    features = _features(clip_vision, made)
    if texts.shape[-1] != features.shape[-1]:
        raise WrongEncoderError(
            f"Expected image and text encoder of one CLIP, got embeddings of width {features.shape[-1]} and "
            f"{texts.shape[-1]}. Load the text model that belongs to the image encoder."
        )
    owners = _owners(len(features), len(texts), "captions")
    return _told("CLIP-T", "caption", clip_t(features, texts[owners]), owners)


def _features(clip_vision: HostClipVision, images: Sequence[Tensor]) -> Tensor:
    encoder, progress = HostEncoder(clip_vision), Progress(sum(map(len, images)))
    parts: list[Tensor] = []
    for image in images:
        for row in as_pictures(image).split(1):
            parts.append(encoder.encode(centre_crop(row, encoder.size)).pooled)
            progress()
    return torch.cat(parts)


def _owners(made: int, others: int, what: str) -> Tensor:
    """The number of what each picture belongs to."""
    if made % others:
        raise SettingError(
            f"Expected as many pictures for each of {others} {what}, got {made} in all. Connect those of the first, "
            "then those of the second, and so on."
        )
    return torch.arange(others).repeat_interleave(made // others)


def _told(measure: str, owner: str, values: Tensor, owners: Tensor) -> tuple[float, str]:
    mean = Mean.of(values.tolist())
    lines = [f"| picture | {owner} | {measure} |", "|---|---|---|"]
    pairs = enumerate(zip(owners.tolist(), values.tolist(), strict=True), start=1)
    lines += [f"| {number} | {one + 1} | {value:.3f} |" for number, (one, value) in pairs]
    return mean.value, "\n".join([*lines, f"| mean, 95 % | | {mean} |"])
