"""When an adapter acts, and how strongly over the course of sampling."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from .errors import SettingError

_GRID = 1000  # steps in which the host's map from progress to noise level is tabulated


@dataclass(frozen=True)
class WeightSchedule:
    """A factor over sampling progress: straight lines between points (progress in [0, 1], factor), in order."""

    points: tuple[tuple[float, float], ...]

    def __post_init__(self) -> None:
        places = [place for place, _ in self.points]
        ordered = bool(places) and places == sorted(places) and places[0] >= 0 and places[-1] <= 1
        if not ordered or not all(isfinite(factor) for _, factor in self.points):
            raise SettingError(
                f"Expected finite factors at ascending points of progress from 0 to 1, got {self.points}."
            )

    def at(self, progress: float) -> float:
        places = [place for place, _ in self.points]
        after = bisect_right(places, progress)
        if after == 0 or after == len(self.points):
            return self.points[max(0, after - 1)][1]
        (left, low), (right, high) = self.points[after - 1], self.points[after]
        return low + (high - low) * (progress - left) / (right - left)


@dataclass(frozen=True)
class Timing:
    """The factor of an adapter at a noise level; sigma falls as sampling proceeds."""

    start_sigma: float
    end_sigma: float
    schedule: WeightSchedule | None
    sigmas: tuple[float, ...]  # at progress 0, 1/_GRID, .. 1; empty without a schedule

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
    """The timing of a range of progress, None when it is always 1. Raises SettingError for a range that is none."""
    if not 0 <= start_percent <= end_percent <= 1:
        raise SettingError(
            f"Expected 0 <= start_percent <= end_percent <= 1, got {start_percent} and {end_percent}. Correct them."
        )
    if start_percent == 0 and end_percent == 1 and schedule is None:
        return None
    sigmas = () if schedule is None else tuple(to_sigma(step / _GRID) for step in range(_GRID + 1))
    return Timing(to_sigma(start_percent), to_sigma(end_percent), schedule, sigmas)
