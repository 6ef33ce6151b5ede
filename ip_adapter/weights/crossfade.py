"""Passing from one picture to the next over the frames of an animation."""

from ..errors import SettingError
from .frames import MAX_FRAMES, Curve
from .keyframes import Easing, eased


def crossfade(pictures: int, hold: int, overlap: int, easing: Easing) -> tuple[Curve, ...]:
    """One curve per picture: each stands alone for `hold` frames and passes to the next over `overlap` frames.

    The factors of a frame add up to 1. Raises SettingError for fewer than two pictures, no frames or too many.
    """
    frames = pictures * hold + (pictures - 1) * overlap
    if pictures < 2 or hold < 1 or overlap < 0 or frames > MAX_FRAMES:
        raise SettingError(
            f"Expected at least two pictures of at least one frame each, and up to {MAX_FRAMES} frames in all, got "
            f"{pictures} pictures of {hold} frames with {overlap} frames between them: {frames} frames."
        )
    rising = [eased((step + 1) / (overlap + 1), easing) for step in range(overlap)]
    shape = [*rising, *[1.0] * hold, *(1 - share for share in rising)]
    starts = [picture * (hold + overlap) - overlap for picture in range(pictures)]
    return tuple(
        tuple(shape[at] if 0 <= at < len(shape) else 0.0 for at in range(-start, frames - start)) for start in starts
    )
