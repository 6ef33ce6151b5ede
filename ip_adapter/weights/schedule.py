"""When an adapter acts, and how strongly over the course of sampling and of an animation."""

from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from ..errors import SettingError
from .frames import Curve, check_curves, check_frames
from .keyframes import Easing, Keyframes, check_keyframes, factor_at, read_keyframes

_GRID = 1000  # steps in which the host's map from progress to noise level is tabulated


@dataclass(frozen=True)
class WeightSchedule:
    """A factor over sampling progress times a factor over frames.

    `points` are keyframes of progress in [0, 1]. `curves` hold one factor per frame: none where all frames are alike,
    one for all pictures, or one for each picture of the prompt. Every row of the batch is then a frame.
    """

    points: Keyframes = ((0.0, 1.0),)
    easing: Easing = Easing.LINEAR
    curves: tuple[Curve, ...] = ()

    def __post_init__(self) -> None:
        check_keyframes(self.points, 1)
        check_curves(self.curves)

    @classmethod
    def parse(cls, progress: str, over_frames: str, frames: int, easing: Easing) -> "WeightSchedule":
        """The schedule of two texts of keyframes; with the second empty, all frames are alike.

        Raises SettingError with the position of what cannot be read, and for an invalid number of frames.
        """
        points = read_keyframes(progress, 1)
        if not over_frames.strip():
            return cls(points, easing)
        check_frames(frames)
        keyframes = read_keyframes(over_frames, frames - 1)
        return cls(points, easing, (tuple(factor_at(keyframes, frame, easing) for frame in range(frames)),))

    def with_factors(self, factors: Iterable[Any]) -> "WeightSchedule":
        """The schedule with one factor per frame from a list, or a list of lists; one factor alone is for all frames.

        Raises SettingError for a schedule that has its frames already, and for numbers that are not finite.
        """
        flat = tuple(float(number) for part in factors for number in (part if isinstance(part, Iterable) else (part,)))
        if self.curves:
            raise SettingError("Expected factors over frames either as a list or as text, got both. Empty the text.")
        if len(flat) == 1:
            return replace(self, points=tuple((place, factor * flat[0]) for place, factor in self.points))
        return replace(self, curves=(flat,))

    def at(self, progress: float) -> float:
        return factor_at(self.points, progress, self.easing)


@dataclass(frozen=True)
class Timing:
    """The factor of an adapter at a noise level, and those of its frames; sigma falls as sampling proceeds."""

    start_sigma: float
    end_sigma: float
    schedule: WeightSchedule | None
    sigmas: tuple[float, ...]  # at progress 0, 1/_GRID, .. 1; empty without a schedule

    @property
    def curve(self) -> Curve:
        """One factor per frame, times `factor`; empty where all frames are alike."""
        return self.schedule.curves[0] if self.schedule is not None and self.schedule.curves else ()

    def factor(self, sigma: float) -> float:
        """1, or the schedule's factor, while `end_sigma <= sigma <= start_sigma`; else 0."""
        if not self.end_sigma <= sigma <= self.start_sigma:
            return 0.0
        return 1.0 if self.schedule is None else self.schedule.at(self._progress(sigma))

    def _progress(self, sigma: float) -> float:
        below = bisect_right(self.sigmas, -sigma, key=lambda entry: -entry)
        return max(0, below - 1) / _GRID


def timing(
    start_percent: float, end_percent: float, schedule: WeightSchedule | None, to_sigma: Callable[[float], float]
) -> Timing | None:
    """The timing of a range of progress, None when it is always 1. Raises SettingError for an invalid range."""
    if not 0 <= start_percent <= end_percent <= 1:
        raise SettingError(
            f"Expected 0 <= start_percent <= end_percent <= 1, got {start_percent} and {end_percent}. Correct them."
        )
    if start_percent == 0 and end_percent == 1 and schedule is None:
        return None
    sigmas = () if schedule is None else tuple(to_sigma(step / _GRID) for step in range(_GRID + 1))
    return Timing(to_sigma(start_percent), to_sigma(end_percent), schedule, sigmas)
