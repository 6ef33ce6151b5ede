"""`run.py dev record DIR` and `run.py dev compare DIR`: whether a change of the code changes what users get.

Recorded are the pixels and texts of every shipped workflow on the demonstration family, the final latents of ten
graphs, and what the server says of our nodes; everything through a real server, with fixed model folders.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
from PIL import Image
from safetensors.numpy import load_file, save_file

from ..launcher.client import Entry, pictures
from ..launcher.commands.api import read_graph
from ..launcher.host import Host
from ..launcher.server import Server
from ..launcher.serving import running_server
from .record_graphs import GRAPHS, Graph

ROOT = Path(__file__).resolve().parent.parent
INFO, ARRAYS, TEXTS = "object_info.json", "arrays.safetensors", "texts.json"
_PACK = "custom_nodes.ip-adapter-nodes"
Recorded = tuple[dict[str, numpy.ndarray[Any, Any]], dict[str, Any], dict[str, Any]]  # arrays, texts, object_info


def main(arguments: Sequence[str]) -> int:
    """Record, or compare and return 1 where something differs."""
    parser = argparse.ArgumentParser("run.py dev", description=__doc__)
    parser.add_argument("what", choices=("record", "compare"))
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout of the pack (default: this one)")
    options = parser.parse_args(arguments)
    os.environ["OMP_NUM_THREADS"] = "1"  # sums in another order differ in their last bits
    recorded = record(options.root.resolve())
    if options.what == "record":
        write(recorded, options.folder)
        return 0
    differences = list(compared(read(options.folder), recorded))
    print("\n".join(differences) or "All equal.")
    return 1 if differences else 0


def record(root: Path) -> Recorded:
    """What the pack at `root` gives on the host whose modules can be imported."""
    specification = importlib.util.find_spec("folder_paths")
    origin = None if specification is None else specification.origin
    assert origin is not None, "run inside a host"
    arrays: dict[str, numpy.ndarray[Any, Any]] = {}
    texts: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        host = Host(Path(origin).parent, sys.executable)
        with running_server(host, root, Path(folder)) as server:
            info = server.object_info()
            for file in sorted((root / "workflows").glob("*.json")):
                entry = server.run(read_graph(file, info, for_demo=True))
                arrays |= {f"{file.stem}/{name}": pixels for name, pixels in _pixels(server, entry)}
                texts[file.stem] = _texts(entry, str(server.base_directory))
                print(f"{file.stem}", file=sys.stderr, flush=True)
            arrays |= dict(_latents(server, {name: make() for name, make in GRAPHS.items()}))
    ours = {name: facts for name, facts in info.items() if facts.get("python_module") == _PACK}
    return arrays, texts, ours


def _pixels(server: Server, entry: Entry) -> Iterator[tuple[str, numpy.ndarray[Any, Any]]]:
    # Counted for each node, since nodes that do not need each other run in any order.
    shown: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for picture in pictures(entry):
            file = Path(folder, "picture")
            file.write_bytes(server.fetch(picture))
            with Image.open(file) as image:
                frames = [numpy.array(_frame(image, n).convert("RGB")) for n in range(getattr(image, "n_frames", 1))]
            yield f"node {picture.node}, {shown[picture.node]}", numpy.stack(frames)
            shown[picture.node] += 1


def _frame(image: Image.Image, number: int) -> Image.Image:
    image.seek(number)
    return image


def _texts(entry: Entry, base: str) -> dict[str, Any]:
    """Everything that nodes show but pictures, without the folder of this run."""
    shown = {
        f"node {node}": {name: value for name, value in outputs.items() if name not in ("images", "animated")}
        for node, outputs in sorted(entry["outputs"].items())
    }
    return json.loads(json.dumps({node: value for node, value in shown.items() if value}).replace(base, "BASE"))


def _latents(server: Server, graphs: dict[str, Graph]) -> Iterator[tuple[str, numpy.ndarray[Any, Any]]]:
    output = server.base_directory / "output"
    for name, graph in graphs.items():
        before = set(output.glob("*.latent"))
        server.run(graph)
        (file,) = set(output.glob("*.latent")) - before
        yield f"latents/{name}", load_file(file)["latent_tensor"]
        print(name, file=sys.stderr, flush=True)


def write(recorded: Recorded, folder: Path) -> None:
    """Arrays as safetensors, the rest as JSON; pictures besides, for people."""
    arrays, texts, info = recorded
    folder.mkdir(parents=True, exist_ok=True)
    save_file({name: numpy.ascontiguousarray(array) for name, array in arrays.items()}, folder / ARRAYS)
    for name, value in ((TEXTS, texts), (INFO, info)):
        (folder / name).write_text(json.dumps(value, indent=1, sort_keys=True), encoding="utf-8")


def read(folder: Path) -> Recorded:
    """What `write` wrote."""
    texts, info = (json.loads((folder / name).read_text("utf-8")) for name in (TEXTS, INFO))
    return load_file(folder / ARRAYS), texts, info


def compared(before: Recorded, after: Recorded) -> Iterator[str]:
    """A line for everything that is not the same to the bit."""
    for name in sorted(before[0].keys() | after[0].keys()):
        yield from _two(name, before[0], after[0], _arrays)
    for kind, old, new in zip(("texts", "object_info"), before[1:], after[1:], strict=True):
        yield from _tree(kind, old, new)


def _two(name: str, before: Any, after: Any, differ: Callable[[str, Any, Any], Iterator[str]]) -> Iterator[str]:
    missing = [when for when, of in (("before", before), ("after", after)) if name not in of]
    if missing:
        yield f"{name}: not there {missing[0]}"
    else:
        yield from differ(name, before[name], after[name])


def _arrays(name: str, old: numpy.ndarray[Any, Any], new: numpy.ndarray[Any, Any]) -> Iterator[str]:
    if old.shape != new.shape:
        yield f"{name}: shape {old.shape} before, {new.shape} after"
    elif old.tobytes() != new.tobytes():
        apart = numpy.abs(old.astype(float) - new.astype(float))
        yield f"{name}: {numpy.count_nonzero(apart)} of {apart.size} numbers differ, by up to {apart.max():g}"


def _tree(path: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _two(f"{path}/{key}", _prefixed(path, old), _prefixed(path, new), _tree)
    elif old != new:
        yield f"{path}: {json.dumps(old)[:200]} before, {json.dumps(new)[:200]} after"


def _prefixed(path: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{path}/{key}": value for key, value in values.items()}
