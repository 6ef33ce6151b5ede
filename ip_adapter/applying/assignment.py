"""Which pictures of a prompt are projected together, which latents see them, and when."""

from dataclasses import dataclass, replace

from ..attention.pairs import Pairs
from ..errors import SettingError
from ..prompts.projector_inputs import ProjectorInputs, Share
from ..weights.schedule import WeightSchedule


@dataclass(frozen=True, eq=False)
class Assignment:
    """Pictures that are applied together: to all latents, or each to one of its own."""

    inputs: ProjectorInputs
    schedule: WeightSchedule | None
    pictures: range  # their numbers, from 0; where each latent has its own, that of the first alone
    pairs: Pairs | None = None


def assign(
    inputs: ProjectorInputs, schedule: WeightSchedule | None, is_swapped: bool = False
) -> tuple[Assignment, ...]:
    """All pictures together, or each alone where the schedule has a curve for each.

    `is_swapped` says that negative rows see the positive pictures somewhere. Raises SettingError for a schedule of
    another number of pictures or frames, and for negative pictures that do not go with the positive ones.
    """
    if inputs.share is Share.ONE_PER_LATENT:
        return (_one_per_latent(inputs, schedule, is_swapped),)
    if schedule is None or len(schedule.curves) < 2:
        return (Assignment(inputs, schedule, range(len(inputs.weights))),)
    if len(schedule.curves) != len(inputs.weights):
        raise SettingError(
            f"The schedule passes between {len(schedule.curves)} pictures and the image prompt holds "
            f"{len(inputs.weights)}. Encode as many pictures, with combine set to concat."
        )
    return tuple(
        Assignment(_alone(inputs, picture), replace(schedule, curves=(curve,)), range(picture, picture + 1))
        for picture, curve in enumerate(schedule.curves)
    )


def _alone(inputs: ProjectorInputs, picture: int) -> ProjectorInputs:
    own = slice(picture, picture + 1)
    return replace(inputs, positive=tuple(tensor[own] for tensor in inputs.positive), weights=inputs.weights[own])


def _one_per_latent(inputs: ProjectorInputs, schedule: WeightSchedule | None, is_swapped: bool) -> Assignment:
    """The pictures' weights become factors of their latents, so that a latent gets what it would get alone."""
    given = schedule or WeightSchedule()
    curve = given.curves[0] if given.curves else (1.0,) * len(inputs.weights)
    if len(given.curves) > 1 or len(curve) != len(inputs.weights):
        raise SettingError(
            f"The schedule has {len(given.curves)} curves of {len(curve)} frames and the image prompt holds "
            f"{len(inputs.weights)} pictures, one per latent. Use one curve of as many frames, or combine by concat."
        )
    curve = tuple(factor * weight for factor, weight in zip(curve, inputs.weights, strict=True))
    # Where the negative rows see the positive pictures, each of them has its own.
    pairs = Pairs(len(curve), len(curve) if is_swapped else len(inputs.negative[0]))
    plain = replace(inputs, weights=(1.0,) * len(curve))
    when = schedule if set(curve) == {1.0} and not given.curves else replace(given, curves=(curve,))
    return Assignment(plain, when, range(1), pairs)
