"""What is decided once for every call of the model, in wrappers around it."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeVar

from torch import Tensor

from ..applying.application import Application
from ..attention.pairs import RowChoice
from ..bases.backbone import BlockKey
from ..caches import BoundedCache
from ..weights.frames import RowFactors, row_factors
from ..weights.schedule import Timing
from .foreign import OurPatches, warn_overwritten
from .patches import OPTION, Evaluation, Options, SitePatch
from .rows import NOTES, Notes, frames_of

Kept = TypeVar("Kept", RowFactors, RowChoice)
_MAX_KEPT = 64  # rows of factors: those of the windows of an animation, or of the steps of a schedule
NOTHING: Mapping[BlockKey, SitePatch] = MappingProxyType({})


class Evaluator:
    """Wrapper around one call of the model: decides there, once, what every site would else decide for itself."""

    def __init__(self, applications: Sequence[Application], patches: Mapping[BlockKey, SitePatch] = NOTHING) -> None:
        self.applications = tuple(applications)
        self.patches = patches
        self._ours = OurPatches(patches)
        self._kept: BoundedCache[Any, Any] = BoundedCache(_MAX_KEPT)

    def __deepcopy__(self, memo: object) -> "Evaluator":
        return self

    def __call__(self, executor: Any, x: Tensor, t: Tensor, *arguments: Any, **extra: Any) -> Any:
        """`arguments` are the host's c_concat, c_crossattn, control and transformer_options."""
        *others, options = arguments
        told = {name: value for name, value in options.items() if name != NOTES}
        told[OPTION] = self._evaluation(len(x), t, options)
        restored = self._ours.restored(options.get("patches_replace", {}).get("attn2", {}))
        if restored:
            tables = options["patches_replace"]
            told["patches_replace"] = {**tables, "attn2": {**tables["attn2"], **restored}}
        result = executor(x, t, *others, told, **extra)
        warn_overwritten(restored)
        return result

    def check_batch(self, executor: Any, noise: Tensor, *arguments: Any, **extra: Any) -> Any:
        """Wrapper around a whole run: raises SettingError when its batch has not a row for each frame."""
        for application in self.applications:
            application.check_batch(len(noise))
        return executor(noise, *arguments, **extra)

    def _evaluation(self, rows: int, t: Tensor, options: Options) -> Evaluation:
        sides, windows = Notes.of(options).rows(options)
        is_by_frame = any(application.is_by_frame for application in self.applications)
        frames = frames_of(options, rows // len(sides)) if is_by_frame else ()
        timed = [application for application in self.applications if application.timing is not None]
        sigma = float(t.flatten()[0]) if timed else 0.0
        factors = {application: self._factor(application.timing, sigma, len(sides), frames) for application in timed}
        choices = {
            application: self._keep(RowChoice, application.pairs.rows(sides, frames))
            for application in self.applications
            if application.pairs is not None
        }
        return Evaluation(sides, windows, frames, factors, choices)

    def _factor(self, timing: Timing | None, sigma: float, chunks: int, frames: tuple[int, ...]) -> float | RowFactors:
        factor = 1.0 if timing is None else timing.factor(sigma)
        if timing is None or not timing.curve or factor == 0.0:
            return factor
        factors = row_factors(timing.curve, frames, factor) * chunks
        return factors[0] if len(set(factors)) == 1 else self._keep(RowFactors, factors)

    def _keep(self, kind: type[Kept], numbers: tuple[Any, ...]) -> Kept:
        return self._kept.get((kind, numbers), lambda: kind(numbers))
