"""Maps of what was recorded in a run: which token or picture is attended to where, and how much an adapter adds."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from ...models.shapes import Float
from ..applying.application import Application
from ..enums import NamedEnum
from ..errors import SettingError
from .layer_groups import LayerGroup
from .run import Run, Sums

MAX_MAPS = 512


class Show(NamedEnum):
    """What a map is of; the mean over the heads, and over the calls in which the adapter acts."""

    TOKENS = "tokens"  # the attention that each token gets, in [0, 1], times the mask
    PICTURES = "pictures"  # the attention that all tokens of a picture get together
    INFLUENCE = "influence"  # the length of what an adapter adds, relative to that of what was there before


class Steps(NamedEnum):
    """Which maps there are for a range of the run."""

    TOGETHER = "together"
    EACH_PART = "each part"


@dataclass(frozen=True)
class MapOptions:
    """What to make maps of: a map for every group of layers and every span of the run."""

    show: Show
    groups: Sequence[LayerGroup]
    start: float = 0.0
    end: float = 1.0
    steps: Steps = Steps.TOGETHER


@dataclass(frozen=True, eq=False)
class AttentionMap:
    """One map of one latent, with what it is of, where in the model and when."""

    row: int
    subject: str
    layers: str
    span: tuple[float, float]
    values: Float[Tensor, "height width"]


def attention_maps(run: Run, choice: MapOptions) -> list[AttentionMap]:
    """The maps of every latent in turn, all on the finest grid there is; zeros where an adapter did not act.

    Raises SettingError where nothing was recorded, or where there would be too many maps.
    """
    spans = _spans(run.parts, choice)
    applications = list(dict.fromkeys(place.application for place in run.sums))
    _check_count(run, applications, choice, len(spans))
    maps = [
        AttentionMap(row, subject, group.name, (span.start / run.parts, span.stop / run.parts), values[row, index])
        for group in choice.groups
        for span in spans
        for application in applications
        for values in [_mean(run, application, group, span, choice.show)]
        for index, subject in enumerate(_subjects(application, applications, choice.show))
        for row in range(run.rows)
    ]
    if not any(bool(one.values.any()) for one in maps):
        raise SettingError(
            "No adapter acted in these layers and steps, so there is nothing to show. Choose more of them, and see "
            "that the sampled model has an adapter with a weight other than 0."
        )
    return sorted(maps, key=lambda one: one.row)


def _spans(parts: int, choice: MapOptions) -> list[range]:
    """Parts of the run: those whose middle lies in the range."""
    chosen = [part for part in range(parts) if choice.start <= (part + 0.5) / parts <= choice.end]
    if not chosen:
        raise SettingError(
            f"The record tells {parts} parts of a run apart, and the middle of none of them lies between "
            f"{choice.start} and {choice.end}. Choose a wider range, or record more parts."
        )
    each = [range(part, part + 1) for part in chosen]
    return each if choice.steps is Steps.EACH_PART else [range(chosen[0], chosen[-1] + 1)]


def _check_count(run: Run, applications: Sequence[Application], choice: MapOptions, spans: int) -> None:
    subjects = sum(len(_subjects(application, applications, choice.show)) for application in applications)
    count = run.rows * subjects * len(choice.groups) * spans
    if count > MAX_MAPS:
        raise SettingError(
            f"There would be {count} maps, and at most {MAX_MAPS} are made. Show pictures in place of tokens, or fewer "
            "groups of layers, parts of the run or latents."
        )


def _subjects(application: Application, applications: Sequence[Application], show: Show) -> list[str]:
    """What the maps of an application are of, in order."""
    same = [one for one in applications if one.name == application.name]
    # A crossfade applies every picture by itself.
    is_crossfade = len(same) > 1 and len({one.pictures for one in same}) == len(same)
    number = f" ({same.index(application) + 1})" if len(same) > 1 and not is_crossfade else ""
    adapter = Path(application.name).stem + number
    shown = adapter if number or len(same) < len(applications) else ""
    pictures = ["own picture"] if application.pairs else [f"picture {number + 1}" for number in application.pictures]
    if show is Show.INFLUENCE:
        return [", ".join(filter(None, [*(pictures if is_crossfade else []), shown])) or adapter]
    tokens = [f"token {number + 1}" for number in range(application.tokens)] if show is Show.TOKENS else [""]
    return [", ".join(filter(None, [picture, token, shown])) for picture in pictures for token in tokens]


def _mean(
    run: Run, application: Application, group: LayerGroup, span: range, show: Show
) -> Float[Tensor, "rows maps height width"]:
    """The mean over the calls at each cross-attention and grid, and of these means over all of them."""
    finest = max((place.grid for place in run.sums), key=lambda grid: grid[0] * grid[1])
    by_site: dict[object, list[Sums]] = {}
    for place, sums in run.sums.items():
        if place.application is application and place.block in group.sites and place.part in span:
            by_site.setdefault((place.block, place.grid), []).append(sums)
    if not by_site:
        return torch.zeros(run.rows, len(_subjects(application, [application], show)), *finest)
    means = [_shown(reduce(add, sums).mean, application, show) for sums in by_site.values()]
    resized = [functional.interpolate(mean, finest, mode="bilinear") for mean in means]
    return torch.stack(resized).mean(0)


def _shown(mean: Float[Tensor, "rows maps h w"], application: Application, show: Show) -> Tensor:
    attention, influence = mean[:, :-1], mean[:, -1:]
    if show is Show.INFLUENCE:
        return influence
    if show is Show.TOKENS:
        return attention
    return attention.unflatten(1, (len(application.pictures), -1)).sum(2)
