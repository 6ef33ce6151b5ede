"""Pictures that are in memory already, as those of a workflow."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from torch import Tensor

from ...models.shapes import Float
from ..errors import SettingError
from .pictures import DatasetReport, Picture


@dataclass(frozen=True, eq=False)
class HeldPicture:
    """A picture (1, 3, height, width) in [0, 1]."""

    name: str
    caption: str
    pixels: Float[Tensor, "1 3 height width"]

    @property
    def stamp(self) -> object:
        digest = blake2b(self.pixels.contiguous().numpy().tobytes(), digest_size=16)
        return digest.hexdigest(), tuple(self.pixels.shape), self.caption

    def read(self) -> Tensor:
        return self.pixels


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Pictures with captions, and what of the data they come from did not fit together."""

    pictures: tuple[Picture, ...]
    account: DatasetReport

    def __str__(self) -> str:
        return f"{len(self.pictures)} pictures, {len(self.account.without_caption)} of them without a caption"


def held_pictures(batches: Sequence[Tensor], captions: Sequence[str]) -> Iterator[HeldPicture]:
    """The pictures of batches (n, 3, height, width) of any sizes, in order; one caption goes for all, none is empty.

    Raises SettingError for another number of captions.
    """
    rows = [row.clone() for batch in batches for row in batch.split(1)]
    if len(captions) not in (0, 1, len(rows)):
        raise SettingError(f"Expected a caption for each of {len(rows)} pictures, or one for all, got {len(captions)}.")
    told = captions if len(captions) == len(rows) else [*captions, *[""] * (1 - len(captions))] * len(rows)
    for number, (pixels, caption) in enumerate(zip(rows, told, strict=True), start=1):
        yield HeldPicture(f"picture {number}", caption, pixels)
