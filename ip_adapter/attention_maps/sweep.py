"""One graph over several weights and weight types."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from ..errors import SettingError
from ..weights.entries import Entry, number_text, read_entries
from ..weights.weight import MAX_WEIGHT
from ..weights.weight_types import WEIGHT_TYPES

MAX_CELLS = 256
ALL_TYPES = "all"
_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_RANGE = re.compile(rf"({_NUMBER})\s*-\s*({_NUMBER})")
_EXPECTED = f"a weight from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g} as 0.5, or a range of them as 0-1:5, five from 0 to 1"


@dataclass(frozen=True)
class WeightSweep:
    """Every weight with every weight type: a row of a grid for each type, in it a column for each weight."""

    weights: tuple[float, ...]
    weight_types: tuple[str, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.cells) <= MAX_CELLS:
            raise SettingError(
                f"Expected from 1 to {MAX_CELLS} pictures, got {len(self.weights)} weights times "
                f"{len(self.weight_types)} weight types. Write at least one of each, and not too many."
            )

    @classmethod
    def parse(cls, weights: str, weight_types: str) -> "WeightSweep":
        """The sweep of two texts. Raises SettingError with the place of what cannot be read."""
        entries = read_entries(weights, _RANGE, _EXPECTED)
        return cls(tuple(weight for entry in entries for weight in _weights(entry)), tuple(_types(weight_types)))

    @property
    def cells(self) -> list[tuple[float, str]]:
        """Weight and weight type of every picture, row by row."""
        return [(weight, kind) for kind, weight in product(self.weight_types, self.weights)]

    @property
    def columns(self) -> list[str]:
        """What stands above the columns."""
        return [f"weight {number_text(weight)}" for weight in self.weights]


def _weights(entry: Entry) -> Iterator[float]:
    ends, count = _RANGE.fullmatch(entry.name), int(entry.number) if entry.name else 1
    first, last = (float(ends[1]), float(ends[2])) if ends else (entry.number, entry.number)
    if max(abs(first), abs(last)) > MAX_WEIGHT or (ends and not 2 <= entry.number == count <= MAX_CELLS):
        given = f"{entry.name}:{number_text(entry.number)}" if ends else number_text(entry.number)
        raise SettingError(f"At {entry.place}: expected {_EXPECTED}, got {given!r}. Correct the text.")
    # Rounded, as 0.1 + 2 * 0.1 is to be the 0.3 that somebody would type.
    yield from (round(first + (last - first) * n / max(1, count - 1), 6) for n in range(count))


def _types(text: str) -> Iterator[str]:
    names = [name.strip() for name in re.split(r"[,\n]", text) if name.strip()]
    for number, name in enumerate(names, start=1):
        if name not in (*WEIGHT_TYPES, ALL_TYPES):
            raise SettingError(
                f"Expected weight types separated by commas or line ends, got {name!r} as number {number}. There are "
                f"{', '.join(WEIGHT_TYPES)}, and {ALL_TYPES} for all of them."
            )
        yield from WEIGHT_TYPES if name == ALL_TYPES else [name]
