"""The projector of each kind of adapter, in the sizes of the published ones, for a base and an encoder of any width."""

from collections.abc import Callable
from dataclasses import dataclass

from ...models.face import FaceConfig, FacePerceiverConfig
from ...models.linear import LinearConfig
from ...models.mlp import MlpConfig
from ...models.resampler import ResamplerConfig
from ..projectors import FACE_WIDTH, PROJECTORS, ProjectorEntry
from ..spec import Kind, ProjectorConfig

_HEAD_WIDTH = 64
_MOST_INNER_WIDTH = 1280  # of a resampler's latents; SD1.5's are as wide as its text, SDXL's narrower
_LORA_RANK = 128


@dataclass(frozen=True)
class Widths:
    """Of the base's text states, and of what the image encoder gives (unused by kinds that read only a face)."""

    context: int
    features: int = 0


@dataclass(frozen=True)
class TrainedKind:
    """How many tokens the published adapters of a kind have (0: as many as the encoder gives), projector and LoRA."""

    tokens: int
    projector: Callable[[Widths, int], ProjectorConfig]
    lora_rank: int = 0


def projector_for(kind: Kind, widths: Widths, tokens: int | None = None) -> ProjectorConfig:
    """The sizes of the projector of this kind; `tokens` only where the published number is not wanted."""
    entry = KINDS[kind]
    return entry.projector(widths, tokens or entry.tokens)


def lora_rank_for(kind: Kind, chosen: int | None) -> int:
    """The rank of the LoRA that is trained along, 0 for none; `chosen` only where the published one is not wanted."""
    return KINDS[kind].lora_rank if chosen is None else chosen


def _linear(widths: Widths, tokens: int) -> LinearConfig:
    return LinearConfig(widths.features, tokens, widths.context)


def _resampler(widths: Widths, tokens: int) -> ResamplerConfig:
    heads = max(1, min(widths.context, _MOST_INNER_WIDTH) // _HEAD_WIDTH)
    return ResamplerConfig(widths.features, tokens, widths.context, inner_width=heads * _HEAD_WIDTH, heads=heads)


def _mlp(widths: Widths, _: int) -> MlpConfig:
    return MlpConfig(widths.features, widths.features, widths.context)


def _face(widths: Widths, tokens: int) -> FaceConfig:
    return FaceConfig(FACE_WIDTH, 2 * FACE_WIDTH, tokens, widths.context)


def _face_resampler(widths: Widths, tokens: int) -> ResamplerConfig:
    return _resampler(Widths(widths.context, FACE_WIDTH), tokens)


def _face_perceiver(widths: Widths, tokens: int, shortcut: bool) -> FacePerceiverConfig:
    heads, width = max(1, widths.context // _HEAD_WIDTH), widths.context
    perceiver = ResamplerConfig(widths.features, tokens, width, inner_width=width, heads=heads)
    return FacePerceiverConfig(_face(widths, tokens), perceiver, shortcut)


KINDS: dict[Kind, TrainedKind] = {
    Kind.STANDARD: TrainedKind(4, _linear),
    Kind.PLUS: TrainedKind(16, _resampler),
    Kind.FULL_FACE: TrainedKind(0, _mlp),
    Kind.FACEID: TrainedKind(4, _face, _LORA_RANK),
    Kind.FACEID_PLUS: TrainedKind(4, lambda widths, tokens: _face_perceiver(widths, tokens, False), _LORA_RANK),
    Kind.FACEID_PLUS_V2: TrainedKind(4, lambda widths, tokens: _face_perceiver(widths, tokens, True), _LORA_RANK),
    Kind.FACEID_PORTRAIT: TrainedKind(16, _face),
    Kind.FACEID_PORTRAIT_UNNORM: TrainedKind(16, _face_resampler),
}
# Kinds whose files look like another one's, and that read the same.
_LIKE = {Kind.FACEID_PLUS: Kind.FACEID_PLUS_V2, Kind.FACEID_PORTRAIT: Kind.FACEID}


def reads(kind: Kind) -> ProjectorEntry:
    """What the projector of this kind reads of an image encoder and of a face recogniser."""
    return next(entry for entry in PROJECTORS if entry.kind is _LIKE.get(kind, kind))
