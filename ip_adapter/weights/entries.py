"""Lists of `name:number` as people type them into a text field."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite

from ..errors import SettingError

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Entry:
    """One entry of a list, and where it stands in the text, for error messages."""

    name: str  # empty for a number alone
    number: float
    place: str


def read_entries(text: str, names: re.Pattern[str], expected: str) -> list[Entry]:
    """The entries of a text, separated by commas or line ends; a number may stand alone.

    Raises SettingError with the line and character of the first that cannot be read; `expected` says what could be.
    """
    entries: list[Entry] = []
    for place, piece in _pieces(text):
        name, colon, number = (part.strip() for part in piece.rpartition(":"))
        readable = bool(_NUMBER.fullmatch(number)) and bool(names.fullmatch(name) if colon else not name)
        if not readable or not isfinite(float(number)):
            raise SettingError(f"At {place}: expected {expected}, got {piece.strip()!r}. Correct the text.")
        entries.append(Entry(name, float(number), place))
    return entries


def _pieces(text: str) -> Iterator[tuple[str, str]]:
    """What stands between commas and line ends, with its place; a comma at the end of a line separates nothing."""
    for row, line in enumerate(text.splitlines(), start=1):
        start = 0
        pieces = line.split(",") if line.strip() else []
        for index, piece in enumerate(pieces):
            if piece.strip() or index < len(pieces) - 1:
                column = start + len(piece) - len(piece.lstrip()) + 1
                yield f"line {row}, character {column}", piece
            start += len(piece) + 1


def number_text(number: float) -> str:
    """A number as short as it can be written without changing it."""
    return repr(float(number)).removesuffix(".0")
