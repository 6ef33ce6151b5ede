"""Factors over the frames of an animation, where each row of the batch is a frame."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..caches import PlacedCache
from ..errors import SettingError

MAX_FRAMES = 4096
Curve = tuple[float, ...]  # one factor per frame


def check_frames(frames: int) -> None:
    """Raises SettingError for a number of frames that no animation has."""
    if not 1 <= frames <= MAX_FRAMES:
        raise SettingError(f"Expected from 1 to {MAX_FRAMES} frames, got {frames}.")


def check_curves(curves: Sequence[Curve]) -> None:
    """Raises SettingError unless all curves have the same number of frames and finite factors."""
    lengths = sorted({len(curve) for curve in curves})
    for length in lengths:
        check_frames(length)
    if len(lengths) > 1:
        raise SettingError(f"Expected as many frames for every picture, got {lengths}.")
    wrong = [frame for curve in curves for frame, factor in enumerate(curve) if not math.isfinite(factor)]
    if wrong:
        raise SettingError(f"Expected finite factors, got NaN or infinity at frame {wrong[0]}.")


def check_batch(curve: Curve, rows: int) -> None:
    """Raises SettingError unless the batch of a run has a row for every frame of the curve."""
    if len(curve) != rows:
        raise SettingError(
            f"The schedule is made for {len(curve)} frames and the batch of latents has {rows}. Every row of the batch "
            "is a frame: give both the same number."
        )


def row_factors(curve: Curve, frames: Sequence[int], factor: float) -> tuple[float, ...]:
    """The factor of every row in view, times `factor`. Raises SettingError for frames that the curve does not have."""
    if not all(0 <= frame < len(curve) for frame in frames):
        raise SettingError(
            f"The schedule is made for {len(curve)} frames and the model is shown frame {max(frames)}. Every row of "
            "the batch is a frame: give both the same number."
        )
    return tuple(factor * curve[frame] for frame in frames)


class RowFactors:
    """One factor per row of a batch, placed on first use where it is needed."""

    def __init__(self, factors: tuple[float, ...]) -> None:
        self.factors = factors
        self._column = PlacedCache(torch.tensor(factors)[:, None, None])

    def add_to(self, out: Tensor, image: Tensor) -> Tensor:
        """`out + factor * image`, row by row."""
        (factors,) = self._column.at(image.device, image.dtype)
        return torch.addcmul(out, image, factors)
