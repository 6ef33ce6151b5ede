"""One picture for each latent of the batch, in place of all pictures for every one of them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ...models.shapes import Float
from ..adapter import NEGATIVE, POSITIVE
from ..errors import SettingError
from ..prompts.projector_inputs import ProjectorInputs, Share
from ..weights.schedule import WeightSchedule


@dataclass(frozen=True)
class Pairs:
    """So many positive pictures go with as many latents; negative ones are taken in turn, often it is one for all."""

    positive: int
    negative: int

    def __post_init__(self) -> None:
        if not self.negative or self.positive % self.negative:
            raise SettingError(
                f"With one picture per latent expected one negative picture, or one for each of the {self.positive} "
                f"pictures, got {self.negative}."
            )

    def check_batch(self, rows: int) -> None:
        """Raises SettingError unless a batch has a row for every picture."""
        if self.positive != rows:
            raise SettingError(
                f"The image prompt holds {self.positive} pictures, one per latent, and the batch of latents has "
                f"{rows}. Give both the same number, or set combine to concat to show every latent all pictures."
            )

    def split(self, sides: Float[Tensor, "2 heads tokens head_width"]) -> Float[Tensor, "pictures heads tokens width"]:
        """Keys or values of all pictures together as those of each picture, the negative ones first."""
        tokens = sides.shape[2] // self.positive
        negative = sides[NEGATIVE, :, : self.negative * tokens].unflatten(1, (self.negative, tokens))
        positive = sides[POSITIVE].unflatten(1, (self.positive, tokens))
        return torch.cat([negative.transpose(0, 1), positive.transpose(0, 1)])

    def rows(self, sides: Sequence[int], frames: Sequence[int]) -> tuple[int, ...]:
        """For every row of a batch of so many chunks of frames, which of the split pictures it goes with."""
        return tuple(
            frame % self.negative if side == NEGATIVE else self.negative + frame for side in sides for frame in frames
        )


def by_latent(
    inputs: ProjectorInputs, schedule: WeightSchedule | None
) -> tuple[ProjectorInputs, WeightSchedule | None]:
    """Where each latent has a picture of its own, the pictures' weights as factors of their latents, else no change.

    A latent then gets what it would get alone. Raises SettingError for a schedule of another number of frames.
    """
    if inputs.share is Share.ALL:
        return inputs, schedule
    given = schedule or WeightSchedule()
    curve = given.curves[0] if given.curves else (1.0,) * len(inputs.weights)
    if len(given.curves) > 1 or len(curve) != len(inputs.weights):
        raise SettingError(
            f"The schedule has {len(given.curves)} curves of {len(curve)} frames and the image prompt holds "
            f"{len(inputs.weights)} pictures, one per latent. Use one curve of as many frames, or combine by concat."
        )
    curve = tuple(factor * weight for factor, weight in zip(curve, inputs.weights, strict=True))
    plain = replace(inputs, weights=(1.0,) * len(curve))
    return plain, schedule if set(curve) == {1.0} and not given.curves else replace(given, curves=(curve,))


class RowChoice:
    """Which row of a tensor goes with each row of a batch, placed on first use where it is needed."""

    def __init__(self, rows: tuple[int, ...]) -> None:
        self.rows = rows
        self._placed: dict[torch.device, Tensor] = {}

    def of(self, tensor: Tensor) -> Tensor:
        """The chosen rows, as a view where they are all rows in order."""
        if self.rows == tuple(range(len(tensor))):
            return tensor
        if tensor.device not in self._placed:
            self._placed[tensor.device] = torch.tensor(self.rows, device=tensor.device)
        return tensor.index_select(0, self._placed[tensor.device])
