"""Everything in one run, as ratios where time is concerned; the report goes to benchmarks/RESULTS.md or to --output."""

from __future__ import annotations

import argparse
import os
import platform
import tempfile
from collections.abc import Sequence
from pathlib import Path

import comfy.model_management
import psutil
import torch

from .files import listing
from .frames import frames
from .memory import memory
from .speed import hot_path, step_time
from .training import training


def machine() -> str:
    device = comfy.model_management.get_torch_device()
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"{platform.machine()} CPU"
    return f"{name}, {os.cpu_count()} cores, {psutil.virtual_memory().total / 2**30:.0f} GiB, torch {torch.__version__}"


def report(rounds: int) -> str:
    rows: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory() as name, torch.inference_mode():
        folder = Path(name)
        rows += hot_path(folder)
        rows += memory(folder)
        rows += listing(folder)
        rows += frames(folder, rounds)
        rows += training(rounds)
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
