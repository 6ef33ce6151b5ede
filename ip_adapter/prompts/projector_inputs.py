"""What goes into a projector: the form that prompts of pictures and of faces have in common."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from torch import Tensor

from ..spec import AdapterSpec


class Share(str, Enum):
    """Which latents of a batch see which pictures."""

    ALL = "all"  # every latent sees every picture
    ONE_PER_LATENT = "one per latent"  # the first latent sees the first picture, the second one the second


@dataclass(frozen=True, eq=False)
class ProjectorInputs:
    """Arguments of a projector for either side, one row per picture or face, and how strongly each speaks."""

    negative: tuple[Tensor, ...]
    positive: tuple[Tensor, ...]
    weights: Sequence[float]
    options: Mapping[str, float] = field(default_factory=dict[str, float])  # further arguments, by name
    negative_strength: float = 1.0  # relative to the mean of the weights; 0 leaves the negative side to the text
    share: Share = Share.ALL


class Prompt(Protocol):
    """What an adapter needs of a prompt."""

    def check(self, spec: AdapterSpec, file: str) -> None:
        """Raises WrongPromptError or WrongEncoderError when the adapter `file` cannot read this prompt."""
        ...

    def inputs(self, spec: AdapterSpec) -> ProjectorInputs:
        """The arguments for a checked adapter's projector."""
        ...
