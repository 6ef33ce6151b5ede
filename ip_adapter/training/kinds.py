"""The projector of each kind of adapter, in the sizes of the published ones, for a base and an encoder of any width."""

from ...models import TRAINABLE, trainable
from ...models.facts import Kind, ProjectorConfig, PublishedKind, TrainingFacts, Widths
from ..enums import named


def kind_named(name: str) -> Kind:
    """Raises SettingError for a kind that cannot be trained."""
    return named(TRAINABLE, name)


def reads(kind: Kind) -> PublishedKind:
    """What the projector of this kind reads of an image encoder and of a face recogniser."""
    return trainable(kind)


def projector_for(kind: Kind, widths: Widths, tokens: int | None = None) -> ProjectorConfig:
    """The sizes of the projector of this kind; `tokens` only where the published number is not wanted."""
    training = _training(kind)
    return training.sizes(widths, tokens or training.tokens)


def lora_rank_for(kind: Kind, chosen: int | None) -> int:
    """The rank of the LoRA that is trained along, 0 for none; `chosen` only where the published one is not wanted."""
    return _training(kind).lora_rank if chosen is None else chosen


def _training(kind: Kind) -> TrainingFacts:
    training = trainable(kind).training
    assert training is not None, "trainable"
    return training
