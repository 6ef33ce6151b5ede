"""Draws the thumbnails of the shipped workflows on the demonstration family, each on a real server.

`python3 launcher/bootstrap.py COMFYUI demo.thumbnails [NAME ...]`, where COMFYUI is a ComfyUI's folder.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import folder_paths
from PIL import Image

from ..launcher.client import pictures
from ..launcher.demo_workflows import demo_table
from ..launcher.host import Host
from ..launcher.server import Server
from ..launcher.serving import running_server
from ..launcher.workflow import Graph, convert, substitute

ROOT = Path(__file__).resolve().parent.parent
HEIGHT, WIDTH, LIMIT = 256, 768, 20_000  # of one row, at most; the limit in bytes
COLUMNS = 4
WITH_PREVIEW = {"18_layer_table", "29_train_an_adapter"}  # whose previews say what they are about


def _shown(server: Server, graph: Graph, previews: bool) -> list[Image.Image]:
    """What the graph saves, then what it previews where that is wanted, each in the order of their nodes."""
    kinds = {"SaveImage", "PreviewImage"} if previews else {"SaveImage"}
    made = [picture for picture in pictures(server.run(graph)) if graph[picture.node]["class_type"] in kinds]
    made.sort(key=lambda picture: (picture.kind, list(graph).index(picture.node), picture.filename))
    return [Image.open(io.BytesIO(server.fetch(picture))).convert("RGB") for picture in made]


def _row(shown: list[Image.Image], width: int) -> Image.Image:
    """Side by side, all of one height, together as wide as is said."""
    height = round(width / sum(picture.width / picture.height for picture in shown))
    row, left = Image.new("RGB", (width, height), "white"), 0
    for picture in shown:
        scaled = picture.resize((round(picture.width * height / picture.height), height))
        row.paste(scaled, (left, 0))
        left += scaled.width
    return row


def _sheet(shown: list[Image.Image]) -> Image.Image:
    """In rows of at most COLUMNS, each as wide as the others."""
    rows = [shown[start : start + COLUMNS] for start in range(0, len(shown), COLUMNS)]
    width = min(WIDTH, round(HEIGHT * sum(picture.width / picture.height for picture in rows[0])))
    strips = [_row(row, width) for row in rows]
    sheet, top = Image.new("RGB", (width, sum(strip.height for strip in strips))), 0
    for strip in strips:
        sheet.paste(strip, (0, top))
        top += strip.height
    return sheet


def _save(picture: Image.Image, file: Path) -> None:
    """As large and as good as the limit allows."""
    for shrunk in (picture, picture.reduce(2), picture.reduce(3)):
        for quality in (90, 80, 70, 60, 50):
            shrunk.save(file, quality=quality)
            if file.stat().st_size < LIMIT:
                return
    raise ValueError(f"{file} has {file.stat().st_size} bytes, more than {LIMIT}, however small it is drawn.")


def main(arguments: Sequence[str]) -> None:
    """Writes them beside the workflows, those of all or of the named ones."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="of workflows, without .json")
    names = parser.parse_args(arguments).names or sorted(file.stem for file in (ROOT / "workflows").glob("*.json"))
    host = Host(Path(folder_paths.base_path), sys.executable)
    with tempfile.TemporaryDirectory() as cache, running_server(host, ROOT, Path(cache)) as server:
        info = server.object_info()
        for name in names:
            saved = json.loads((ROOT / "workflows" / f"{name}.json").read_text("utf-8"))
            graph = substitute(convert(saved, info), demo_table(name))
            _save(_sheet(_shown(server, graph, name in WITH_PREVIEW)), ROOT / "workflows" / f"{name}.jpg")
