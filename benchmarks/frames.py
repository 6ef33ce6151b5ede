"""What animations cost: keys and values kept, and time per step, when every row of the batch is a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from ..ip_adapter.host import apply
from ..ip_adapter.prompts.combine import Combine
from ..ip_adapter.weights.crossfade import crossfade
from ..ip_adapter.weights.keyframes import Easing
from ..ip_adapter.weights.schedule import WeightSchedule
from .memory import reachable_bytes
from .models import make_model, random_prompt, sites_of, write_adapter
from .sampling import interleaved_seconds, ratio, sample

_PICTURES = 4
_SMALL = 64  # channels of the model that is timed, of SD1.5's 320
_SIDE = 16  # of its latents


def _crossfade(frames: int) -> WeightSchedule:
    """Four pictures over 16 or 64 frames."""
    hold = frames // 16
    return WeightSchedule(curves=crossfade(_PICTURES, hold, (frames - _PICTURES * hold) // 3, Easing.LINEAR))


def frames(folder: Path, rounds: int) -> Iterator[tuple[str, str]]:
    """Four references over 16 and 64 frames, and a reference for each of 64 frames."""
    for topology in ("SD1.5", "SDXL"):
        model = make_model(topology, dtype=torch.float16, device=torch.device("meta"))
        adapter = write_adapter(folder / "frames.safetensors", sites_of(model), "plus")
        four, each = random_prompt(_PICTURES), random_prompt(64, Combine.ONE_PER_LATENT)
        for name, prompt, schedule in (
            ("64 frames that all see 4 pictures", four, None),
            ("64 frames passing through 4 pictures", four, _crossfade(64)),
            ("64 frames with a picture each", each, None),
        ):
            kept = reachable_bytes(apply(model, adapter, prompt, ApplyOptions(schedule=schedule)))
            yield f"keys and values kept, {topology} Plus, float16, {name}", f"{kept / 1e6:.1f} MB"
    model = make_model("SD1.5", channels=_SMALL)
    adapter = write_adapter(folder / "small_frames.safetensors", sites_of(model), "plus")
    for count in (16, 64):
        patched = apply(model, adapter, random_prompt(_PICTURES), ApplyOptions(schedule=_crossfade(count)))
        runs = {
            name: (lambda which=which, count=count: sample(which, 1, _SIDE, count))
            for name, which in (("bare", model), ("frames", patched))
        }
        fastest, low, high = ratio(interleaved_seconds(runs, rounds), "frames", "bare")
        yield (
            f"step time against bare, {count} frames passing through 4 pictures, {_SMALL} channels, {8 * _SIDE} px",
            f"{fastest:.3f} ({low:.2f} to {high:.2f}, {rounds} rounds)",
        )
