"""Keyframes: factors at places along an axis, and how the way between them is gone."""

import math
import re
from bisect import bisect_right
from collections.abc import Callable, Mapping
from itertools import pairwise
from math import isfinite

from ..enums import NamedEnum
from ..errors import SettingError
from .entries import read_entries

Keyframes = tuple[tuple[float, float], ...]  # (place, factor), places ascending


class Easing(NamedEnum):
    """How a factor moves from one keyframe to the next; the names mean what they mean in CSS and on easings.net."""

    LINEAR = "linear"
    EASE_IN = "ease in"  # leaves slowly
    EASE_OUT = "ease out"  # arrives slowly
    EASE_IN_OUT = "ease in-out"
    CONSTANT = "constant"  # holds until the next keyframe


_SHAPES: Mapping[Easing, Callable[[float], float]] = {
    Easing.LINEAR: lambda x: x,
    Easing.EASE_IN: lambda x: 1 - math.cos(x * math.pi / 2),
    Easing.EASE_OUT: lambda x: math.sin(x * math.pi / 2),
    Easing.EASE_IN_OUT: lambda x: (1 - math.cos(x * math.pi)) / 2,
    Easing.CONSTANT: lambda x: 0.0,
}
_PLACE = re.compile(r"\d+\.?\d*|\.\d+")


def eased(share: float, easing: Easing) -> float:
    """How much of the change has happened after this share of the way, both from 0 to 1."""
    return _SHAPES[easing](share)


def factor_at(keyframes: Keyframes, place: float, easing: Easing) -> float:
    """The factor at a place; that of the first keyframe before it, that of the last one after it."""
    places = [at for at, _ in keyframes]
    after = bisect_right(places, place)
    if after == 0 or after == len(keyframes):
        return keyframes[max(0, after - 1)][1]
    (left, low), (right, high) = keyframes[after - 1], keyframes[after]
    return low + (high - low) * eased((place - left) / (right - left), easing)


def check_keyframes(keyframes: Keyframes, last: float) -> None:
    """Raises SettingError unless there are keyframes, in order and within 0 and `last`, with finite factors."""
    places = [place for place, _ in keyframes]
    ordered = bool(places) and places == sorted(places) and places[0] >= 0 and places[-1] <= last
    if not ordered or not all(isfinite(factor) for _, factor in keyframes):
        raise SettingError(
            f"Expected finite factors at ascending places from 0 to {last:g}, got {keyframes}. Order them."
        )


def read_keyframes(text: str, last: float) -> Keyframes:
    """Keyframes of a text as "0:1.0, 0.3:0.5", or of one number that holds everywhere.

    Raises SettingError with the position of a keyframe that cannot be read, is out of order or lies beyond `last`.
    """
    entries = read_entries(text, _PLACE, 'a place and a factor as "0:1.0, 0.3:0.5"')
    if not entries:
        raise SettingError('Expected keyframes as "0:1.0, 0.3:0.5" or one number, got an empty text. Write "1".')
    if len(entries) == 1 and not entries[0].name:
        return ((0.0, entries[0].number),)
    for entry in entries:
        if not entry.name or float(entry.name) > last:
            raise SettingError(f"At {entry.place}: expected a place from 0 to {last:g} before each factor. Correct it.")
    for before, entry in pairwise(entries):
        if float(entry.name) < float(before.name):
            raise SettingError(f"At {entry.place}: {entry.name} stands after {before.name}. Put the places in order.")
    return tuple((float(entry.name), entry.number) for entry in entries)
