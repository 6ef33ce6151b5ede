"""What loading and applying an adapter costs in memory and time, and what stays."""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import torch

from ..ip_adapter.host import apply
from ..ip_adapter.library.inventory import load_adapter
from .models import make_model, random_prompt, sites_of, write_adapter

_INTERVAL = 0.002  # seconds between two looks at the memory


def _resident() -> float:
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def _private() -> float:
    """MiB of memory that is no mapped file."""
    facts = psutil.Process().memory_info()
    return (facts.rss - getattr(facts, "shared", 0)) / 2**20


@contextmanager
def peak() -> Generator[list[float], None, None]:
    """A list that fills with the growth of private memory while the block runs."""
    gc.collect()
    before, seen, done = _private(), [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(_INTERVAL):
            seen.append(_private() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def reachable_bytes(model: Any) -> int:
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


def memory(folder: Path) -> Iterator[tuple[str, str]]:
    """A random SDXL Plus file of the published size: loading, applying, and what stays."""
    model = make_model("SDXL", dtype=torch.float16, device=torch.device("meta"))
    path = folder / "plus.safetensors"
    write_adapter(path, sites_of(model), "plus")
    before, started = _resident(), time.perf_counter()
    adapter = load_adapter(path)
    yield "load an SDXL Plus file", f"{path.stat().st_size / 1e6:.0f} MB in {time.perf_counter() - started:.3f} s"
    yield "resident memory after loading", f"+{_resident() - before:.0f} MiB"
    for attempt in ("first", "second"):
        with peak() as seen:
            started = time.perf_counter()
            patched = apply(model, adapter, random_prompt(), ApplyOptions())
            seconds = time.perf_counter() - started
        yield f"apply SDXL Plus ({attempt} time)", f"{seconds:.2f} s"
        yield f"peak of memory during it ({attempt} time)", f"+{max(seen):.0f} MiB"
    kept = reachable_bytes(patched)
    yield "keys and values kept for SDXL Plus, float16", f"{kept / 1e6:.1f} MB"
    together = {"both": [patched.model_options, patched.clone().model_options]}
    both = type("Options", (), {"model_options": together})
    yield "tensors added by a clone of the MODEL", f"{reachable_bytes(both) - kept} bytes"
