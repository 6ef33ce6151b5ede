"""Weights: their range, and those of several pictures or prompts, as people type them into a text field."""

import re

from ..errors import SettingError
from .entries import read_entries

MAX_WEIGHT = 10.0
_NAMELESS = re.compile(r"(?!)")  # matches nothing: the entries are numbers alone


def check_weight(weight: float) -> None:
    """Raises SettingError for a weight that is NaN or out of range."""
    if not abs(weight) <= MAX_WEIGHT:
        raise SettingError(f"Expected a weight from {-MAX_WEIGHT} to {MAX_WEIGHT}, got {weight}.")


def read_weights(text: str, count: int, of: str) -> tuple[float, ...]:
    """The `count` weights of a text as "1, 0.5, 0.2"; all 1 if it is empty. `of` names what is weighed, in the plural.

    Raises SettingError with the place of what is no weight, and for another number of weights.
    """
    entries = read_entries(text, _NAMELESS, f'weights of the {of} as "1, 0.5, 0.2"')
    for entry in entries:
        if not abs(entry.number) <= MAX_WEIGHT:
            raise SettingError(
                f"At {entry.place}: expected a weight from {-MAX_WEIGHT} to {MAX_WEIGHT}, got {entry.number}. Correct "
                "the text."
            )
    if entries and len(entries) != count:
        raise SettingError(
            f"Expected as many weights as {of}: {count}, got {len(entries)}. Write as many, or leave it empty."
        )
    return tuple(entry.number for entry in entries) or (1.0,) * count
