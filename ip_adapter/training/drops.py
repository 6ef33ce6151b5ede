"""Samples that train without text, without picture, or without both: what guidance later compares with."""

from dataclasses import dataclass

from torch import Tensor

from ..errors import SettingError


@dataclass(frozen=True)
class Drops:
    """The chance that a sample loses its picture, its text, or both. Raises SettingError outside of 0 to 1.

    One draw decides: the three exclude each other. The paper's chances are 0.05 each. Source: `__getitem__` in
    https://github.com/tencent-ailab/IP-Adapter/blob/62e4af9/tutorial_train.py
    """

    picture: float = 0.05
    text: float = 0.05
    both: float = 0.05

    def __post_init__(self) -> None:
        chances = (self.picture, self.text, self.both)
        if min(chances) < 0 or sum(chances) > 1:
            raise SettingError(f"Expected chances to drop picture, text and both that sum to 1 at most, got {chances}.")

    def without_picture(self, chances: Tensor) -> Tensor:
        """Which samples lose their picture, for chances in [0, 1)."""
        return (chances < self.picture) | self._without_both(chances)

    def without_text(self, chances: Tensor) -> Tensor:
        """Which samples lose their text, for chances in [0, 1)."""
        alone = (chances >= self.picture) & (chances < self.picture + self.text)
        return alone | self._without_both(chances)

    def _without_both(self, chances: Tensor) -> Tensor:
        start = self.picture + self.text
        return (chances >= start) & (chances < start + self.both)
