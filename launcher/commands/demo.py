"""`run.py demo`: pictures that follow a picture, made by the shipped workflows in a real ComfyUI."""

from __future__ import annotations

import json
import os
import shutil
from argparse import ArgumentParser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..cache import make_cache
from ..client import pictures
from ..demo_workflows import TABLE
from ..errors import LauncherError
from ..folders import PICTURES, missing_weights
from ..host import prepare_host
from ..server import Server
from ..serving import running_server
from ..workflow import Graph, convert, substitute
from .command import Call, Command

DEFAULT_OUTPUT = "ip-adapter-demo"


@dataclass(frozen=True)
class Job:
    """One workflow with one reference picture."""

    workflow: str
    picture: Path
    caption: str
    graph: Graph

    @property
    def name(self) -> str:
        return f"{self.workflow} with {self.picture.name}"


def run(call: Call) -> int:
    """Make the pictures and say where they are."""
    absent = missing_weights(call.root)
    if absent:
        raise LauncherError(
            f"Looking for the demonstration model: {', '.join(absent)} not found below {call.root}. "
            "They belong to the repository: fetch it again, or train them with 'run.py dev demo-weights'."
        )
    cache = make_cache()
    output = output_folder(call.options.output, Path.cwd(), cache)
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
        for file_name, caption in table["pictures"].items():
            picture = root / PICTURES / file_name
            if not picture.is_file():
                raise LauncherError(
                    f"Reading {TABLE.name}: there is no {picture}. Fix the table or put the picture there."
                )
            jobs.append(Job(name, picture, caption, substitute(graph, {table["reference_input"]: file_name})))
    return jobs


def _make(server: Server, job: Job, output: Path, call: Call) -> list[Path]:
    """Run one job, put its pictures and its reference into `output`, and return where its pictures are."""
    entry = server.run(job.graph, report=lambda activity: call.status.show(f"{job.name}: {activity}"))
    paths: list[Path] = []
    saved = [picture for picture in pictures(entry) if picture.kind == "output"]  # the others are previews
    for number, picture in enumerate(saved, start=1):
        path = output / f"{job.workflow}_{job.picture.stem}_{number}{Path(picture.filename).suffix}"
        path.write_bytes(server.fetch(picture))
        paths.append(path)
    shutil.copyfile(job.picture, output / f"reference_{job.picture.name}")
    return paths


def output_folder(chosen: str | None, here: Path, cache: Path) -> Path:
    """A folder for the pictures: the chosen one, else one in `here`, else (where that is read-only) one in `cache`."""
    wanted = [Path(chosen).expanduser()] if chosen else [here / DEFAULT_OUTPUT, cache / DEFAULT_OUTPUT]
    for folder in wanted:
        with suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder.absolute()
    raise LauncherError(f"Making the output folder {wanted[0]}: it cannot be written. Choose another with --output.")


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--output", metavar="FOLDER", help=f"where the pictures go (default: ./{DEFAULT_OUTPUT})")


COMMAND = Command(
    name="demo",
    summary="make pictures that follow a reference picture",
    description="Set everything up, start ComfyUI on this machine, run the shipped workflows on the small "
    "demonstration model, and copy the pictures into a folder.",
    run=run,
    add_options=_add_options,
    needs="demo",
)
