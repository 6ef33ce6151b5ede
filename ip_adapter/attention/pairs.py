"""One picture for each latent of the batch, in place of all pictures for every one of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.shapes import Float
from ..caches import PlacedCache
from ..errors import SettingError
from .key_value import NEGATIVE, POSITIVE


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


class RowChoice:
    """Which row of a tensor goes with each row of a batch, placed on first use where it is needed."""

    def __init__(self, rows: tuple[int, ...]) -> None:
        self.rows = rows
        self._index = PlacedCache(torch.tensor(rows))

    def of(self, tensor: Tensor) -> Tensor:
        """The chosen rows, as a view where they are all rows in order."""
        if self.rows == tuple(range(len(tensor))):
            return tensor
        (index,) = self._index.at(tensor.device, torch.int64)
        return tensor.index_select(0, index)
