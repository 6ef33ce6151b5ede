"""Text in columns."""

from collections.abc import Sequence
from unicodedata import east_asian_width


def aligned(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with every column as wide as its longest cell, letters of double width counted as two."""
    lines = [[printable(cell) for cell in line] for line in (headings, *rows)]
    widths = [max(_columns(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(_padded(cell, width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def printable(text: str) -> str:
    """The text without what would move a terminal's cursor; file names may hold anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - _columns(cell))


def _columns(text: str) -> int:
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)
