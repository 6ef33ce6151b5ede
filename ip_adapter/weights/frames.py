"""Factors over the frames of an animation, where each row of the batch is a frame."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

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


def frames_of(options: Mapping[str, Any], rows: int) -> tuple[int, ...]:
    """The number of the frame in each row of a chunk: all of the batch, or those that a window shows.

    The host's context windows name their frames in `context_window`, AnimateDiff Evolved in `ad_params`.
    Raises SettingError where rows are no frames.
    """
    window, animate = options.get("context_window"), options.get("ad_params") or {}
    shown = animate.get("sub_idxs")
    if shown is None and window is not None and window.dim == 0:
        # Newer hosts put the frame before the window in front of it and drop its result.
        anchor = getattr(window, "causal_anchor_index", None)
        shown = [*([] if anchor is None or anchor < 0 else [anchor]), *window.index_list]
    if shown is not None and len(shown) != rows:
        raise SettingError(
            f"Each row of the batch should be a frame, but the model is given {rows} rows for {len(shown)} frames. Use "
            "a schedule without frames here."
        )
    return tuple(range(rows)) if shown is None else tuple(int(frame) for frame in shown)


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
        self._placed: dict[tuple[torch.device, torch.dtype], Tensor] = {}

    def add_to(self, out: Tensor, image: Tensor) -> Tensor:
        """`out + factor * image`, row by row."""
        place = (image.device, image.dtype)
        if place not in self._placed:
            self._placed[place] = torch.tensor(self.factors).to(*place)[:, None, None]
        return torch.addcmul(out, image, self._placed[place])
