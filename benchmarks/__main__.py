"""Everything in one run, as ratios where time is concerned; the report goes to benchmarks/RESULTS.md or to --output."""

from __future__ import annotations

import argparse
import gc
import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import comfy.model_management
import psutil
import torch

from ..ip_adapter.adapter import Adapter
from ..ip_adapter.host import Settings, apply
from .models import make_model, random_prompt, sites_of, write_adapter
from .sampling import aten_events, interleaved_seconds, ratio, sample

Rows = Iterator[tuple[str, str]]


def machine() -> str:
    device = comfy.model_management.get_torch_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return f"{name}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, torch {torch.__version__}"


def _resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def hot_path(folder: Path) -> Rows:
    """Events that one site and one adapter add to a model evaluation."""
    model = make_model("SD1.5", channels=32)
    sites = sites_of(model)
    adapter = write_adapter(folder / "small.safetensors", sites, "standard")
    half = torch.ones(1, 64, 64)
    half[:, :, :32] = 0

    def applied(count: int = 1, **settings: Any) -> Any:
        patched = model
        for _ in range(count):
            patched = apply(patched, adapter, random_prompt(), Settings(**settings))
        return patched

    cases = {
        "1 adapter": (1, applied()),
        "2 adapters": (2, applied(2)),
        "4 adapters": (4, applied(4)),
        "1 adapter with a mask": (1, applied(mask=half)),
        "1 adapter with a range": (1, applied(end_percent=0.999)),
    }
    bare, bare_reads = aten_events(model)
    for name, (count, patched) in cases.items():
        events, reads = aten_events(patched)
        yield f"aten events per site and adapter, {name}", f"{(events - bare) / (2 * len(sites) * count):.1f}"
        yield f"scalar reads per model evaluation, {name}", f"{(reads - bare_reads) / 2:g}"


def _reachable_bytes(model: Any) -> int:
    """Bytes of all tensors that a MODEL's options hold, each storage once."""
    storages: dict[int, int] = {}

    def visit(value: Any) -> None:
        if isinstance(value, torch.Tensor):
            storages[value.untyped_storage().data_ptr()] = value.untyped_storage().nbytes()
        elif isinstance(value, dict):
            for item in value.values():
                visit(item)
        elif isinstance(value, list | tuple):
            for item in value:
                visit(item)
        elif type(value).__module__.startswith(__package__.split(".")[0]):
            visit(vars(value))

    visit(model.model_options)
    return sum(storages.values())


def memory(folder: Path) -> Rows:
    """A random SDXL Plus file of the published size: loading, applying, and what stays."""
    model = make_model("SDXL", dtype=torch.float16, device=torch.device("meta"))
    path = folder / "plus.safetensors"
    write_adapter(path, sites_of(model), "plus")
    before, started = _resident(), time.perf_counter()
    adapter = Adapter.load(path)
    yield "load an SDXL Plus file", f"{path.stat().st_size / 1e6:.0f} MB in {time.perf_counter() - started:.3f} s"
    yield "resident memory after loading", f"+{_resident() - before:.0f} MiB"
    for attempt in ("first", "second"):
        started = time.perf_counter()
        patched = apply(model, adapter, random_prompt(), Settings())
        yield f"apply SDXL Plus ({attempt} time)", f"{time.perf_counter() - started:.2f} s"
    kept = _reachable_bytes(patched)
    yield "keys and values kept for SDXL Plus, float16", f"{kept / 1e6:.1f} MB"
    together = {"both": [patched.model_options, patched.clone().model_options]}
    both = type("Options", (), {"model_options": together})
    yield "tensors added by a clone of the MODEL", f"{_reachable_bytes(both) - kept} bytes"


def step_time(folder: Path, rounds: int, dtype: torch.dtype) -> Rows:
    """One sampling step of SD1.5 at 512 pixels, with and without adapters, in turn."""
    model = make_model("SD1.5", dtype=dtype)
    sites = sites_of(model)
    adapter = write_adapter(folder / "full.safetensors", sites, "plus")
    started = time.perf_counter()
    patched = apply(model, adapter, random_prompt(), Settings())
    yield "apply SD1.5 Plus", f"{time.perf_counter() - started:.2f} s"
    models = {"bare": model, "1 adapter": patched, "bare again": model}
    runs: dict[str, Callable[[], object]] = {
        name: (lambda which=which: sample(which, 1, 64)) for name, which in models.items()
    }
    seconds = interleaved_seconds(runs, rounds)
    for name in ("1 adapter", "bare again"):
        middle, low, high = ratio(seconds, name, "bare")
        yield f"step time against bare, {name}, {dtype}", f"{middle:.4f} ({low:.4f} to {high:.4f}, {rounds} rounds)"


def report(rounds: int) -> str:
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        rows += hot_path(folder)
        rows += memory(folder)
        on_gpu = comfy.model_management.get_torch_device().type == "cuda"
        for dtype in (torch.float16, torch.bfloat16, torch.float32) if on_gpu else (torch.float32,):
            rows += step_time(folder, rounds, dtype)
    lines = [f"| {what} | {figure} |" for what, figure in rows]
    return "\n".join(
        [f"Machine: {machine()}. Command: `python3 run.py bench`.", "", "| what | figure |", "|---|---|", *lines]
    )


def main(arguments: Sequence[str]) -> None:
    """Runs the benchmarks, prints the table and writes it."""
    parser = argparse.ArgumentParser(prog="run.py bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=6, help="how often each timed run is repeated")
    parser.add_argument("--output", type=Path, help="write the table to this file as well")
    options = parser.parse_args(arguments)
    text = report(options.rounds)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")
