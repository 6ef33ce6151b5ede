"""What stands in a model after an adapter was applied: one immutable patch per site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...models.shapes import Float
from ..applying.application import Application
from ..attention.image_attention import image_attention
from ..attention.key_value import NEGATIVE, POSITIVE, KeyValue
from ..attention.pairs import RowChoice
from ..attention.region import Window
from ..caches import PlacedCache
from ..weights.frames import RowFactors
from .rows import Notes

OPTION = "ip_adapter_nodes"  # our entry in the host's transformer_options
CALLED = f"{OPTION}_called"  # the entry of whoever wants to know which of our patches a function calls
RECORDERS = f"{OPTION}_recorders"  # the entry of those who want to know what our branches do
Options = Mapping[str, Any]
Attention = Callable[[Tensor, Tensor, Tensor, Options], Tensor]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was decided once for a call of the model: the side and window of each chunk, the frame of each row of a
    chunk, and what differs between applications; one that is not named acts with factor 1."""

    sides: tuple[int, ...]
    windows: tuple[Window, ...]
    frames: tuple[int, ...]  # empty where no application asks for them
    factors: Mapping[Application, float | RowFactors]
    rows: Mapping[Application, RowChoice]

    @classmethod
    def of(cls, options: Options) -> "Evaluation":
        """That of the call; what the host itself tells where the call did not come through our wrapper."""
        return options.get(OPTION) or cls(*Notes.of(options).rows(options), (), {}, {})


@dataclass(frozen=True, eq=False)
class Contribution:
    """What the image branch of an application did in one call: `after` is `before` plus what it adds."""

    application: Application
    query: Float[Tensor, "rows queries width"]
    key: Float[Tensor, "chunks heads tokens head_width"]
    mask: Tensor | None  # (chunks, rows, queries, 1), with 1 in place of chunks or rows that are all alike
    before: Float[Tensor, "rows queries width"]
    after: Float[Tensor, "rows queries width"]


class SiteBranch:
    """The image branch of one application at one site: keys and values, placed on first use where the query is."""

    def __init__(self, application: Application, key_value: KeyValue, dtype: torch.dtype) -> None:
        self.application = application
        split = application.pairs.split if application.pairs is not None else lambda sides: sides
        self.key = split(key_value.key).to("cpu", dtype)
        self.value = split(key_value.value).to("cpu", dtype)
        self._placed = PlacedCache(self.key, self.value)

    def add_to(self, out: Tensor, query: Tensor, options: Options) -> Tensor:
        """`out + factor * mask * Attention(Q, K', V')`; `out` itself where the factor is 0."""
        evaluation = Evaluation.of(options)
        factor = evaluation.factors.get(self.application, 1.0)
        if factor == 0.0:
            return out
        key, value = self._rows(query, evaluation)
        image = image_attention(query, key, value)
        mask = None
        if self.application.region is not None:
            grid = tuple(options["activations_shape"][-2:])
            mask = self.application.region.factors(grid, evaluation.windows, evaluation.frames, query)
            image = (image.unflatten(0, (len(evaluation.sides), -1)) * mask).flatten(0, 1)
        result = _added(out, image, factor)
        for recorder in options.get(RECORDERS, ()):
            recorder.note(Contribution(self.application, query, key, mask, out, result), options)
        return result

    def _rows(self, query: Tensor, evaluation: Evaluation) -> tuple[Tensor, Tensor]:
        """Keys and values with one row per chunk of the batch, or per row of it; views where the usual orders allow."""
        key, value = self._placed.at(query.device, query.dtype)
        if self.application.pairs is not None:
            choice = evaluation.rows[self.application]
            return choice.of(key), choice.of(value)
        sides = evaluation.sides
        if sides == (NEGATIVE, POSITIVE):
            return key, value
        if len(sides) == 1:
            return key[sides[0] : sides[0] + 1], value[sides[0] : sides[0] + 1]
        return torch.stack([key[side] for side in sides]), torch.stack([value[side] for side in sides])


def _added(out: Tensor, image: Tensor, factor: float | RowFactors) -> Tensor:
    if isinstance(factor, RowFactors):
        return factor.add_to(out, image)
    return torch.add(out, image, alpha=factor)


@dataclass(frozen=True, eq=False)
class Addition:
    """A function that another pack adds to what stands at a site, with its settings."""

    function: Callable[..., Tensor]
    settings: Mapping[str, Any]

    def to(self, out: Tensor, query: Tensor, key: Tensor, value: Tensor, options: Mapping[str, Any]) -> Tensor:
        """`out + function(out, ..)` where the noise level lies between the settings' `sigma_end` and `sigma_start`."""
        start, end = (self.settings.get(name) for name in ("sigma_start", "sigma_end"))
        if start is not None and end is not None and not end <= float(options["sigmas"][0]) <= start:
            return out
        return out + self.function(out, query, key, value, options, **self.settings).to(out.dtype)


class SitePatch:
    """The host's replacement function at one site: the base attention, then every image branch in order of application,
    then what packs add that look for an object with an `add` here.

    Hosts up to 0.8 copy every object with each clone of a model, newer ones share it. `own_patches` gives a clone
    patches of its own, so what is added to one model is not in another.
    """

    def __init__(self, base: Attention, branches: Sequence[SiteBranch], added: Sequence[Addition] = ()) -> None:
        self.base = base
        self.branches = tuple(branches)
        self.added = tuple(added)

    def __deepcopy__(self, memo: object) -> "SitePatch":
        return self

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
        if CALLED in options:
            options[CALLED].append(self)
        out = self.add_to(self.base(query, key, value, options), query, options)
        for addition in self.added:
            out = addition.to(out, query, key, value, options)
        return out

    def add_to(self, out: Tensor, query: Tensor, options: Options) -> Tensor:
        for branch in self.branches:
            out = branch.add_to(out, query, options)
        return out

    def add(self, function: Callable[..., Tensor], **settings: Any) -> None:
        """What ComfyUI_IPAdapter_plus, InstantID and PuLID call on the patch they find in a model they have cloned."""
        self.added = (*self.added, Addition(function, settings))


def own_patches(table: dict[Any, Any]) -> None:
    """Puts copies of our patches in the place of those that a clone's table of replacements shares with its origin."""
    for block, patch in table.items():
        if isinstance(patch, SitePatch):
            table[block] = SitePatch(patch.base, patch.branches, patch.added)
