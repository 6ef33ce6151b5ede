"""What the last runs of a model did, noted while they sample."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import comfy.patcher_extension
import torch
from torch import Tensor

from ...models.shapes import Float
from ..attention.image_attention import attention_shares
from ..attention.key_value import POSITIVE
from ..attention_maps.run import MAX_BYTES, Run, SumKey, whole_grid
from ..bases.backbone import Site
from ..errors import SettingError
from .model import HostModel, sites_of
from .patches import RECORDERS, Contribution, Evaluation, Options
from .rows import frames_of

MAX_PARTS = 16
_MAX_RUNS = 8


class AttentionRecord:
    """The last runs of a model with these sites. Filled while sampling, hence not frozen.

    Several are kept, because a host that has cached a sampler's result does not run it again.
    """

    def __init__(self, sites: tuple[Site, ...], parts: int = 4) -> None:
        if not 1 <= parts <= MAX_PARTS:
            raise SettingError(f"Expected from 1 to {MAX_PARTS} parts of a run, got {parts}.")
        self.sites = sites
        self.parts = parts
        self.runs: deque[Run] = deque(maxlen=_MAX_RUNS)
        self._run: Run | None = None

    def __deepcopy__(self, memo: object) -> "AttentionRecord":
        return self

    def around_run(
        self, executor: Any, noise: Tensor, latent: Any, sampler: Any, sigmas: Tensor, *others: Any, **extra: Any
    ) -> Any:
        """Wrapper around a whole run, which is kept if it comes to its end."""
        run = self._run = Run(len(noise), sigmas.tolist(), self.parts)
        try:
            result = executor(noise, latent, sampler, sigmas, *others, **extra)
        finally:
            self._run = None
        run.end(result)
        self.runs.append(run)
        while sum(run.size for run in self.runs) > MAX_BYTES and len(self.runs) > 1:
            self.runs.popleft()
        return result

    def around_call(self, executor: Any, x: Tensor, t: Tensor, *arguments: Any, **extra: Any) -> Any:
        """Wrapper around one call of the model: asks every image branch to tell what it does."""
        *others, options = arguments
        if self._run is not None:
            chunks = len(options.get("cond_or_uncond") or (0,))
            recorder = Recorder(self._run, self._run.part(float(t.flatten()[0])), frames_of(options, len(x) // chunks))
            options = {**options, RECORDERS: (*options.get(RECORDERS, ()), recorder)}
        return executor(x, t, *others, options, **extra)

    def run_of(self, latents: Tensor) -> Run:
        """The run that gave these latents. Raises SettingError if none of those that are kept did."""
        for run in reversed(self.runs):
            if run.gave(latents):
                return run
        raise SettingError(
            "Expected latents that were sampled with the model of this Record Attention, as the sampler gave them. "
            f"None of its last {len(self.runs)} runs gave these. Connect the sampler's output itself, and sample "
            "again (with another seed) if the run was long ago."
        )


@dataclass(frozen=True, eq=False)
class Recorder:
    """What every image branch tells in one call of the model."""

    run: Run
    part: int
    frames: tuple[int, ...]  # of the rows of a chunk

    def note(self, contribution: Contribution, options: Options) -> None:
        """Adds what the positive rows saw; several positive conditionings count alike."""
        evaluation = Evaluation.of(options)
        height, width = options["activations_shape"][-2:]
        block = (*options["block"], options["block_index"])
        for chunk, side in enumerate(evaluation.sides):
            if side == POSITIVE:
                window = evaluation.windows[chunk]
                place = SumKey(contribution.application, block, self.part, whole_grid((height, width), window))
                maps = _maps(contribution, chunk, len(evaluation.sides)).unflatten(-1, (height, width))
                self.run.add(place, window, self.frames, maps)


def _maps(contribution: Contribution, chunk: int, chunks: int) -> Float[Tensor, "rows maps queries"]:
    """The attention that every token gets, times the mask; last the influence: the length of what is added, relative to
    that of what was there before."""
    query, key, before, after = (
        x.unflatten(0, (chunks, -1))[chunk]
        for x in (contribution.query, contribution.key, contribution.before, contribution.after)
    )
    shares = attention_shares(query, key)
    own = len(contribution.application.pictures) * contribution.application.tokens
    shares = shares.unflatten(1, (-1, own)).sum(1)  # tokens stand there several times if the negative ones are more
    if contribution.mask is not None:
        shares = shares * contribution.mask[chunk % len(contribution.mask)].float().transpose(1, 2)
    influence = (after - before).float().norm(dim=-1) / before.float().norm(dim=-1).clamp(min=1e-12)
    return torch.cat([shares, influence[:, None]], 1)


def record_attention(model: HostModel, parts: int) -> tuple[HostModel, AttentionRecord]:
    """A clone of the model whose runs are noted in the record, whatever adapters come before it or after it.

    Raises SettingError for a number of parts out of range, WrongBaseError for a model without cross-attention.
    """
    record, clone = AttentionRecord(sites_of(model), parts), model.clone()
    kinds = comfy.patcher_extension.WrappersMP
    clone.add_wrapper_with_key(kinds.OUTER_SAMPLE, RECORDERS, record.around_run)
    clone.add_wrapper_with_key(kinds.APPLY_MODEL, RECORDERS, record.around_call)
    return clone, record
