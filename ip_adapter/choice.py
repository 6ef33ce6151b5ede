"""Choices that people make by name."""

from enum import Enum

from .errors import SettingError


class Choice(str, Enum):
    """An enumeration of names; looking up another one raises SettingError. Not every host checks what a combo gets."""

    @classmethod
    def _missing_(cls, value: object) -> "Choice":
        names = ", ".join(choice.value for choice in cls)
        raise SettingError(f"Expected one of {names}, got {value!r}. Correct the name.")
