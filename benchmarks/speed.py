"""What an adapter adds to sampling: operations per site, and time per step."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from ..ip_adapter.host import apply
from ..ip_adapter.weights.schedule import WeightSchedule
from .models import make_model, random_prompt, sites_of, write_adapter
from .sampling import aten_events, interleaved_seconds, ratio, sample

_SCHEDULE = WeightSchedule(((0.0, 1.0), (1.0, 0.5)))


def hot_path(folder: Path) -> Iterator[tuple[str, str]]:
    """Events that one site and one adapter add to a model evaluation."""
    model = make_model("SD1.5", channels=32)
    sites = sites_of(model)
    adapter = write_adapter(folder / "small.safetensors", sites, "standard")
    half = torch.ones(1, 64, 64)
    half[:, :, :32] = 0

    def applied(count: int = 1, **settings: Any) -> Any:
        patched = model
        for _ in range(count):
            patched = apply(patched, adapter, random_prompt(), ApplyOptions(**settings))
        return patched

    cases = {
        "1 adapter": (1, applied()),
        "2 adapters": (2, applied(2)),
        "4 adapters": (4, applied(4)),
        "1 adapter with a mask": (1, applied(mask=half)),
        "1 adapter with a range": (1, applied(end_percent=0.999)),
        "1 adapter with a schedule": (1, applied(schedule=_SCHEDULE)),
        "1 adapter with mask and schedule": (1, applied(mask=half, schedule=_SCHEDULE)),
    }
    bare, bare_reads = aten_events(model)
    for name, (count, patched) in cases.items():
        events, reads = aten_events(patched)
        yield f"aten events per site and adapter, {name}", f"{(events - bare) / (2 * len(sites) * count):.1f}"
        yield f"scalar reads per model evaluation, {name}", f"{(reads - bare_reads) / 2:g}"


def step_time(folder: Path, rounds: int, dtype: torch.dtype) -> Iterator[tuple[str, str]]:
    """One sampling step of SD1.5 at 512 pixels, with and without adapters, in turn."""
    model = make_model("SD1.5", dtype=dtype)
    sites = sites_of(model)
    adapter = write_adapter(folder / "full.safetensors", sites, "plus")
    started = time.perf_counter()
    patched = apply(model, adapter, random_prompt(), ApplyOptions())
    yield "apply SD1.5 Plus", f"{time.perf_counter() - started:.2f} s"
    two = apply(patched, adapter, random_prompt(), ApplyOptions())
    half = torch.ones(1, 64, 64)
    half[:, :, :32] = 0
    models = {
        "bare": model,
        "1 adapter": patched,
        "2 adapters": two,
        "4 adapters": apply(
            apply(two, adapter, random_prompt(), ApplyOptions()), adapter, random_prompt(), ApplyOptions()
        ),
        "1 adapter with mask and schedule": apply(
            model, adapter, random_prompt(), ApplyOptions(mask=half, schedule=_SCHEDULE)
        ),
        "bare again": model,
    }
    runs: dict[str, Callable[[], object]] = {
        name: (lambda which=which: sample(which, 1, 64)) for name, which in models.items()
    }
    seconds = interleaved_seconds(runs, rounds)
    for name in list(models)[1:]:
        fastest, low, high = ratio(seconds, name, "bare")
        yield f"step time against bare, {name}, {dtype}", f"{fastest:.3f} ({low:.2f} to {high:.2f}, {rounds} rounds)"
