"""`run.py dev api`: workflows in the format that a server's API takes, made anew from the shipped ones."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ..client import Client
from ..demo_workflows import demo_table
from ..errors import LauncherError
from ..workflow import Graph, convert, substitute
from .command import Call, Command

SERVER = "http://127.0.0.1:8188"


def run(call: Call) -> int:
    """Print one graph, or write each into a folder; 0."""
    options = call.options
    if options.output is None and len(options.workflows) > 1:
        raise LauncherError("Writing several workflows: say into which folder, with --output.")
    info = Client(options.server.rstrip("/")).object_info()
    for file in options.workflows:
        text = json.dumps(read_graph(file, info, options.demo), indent=2, ensure_ascii=False)
        if options.output is None:
            print(text)
        else:
            _write(options.output / file.name, text)
    return 0


def read_graph(file: Path, object_info: dict[str, Any], for_demo: bool = False) -> Graph:
    """The API graph of a saved workflow, with the demonstration family's files in it if asked."""
    try:
        workflow = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise LauncherError(f"Reading the workflow {file}: {error}.") from error
    graph = convert(workflow, object_info)
    return substitute(graph, demo_table(file.stem)) if for_demo else graph


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise LauncherError(f"Writing {path}: {error}. Choose another folder with --output.") from error


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("workflows", nargs="+", type=Path, metavar="WORKFLOW", help="as ComfyUI saves it")
    parser.add_argument("--server", default=SERVER, help="a running ComfyUI that has the nodes (default: %(default)s)")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="write files there, instead of printing")
    parser.add_argument("--demo", action="store_true", help="with the files of the demonstration model, as `serve` has")


COMMAND = Command(
    name="api",
    summary="write workflows in the format of the server's API",
    description="Ask a running ComfyUI what its nodes are and turn saved workflows into graphs that POST /prompt "
    "accepts. docs/headless.md shows what to do with them.",
    run=run,
    add_options=_add_options,
)
