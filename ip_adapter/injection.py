"""What stands in a model after an adapter was applied: one immutable patch per site."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from .adapter import NEGATIVE, POSITIVE, KeyValue
from .attention import image_attention
from .frames import RowFactors, check_batch, frames_of, row_factors
from .mask import WHOLE, Region, Window
from .schedule import Timing

OPTION = "ip_adapter_nodes"  # our entry in the host's transformer_options
_MAX_KEPT = 64  # rows of factors: those of the windows of an animation, or of the steps of a schedule
Options = Mapping[str, Any]
Attention = Callable[[Tensor, Tensor, Tensor, Options], Tensor]


@dataclass(frozen=True, eq=False)
class Application:
    """One adapter applied once: what all its sites have in common. Compared by identity."""

    name: str
    timing: Timing | None
    region: Region | None

    def __deepcopy__(self, memo: object) -> "Application":
        return self


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was decided once for a call of the model: each application's factor, and what each chunk sees."""

    factors: Mapping[Application, float | RowFactors]
    windows: tuple[Window, ...]


def turned_away(item: KeyValue) -> KeyValue:
    """The negative rows see the positive pictures and the positive rows nothing, so guidance leads away from them.

    Source: the "precise" weight types of ComfyUI_IPAdapter_plus,
    https://github.com/cubiq/ComfyUI_IPAdapter_plus/blob/9d076a3df0d2763cef5510ec5ab807f6632c39f5/CrossAttentionPatch.py#L105
    """
    key, value = item.key[POSITIVE], item.value[POSITIVE]
    return KeyValue(item.site, torch.stack([key, key]), torch.stack([value, torch.zeros_like(value)]))


class SiteBranch:
    """The image branch of one application at one site: keys and values, placed on first use where the query is."""

    def __init__(self, application: Application, key_value: KeyValue, dtype: torch.dtype) -> None:
        self.application = application
        self.key = key_value.key.to("cpu", dtype)
        self.value = key_value.value.to("cpu", dtype)
        self._placed: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}

    def add_to(self, out: Tensor, query: Tensor, options: Options) -> Tensor:
        """`out + factor * Attention(Q, K', V')`; `out` itself where the factor is 0."""
        evaluation: Evaluation | None = options.get(OPTION)
        factor: float | RowFactors = 1.0
        if self.application.timing is not None and evaluation is not None:
            factor = evaluation.factors[self.application]
        if factor == 0.0:
            return out
        chunks = tuple(options["cond_or_uncond"]) if "cond_or_uncond" in options else (0,)
        image = image_attention(query, *self._rows(query, chunks))
        if self.application.region is None:
            return _added(out, image, factor)
        windows = evaluation.windows if evaluation is not None else (WHOLE,) * len(chunks)
        grid = tuple(options["activations_shape"][-2:])
        mask = self.application.region.factors(grid, windows, query)
        image = (image.unflatten(0, (len(chunks), -1)) * mask).flatten(0, 1)
        return _added(out, image, factor)

    def _rows(self, query: Tensor, chunks: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """Keys and values with one row per chunk of the batch, as views where the usual orders allow it."""
        key, value = self._placed_as(query)
        if chunks == (1, 0):
            return key, value
        if len(chunks) == 1:
            side = NEGATIVE if chunks[0] == 1 else POSITIVE
            return key[side : side + 1], value[side : side + 1]
        sides = [NEGATIVE if chunk == 1 else POSITIVE for chunk in chunks]
        return torch.stack([key[side] for side in sides]), torch.stack([value[side] for side in sides])

    def _placed_as(self, query: Tensor) -> tuple[Tensor, Tensor]:
        if self.key.device == query.device and self.key.dtype == query.dtype:
            return self.key, self.value
        place = (query.device, query.dtype)
        if place not in self._placed:
            self._placed[place] = (self.key.to(*place), self.value.to(*place))
        return self._placed[place]


def _added(out: Tensor, image: Tensor, factor: float | RowFactors) -> Tensor:
    if isinstance(factor, RowFactors):
        return factor.add_to(out, image)
    return torch.add(out, image, alpha=factor)


class SitePatch:
    """The host's replacement function at one site: the base attention, then every image branch in order of application.

    Never changed after it is made: hosts up to 0.8 deep-copy it with every clone of the model, newer ones share it.
    """

    def __init__(self, base: Attention, branches: Sequence[SiteBranch]) -> None:
        self.base = base
        self.branches = tuple(branches)

    def __deepcopy__(self, memo: object) -> "SitePatch":
        return self

    def __call__(self, query: Tensor, key: Tensor, value: Tensor, options: Options) -> Tensor:
        out = self.base(query, key, value, options)
        for branch in self.branches:
            out = branch.add_to(out, query, options)
        return out


class Evaluator:
    """Wrapper around one call of the model: decides there, once, what every site would else decide for itself."""

    def __init__(self, applications: Sequence[Application]) -> None:
        self.applications = tuple(applications)
        self._kept: dict[tuple[float, ...], RowFactors] = {}

    def __deepcopy__(self, memo: object) -> "Evaluator":
        return self

    def __call__(self, executor: Any, x: Tensor, t: Tensor, *arguments: Any, **extra: Any) -> Any:
        """`arguments` are the host's c_concat, c_crossattn, control and transformer_options."""
        *others, options = arguments
        timed = [application for application in self.applications if application.timing is not None]
        sigma = float(t.flatten()[0]) if timed else 0.0
        factors = {application: self._factor(application.timing, sigma, len(x), options) for application in timed}
        evaluation = Evaluation(factors, self._windows(options))
        return executor(x, t, *others, {**options, OPTION: evaluation}, **extra)

    def check_batch(self, executor: Any, noise: Tensor, *arguments: Any, **extra: Any) -> Any:
        """Wrapper around a whole run: raises SettingError when its batch is not the animation of a schedule."""
        for application in self.applications:
            if application.timing is not None and application.timing.curve:
                check_batch(application.timing.curve, len(noise))
        return executor(noise, *arguments, **extra)

    def _factor(self, timing: Timing | None, sigma: float, rows: int, options: Options) -> float | RowFactors:
        factor = 1.0 if timing is None else timing.factor(sigma)
        if timing is None or not timing.curve or factor == 0.0:
            return factor
        chunks = len(options.get("cond_or_uncond") or (None,))
        factors = row_factors(timing.curve, frames_of(options, rows // chunks), factor) * chunks
        if len(set(factors)) == 1:
            return factors[0]
        if len(self._kept) >= _MAX_KEPT:
            self._kept.clear()
        return self._kept.setdefault(factors, RowFactors(factors))

    @staticmethod
    def _windows(options: Options) -> tuple[Window, ...]:
        known: Mapping[Any, Window] = options.get(AREAS, {})
        chunks = options.get("uuids") or options.get("cond_or_uncond") or (None,)
        return tuple(known.get(uuid, WHOLE) for uuid in chunks)


AREAS = f"{OPTION}_areas"


def record_areas(executor: Any, model: Any, conds: Any, x: Tensor, timestep: Tensor, options: dict[str, Any]) -> Any:
    """Wrapper around one set of conditionings: notes which part of the picture each of them sees.

    The host crops its input to a conditioning's area and tells the attention nothing of where the crop lies.
    """
    height, width = x.shape[-2:]
    areas = {
        cond["uuid"]: _window(cond["area"], height, width)
        for side in conds
        if side is not None
        for cond in side
        if cond.get("area") is not None and "uuid" in cond
    }
    inner = {**options.get("transformer_options", {}), AREAS: areas}
    return executor(model, conds, x, timestep, {**options, "transformer_options": inner})


def _window(area: Sequence[int], height: int, width: int) -> Window:
    """The host's area, sizes then offsets in latent pixels, as shares of the picture."""
    rows, columns, top, left = (*area[-4:],) if len(area) == 4 else (*area[1:3], *area[4:6])
    # The host narrows an area that reaches over the border.
    rows, columns = min(rows, height - top), min(columns, width - left)
    return top / height, left / width, rows / height, columns / width
