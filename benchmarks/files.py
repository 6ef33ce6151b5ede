"""How long it takes to say what is in a folder of adapter files."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import torch

from ..ip_adapter.library.inventory import inventory
from .models import make_model, sites_of

_FILES, _PICKLES = 60, 10


def _write_hole(path: Path, shapes: dict[str, tuple[int, int]]) -> None:
    """A safetensors file of float16 matrices of these shapes whose data is a hole in the file."""
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


def listing(folder: Path) -> Iterator[tuple[str, str]]:
    """Files with the matrices of SDXL adapters, most of them safetensors, the first time and again."""
    sites = sites_of(make_model("SDXL", dtype=torch.float16, device=torch.device("meta")))
    shapes = {
        f"ip_adapter.{2 * n + 1}.to_{x}_ip.weight": (site.width, site.context_width)
        for n, site in enumerate(sites)
        for x in "kv"
    }
    many = folder / "many"
    many.mkdir()
    for number in range(_FILES - _PICKLES):
        _write_hole(many / f"{number}.safetensors", shapes)
    for number in range(_PICKLES):
        torch.save({name: torch.zeros(2, 2) for name in shapes}, many / f"{number}.bin")
    for attempt in ("first", "second"):
        started = time.perf_counter()
        found = len(inventory([many]))
        yield f"list {found} files ({attempt} time)", f"{time.perf_counter() - started:.3f} s"
