"""`run.py demo`: pictures that follow a picture, made by the shipped workflows in a real ComfyUI."""

from __future__ import annotations

import json
import os
import shutil
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cache import make_cache
from ..client import pictures
from ..errors import LauncherError
from ..folders import PICTURES, missing_weights
from ..host import prepare_host
from ..server import Server
from ..serving import running_server
from ..workflow import Graph, convert, substitute
from .command import Call, Command

# How the shipped workflows, made for published models, are run on the demonstration family. See the file.
TABLE = Path(__file__).resolve().parent.parent / "demo_files.json"
DEFAULT_OUTPUT = "ip-adapter-demo"


@dataclass(frozen=True)
class Job:
    """One workflow with one reference picture."""

    name: str
    caption: str
    graph: Graph


def run(call: Call) -> int:
    """Make the pictures and say where they are."""
    output = _output_folder(call.options.output)
    absent = missing_weights(call.root)
    if absent:
        raise LauncherError(
            f"Looking for the demonstration model: {', '.join(absent)} not found below {call.root}. "
            "They belong to the repository: fetch it again, or train them with 'run.py demo-weights'."
        )
    cache = make_cache()
    host = prepare_host(call.root, cache, call.status)
    with running_server(host, call.root, cache, call.status) as server:
        jobs = read_jobs(call.root, server.object_info())
        for number, job in enumerate(jobs):
            call.status.say(f"{job.name}: {job.caption}")
            for path in _make(server, job, output, call):
                call.status.say(f"  {path}")
            if number == 0:
                call.status.say(f"  First picture after {call.watch}.")
    call.status.say(f"Done after {call.watch}. The pictures are in {output}")
    return 0


def read_jobs(root: Path, object_info: dict[str, Any]) -> list[Job]:
    """Every workflow of the table with every reference picture of the table, ready to be queued."""
    table = json.loads(TABLE.read_text("utf-8"))
    jobs: list[Job] = []
    for name, changes in table["workflows"].items():
        workflow = json.loads((root / "workflows" / f"{name}.json").read_text("utf-8"))
        graph = substitute(convert(workflow, object_info), table["everywhere"] | changes)
        for picture, caption in table["pictures"].items():
            if not (root / PICTURES / picture).is_file():
                raise LauncherError(
                    f"Reading {TABLE.name}: there is no {PICTURES}/{picture}. Mend the table or put the picture there."
                )
            job_graph = substitute(graph, {table["reference_input"]: picture})
            jobs.append(Job(f"{name} with {picture}", caption, job_graph))
    return jobs


def _make(server: Server, job: Job, output: Path, call: Call) -> list[Path]:
    """Run one job, copy its pictures to `output`, and return where they are."""
    entry = server.run(job.graph, report=lambda activity: call.status.show(f"{job.name}: {activity}"))
    paths: list[Path] = []
    stem = job.name.replace(" with ", "_").rsplit(".", 1)[0]
    for picture in pictures(entry):
        if picture.kind != "output":
            continue  # previews
        ending = Path(picture.filename).suffix
        path = output / f"{stem}_{len(paths) + 1}{ending}"
        path.write_bytes(server.fetch(picture))
        paths.append(path)
    for reference in (call.root / PICTURES).glob("*"):
        if reference.name in job.name:
            shutil.copyfile(reference, output / f"reference_{reference.name}")
    return paths


def _output_folder(chosen: str | None) -> Path:
    folder = Path(chosen).expanduser() if chosen else Path.cwd() / DEFAULT_OUTPUT
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise LauncherError(f"Making the output folder {folder}: it cannot be written. Choose another with --output.")
    return folder.absolute()


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FOLDER", help=f"where the pictures go (default: ./{DEFAULT_OUTPUT})")


COMMAND = Command(
    name="demo",
    summary="make pictures that follow a reference picture",
    description="Set everything up, start ComfyUI on this machine, run the shipped workflows on the small "
    "demonstration model, and copy the pictures into a folder.",
    run=run,
    add_options=_add_options,
)
