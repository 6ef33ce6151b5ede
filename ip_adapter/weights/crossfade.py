"""Passing from one picture to the next over the frames of an animation."""

from collections.abc import Iterator
from dataclasses import replace

from ..errors import SettingError
from ..prompts.projector_inputs import ProjectorInputs
from .frames import MAX_FRAMES, Curve
from .keyframes import Easing, eased
from .schedule import WeightSchedule


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


def by_picture(
    inputs: ProjectorInputs, schedule: WeightSchedule | None
) -> Iterator[tuple[ProjectorInputs, WeightSchedule | None]]:
    """What is applied together, with its schedule: all pictures, or each alone where the schedule has a curve for each.

    Raises SettingError when there are not as many pictures as curves.
    """
    if schedule is None or len(schedule.curves) < 2:
        yield inputs, schedule
        return
    if len(schedule.curves) != len(inputs.weights):
        raise SettingError(
            f"The schedule passes between {len(schedule.curves)} pictures and the image prompt holds "
            f"{len(inputs.weights)}. Encode as many pictures, with combine set to concat."
        )
    for picture, curve in enumerate(schedule.curves):
        alone = tuple(tensor[picture : picture + 1] for tensor in inputs.positive)
        yield (
            replace(inputs, positive=alone, weights=inputs.weights[picture : picture + 1]),
            replace(schedule, curves=(curve,)),
        )
