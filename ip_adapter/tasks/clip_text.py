"""Texts in the space of a CLIP's pictures, through the host's text encoders."""

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..errors import WrongEncoderError
from ..host.model import HostClip
from .training import escaped

REMEDY = (
    "Load the text model of a CLIP that has a projection, as clip_l.safetensors; the one inside a checkpoint of SD 1.5 "
    "lacks it."
)


def text_features(clip: HostClip, caption: str) -> Float[Tensor, "1 width"]:
    """The projected state at the end of the text. Raises WrongEncoderError for a CLIP without a projection of texts."""
    projection = _projection(clip)
    # Whether the host projects the pooled state by itself depends on the class it takes the file for.
    pooled: Tensor = clip.encode_from_tokens(clip.tokenize(escaped(caption)), return_pooled="unprojected")[1]
    return functional.linear(pooled.float().cpu(), projection)


def _projection(clip: HostClip) -> Tensor:
    encoder = clip.cond_stage_model
    tower = getattr(encoder, getattr(encoder, "clip", ""), None)
    layer = getattr(getattr(tower, "transformer", None), "text_projection", None)
    if layer is None:
        raise WrongEncoderError(
            f"Expected the text encoder of one CLIP, got {type(encoder).__name__}. Load clip_l.safetensors or another "
            "text model of a CLIP by itself."
        )
    weight = layer.weight.float().cpu()
    # What the host puts where a file holds none.
    if torch.equal(weight, torch.eye(*weight.shape)):
        raise WrongEncoderError(f"This text encoder has no text_projection into the space of pictures. {REMEDY}")
    return weight
