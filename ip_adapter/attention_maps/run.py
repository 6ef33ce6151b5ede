"""What the adapters of a model did in one run of a sampler, as running sums over its steps."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...models.shapes import Float
from ..applying.application import Application
from ..attention.region import Window
from ..bases.backbone import BlockKey
from ..errors import SettingError

MAX_BYTES = 512 * 2**20  # of the sums of a run


@dataclass(frozen=True)
class SumKey:
    """Which sums belong together: those of one application at one cross-attention in one part of the run."""

    application: Application
    block: BlockKey
    part: int
    grid: tuple[int, int]  # tokens over the height and width of the whole picture


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums over calls, and how many went into them; the last map is influence, those before it are attention."""

    values: Float[Tensor, "rows maps height width"]
    calls: Float[Tensor, "rows 1 height width"]

    @classmethod
    def zeros(cls, rows: int, maps: int, grid: tuple[int, int], device: torch.device) -> "Sums":
        return cls(torch.zeros(rows, maps, *grid, device=device), torch.zeros(rows, 1, *grid, device=device))

    @property
    def size(self) -> int:
        return self.values.nbytes + self.calls.nbytes

    def __add__(self, other: "Sums") -> "Sums":
        return Sums(self.values + other.values, self.calls + other.calls)

    @property
    def mean(self) -> Float[Tensor, "rows maps height width"]:
        """The mean over calls, 0 where there was none."""
        return self.values / self.calls.clamp(min=1)


class Run:
    """One run of a sampler on a batch of so many latents. Its size does not grow with the number of steps."""

    def __init__(self, rows: int, sigmas: Sequence[float], parts: int) -> None:
        self.rows = rows
        self.parts = parts
        self.sums: dict[SumKey, Sums] = {}
        self._sigmas = sigmas
        self._result: Tensor | None = None

    @property
    def size(self) -> int:
        """Bytes of all sums."""
        return sum(sums.size for sums in self.sums.values())

    def part(self, sigma: float) -> int:
        """In which part of the run a step begins at this noise level, from 0; levels between steps count as nearest."""
        steps = max(1, len(self._sigmas) - 1)
        step = min(range(steps), key=lambda n: abs(self._sigmas[n] - sigma))
        return step * self.parts // steps

    def add(self, place: SumKey, window: Window, frames: Sequence[int], maps: Float[Tensor, "n maps h w"]) -> None:
        """Adds maps of the latents `frames` that show this window. Raises SettingError where they take too much memory.

        The place's grid is that of the whole picture, which `whole_grid` gives.
        """
        if place not in self.sums:
            self._check_room(maps.shape[1], place.grid)
            self.sums[place] = Sums.zeros(self.rows, maps.shape[1], place.grid, maps.device)
        height, width = maps.shape[-2:]
        top, left = (_start(window[axis], place.grid[axis], maps.shape[axis - 2]) for axis in (0, 1))
        rows = slice(frames[0], frames[-1] + 1)
        index = rows if list(frames) == list(range(frames[0], frames[-1] + 1)) else list(frames)
        where = (index, slice(None), slice(top, top + height), slice(left, left + width))
        self.sums[place].values[where] += maps
        self.sums[place].calls[where] += 1

    def end(self, result: Tensor) -> None:
        """Keeps the latents that the run gave, by which it is found again, and takes the sums off the device."""
        self._result = result.cpu()
        self.sums = {place: Sums(sums.values.cpu(), sums.calls.cpu()) for place, sums in self.sums.items()}

    def gave(self, latents: Tensor) -> bool:
        """Whether these are the latents of this run, in whatever precision."""
        own = self._result
        if own is None or own.shape != latents.shape:
            return False
        return torch.allclose(own.to(latents), latents, rtol=0.0, atol=0.0, equal_nan=True)

    def _check_room(self, maps: int, grid: tuple[int, int]) -> None:
        if self.size + 4 * self.rows * (maps + 1) * grid[0] * grid[1] > MAX_BYTES:
            raise SettingError(
                f"Recording the attention of {self.rows} latents in {self.parts} parts of the run takes more than "
                f"{MAX_BYTES >> 20} MB. Record fewer parts, or fewer latents at a time."
            )


def whole_grid(grid: tuple[int, int], window: Window) -> tuple[int, int]:
    """The grid of the whole picture, of which a window has the grid given."""
    height, width = (max(cells, round(cells / share)) for cells, share in zip(grid, window[2:], strict=True))
    return height, width


def _start(offset: float, whole: int, cells: int) -> int:
    return max(0, min(round(offset * whole), whole - cells))
