"""One adapter applied once: what all its sites have in common."""

from dataclasses import dataclass

from ..attention.pairs import Pairs
from ..attention.region import Region
from ..weights.frames import check_batch
from ..weights.schedule import Timing


@dataclass(frozen=True, eq=False)
class Application:
    """When, where and for which latents an adapter acts. Compared by identity."""

    name: str
    timing: Timing | None = None
    region: Region | None = None
    pairs: Pairs | None = None
    pictures: range = range(1)  # the numbers, from 0, of those that every latent sees
    tokens: int = 0  # of each picture

    @property
    def is_by_frame(self) -> bool:
        """Whether it is not the same for all rows of a batch."""
        by_curve = self.timing is not None and bool(self.timing.curve)
        return by_curve or self.pairs is not None or (self.region is not None and self.region.is_by_frame)

    def check_batch(self, rows: int) -> None:
        """Raises SettingError unless the batch of a run has as many rows as there are frames, masks or pictures."""
        if self.timing is not None and self.timing.curve:
            check_batch(self.timing.curve, rows)
        for by_row in (self.region, self.pairs):
            if by_row is not None:
                by_row.check_batch(rows)

    def __deepcopy__(self, memo: object) -> "Application":
        return self
