"""The table of projectors: how each is recognised, what it reads, and which network it is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from ..models.face import FaceConfig, FacePerceiver, FacePerceiverConfig, FaceProjector
from ..models.linear import LinearConfig, LinearProjector
from ..models.mlp import MlpConfig, MlpProjector
from ..models.resampler import Resampler, ResamplerConfig
from .recognition.checkpoint import Shapes
from .spec import FaceVector, Kind, NegativeFeatures, ProjectorConfig, Stage

FACE_WIDTH = 512  # of the face vectors that FaceID adapters read
_HEAD_WIDTH = 64  # of every published resampler; no tensor states it
# Networks that look like a resampler and need more than a picture: SD3.5, Instruct, PuLID.
_FOREIGN = ("time_embedding.", "proj_new_input.", "id_embedding_mapping.", "layers.0.2.")


@dataclass(frozen=True)
class ProjectorEntry:
    """One network: the kind it belongs to unless more is known (see `detect.py`), what it reads, how it shows."""

    kind: Kind
    stage: Stage | None
    face: FaceVector | None
    negative: NegativeFeatures
    recognise: Callable[[Shapes, int], ProjectorConfig | None]


def _linear(shapes: Shapes, context_width: int) -> LinearConfig | None:
    projection = shapes.get("proj.weight", ())
    if set(shapes) != {"proj.weight", "proj.bias", "norm.weight", "norm.bias"} or len(projection) != 2:
        return None
    rows, feature_width = projection
    return LinearConfig(feature_width, rows // context_width, context_width) if rows % context_width == 0 else None


def _resampler(shapes: Shapes, context_width: int) -> ResamplerConfig | None:
    latents, hidden = shapes.get("latents", ()), shapes.get("layers.0.1.1.weight", ())
    if len(latents) != 3 or any(key.startswith(_FOREIGN) for key in shapes):
        return None
    sizes = _perceiver(shapes)
    if sizes is None or len(hidden) != 2:
        return None
    return ResamplerConfig(tokens=latents[1], width=context_width, inner_width=latents[2], **sizes)


def _perceiver(shapes: Shapes) -> dict[str, int] | None:
    """The sizes that a resampler and the perceiver of FaceID-Plus have in common."""
    names = ("proj_in.weight", "layers.0.0.to_q.weight", "layers.0.1.1.weight")
    entry, query, hidden = (shapes.get(name, ()) for name in names)
    if any(len(shape) != 2 for shape in (entry, query, hidden)) or query[0] % _HEAD_WIDTH:
        return None
    numbers = {key.split(".")[1] for key in shapes if key.startswith("layers.")}
    if numbers != {str(number) for number in range(len(numbers))}:
        return None  # the layers are numbered with a gap
    return {
        "feature_width": entry[1],
        "heads": query[0] // _HEAD_WIDTH,
        "head_width": _HEAD_WIDTH,
        "depth": len(numbers),
        "hidden_width": hidden[0],
    }


def _face_resampler(shapes: Shapes, context_width: int) -> ResamplerConfig | None:
    config = _resampler(shapes, context_width)
    return config if config is not None and config.feature_width == FACE_WIDTH else None


def _patch_mlp(shapes: Shapes, _: int) -> MlpConfig | None:
    first, second = shapes.get("proj.0.weight", ()), shapes.get("proj.2.weight", ())
    if "proj.3.weight" not in shapes or len(first) != 2 or len(second) != 2:
        return None
    return MlpConfig(first[1], first[0], second[0])


def _face(shapes: Shapes, _: int) -> FaceConfig | None:
    first, second, norm = (shapes.get(name, ()) for name in ("proj.0.weight", "proj.2.weight", "norm.weight"))
    if (len(first), len(second), len(norm)) != (2, 2, 1) or first[1] != FACE_WIDTH or second[0] % norm[0]:
        return None
    return FaceConfig(first[1], first[0], second[0] // norm[0], norm[0])


def _face_perceiver(shapes: Shapes, context_width: int) -> FacePerceiverConfig | None:
    prefix = "perceiver_resampler."
    inner = {key.removeprefix(prefix): shape for key, shape in shapes.items() if key.startswith(prefix)}
    identity, sizes = _face(shapes, context_width), _perceiver(inner)
    if identity is None or sizes is None:
        return None
    out = inner.get("proj_out.weight", ())
    width = out[0] if len(out) == 2 else identity.width
    perceiver = ResamplerConfig(tokens=identity.tokens, width=width, inner_width=identity.width, **sizes)
    return FacePerceiverConfig(identity, perceiver, shortcut=True)


# The most specific first. The unconditional side is that of the reference: `get_image_embeds` of each class in
# https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/ip_adapter/ip_adapter.py and ip_adapter_faceid.py
PROJECTORS = (
    ProjectorEntry(
        Kind.FACEID_PLUS_V2,
        Stage.PENULTIMATE,
        FaceVector.NORMED,
        NegativeFeatures.ZERO_PICTURE,
        _face_perceiver,
    ),
    ProjectorEntry(Kind.FACEID_PORTRAIT_UNNORM, None, FaceVector.RAW, NegativeFeatures.ZERO_EMBEDDING, _face_resampler),
    ProjectorEntry(Kind.PLUS, Stage.PENULTIMATE, None, NegativeFeatures.ZERO_PICTURE, _resampler),
    ProjectorEntry(Kind.FULL_FACE, Stage.PENULTIMATE, None, NegativeFeatures.ZERO_PICTURE, _patch_mlp),
    ProjectorEntry(Kind.FACEID, None, FaceVector.NORMED, NegativeFeatures.ZERO_EMBEDDING, _face),
    ProjectorEntry(Kind.STANDARD, Stage.POOLED, None, NegativeFeatures.ZERO_EMBEDDING, _linear),
)

_NETWORKS: dict[type[ProjectorConfig], Callable[[Any], nn.Module]] = {
    LinearConfig: LinearProjector,
    ResamplerConfig: Resampler,
    MlpConfig: MlpProjector,
    FaceConfig: FaceProjector,
    FacePerceiverConfig: FacePerceiver,
}


def build_projector(config: ProjectorConfig) -> nn.Module:
    """The network of these sizes, with parameters as the current default device makes them."""
    return _NETWORKS[type(config)](config)
