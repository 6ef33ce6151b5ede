"""Choices that people make by name."""

from collections.abc import Iterable
from enum import Enum
from typing import TypeVar

from .errors import SettingError

Named = TypeVar("Named", bound=Enum)


class NamedEnum(str, Enum):
    """An enumeration of names; looking up another one raises SettingError. Not every host checks what a combo gets."""

    @classmethod
    def _missing_(cls, value: object) -> "NamedEnum":
        raise _unknown(cls, value)


def named(members: Iterable[Named], name: object) -> Named:
    """The member whose value this is, of some of an enumeration. Raises SettingError for any other name."""
    members = tuple(members)
    found = next((member for member in members if member.value == name), None)
    if found is None:
        raise _unknown(members, name)
    return found


def _unknown(members: Iterable[Enum], given: object) -> SettingError:
    names = ", ".join(str(member.value) for member in members)
    return SettingError(f"Expected one of {names}, got {given!r}. Correct the name.")
