"""Sampling with the host, counted and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import comfy.sample
import torch
from torch.profiler import ProfilerActivity, profile


def sample(model: Any, steps: int, side: int, batch: int = 1) -> torch.Tensor:
    """Samples pictures of `side` latent pixels with cfg, so that each step evaluates a batch of twice as many."""
    config = model.model.model_config.unet_config
    latent = torch.zeros(batch, 4, side, side)
    noise = torch.randn(latent.shape, generator=torch.Generator().manual_seed(0))
    context = torch.randn(2, 1, 77, config["context_dim"], generator=torch.Generator().manual_seed(1))
    extra = {"pooled_output": torch.zeros(1, 1280)} if config.get("adm_in_channels") else {}
    positive, negative = [[context[0], dict(extra)]], [[context[1], dict(extra)]]
    return comfy.sample.sample(
        model, noise, steps, 5.0, "euler", "normal", positive, negative, latent, disable_pbar=True, seed=0
    )


def aten_events(model: Any, steps: int = 2, side: int = 16) -> tuple[int, int]:
    """All aten events of a run, and how many of them read a scalar from a tensor."""
    sample(model, steps, side)
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as record:
        sample(model, steps, side)
    names = [event.name for event in record.events() if event.name.startswith("aten::")]
    return len(names), sum(name == "aten::_local_scalar_dense" for name in names)


def interleaved_seconds(
    runs: Mapping[str, Callable[[], object]], rounds: int, clock: Callable[[], float] = time.perf_counter
) -> dict[str, list[float]]:
    """Seconds of each run, all taken in turn, so that a slow moment of the machine meets them alike."""
    for run in runs.values():
        run()
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            started = clock()
            run()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            seconds[name].append(clock() - started)
    return seconds


def ratio(seconds: dict[str, list[float]], name: str, base: str) -> tuple[float, float, float]:
    """Ratio of the fastest runs, since whatever else the machine does only adds time, and the range within a round."""
    ratios = [a / b for a, b in zip(seconds[name], seconds[base], strict=True)]
    return min(seconds[name]) / min(seconds[base]), min(ratios), max(ratios)
