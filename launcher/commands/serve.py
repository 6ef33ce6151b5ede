"""`run.py serve`: the demonstration in the browser."""

from __future__ import annotations

from argparse import ArgumentParser

from ..cache import make_cache
from ..demo_workflows import PACK, write_demo_workflows
from ..errors import LauncherError
from ..folders import missing_weights
from ..host import prepare_host
from ..serving import running_server
from .command import Call, Command


def run(call: Call) -> int:
    """Serve until Ctrl-C; 0 then, and an error if the server ends by itself."""
    cache = make_cache()
    host = prepare_host(call.root, cache, call.status)
    for path in missing_weights(call.root):
        call.status.say(f"Without {path}: that file is not there, so its loader offers nothing.")
    with running_server(host, call.root, cache, call.status, call.options.port) as server:
        write_demo_workflows(call.root, server.base_directory, server.object_info())
        call.status.say(f"Open {server.url} in a browser. Workflow > Browse Templates > {PACK} holds every workflow")
        call.status.say("ready to run with the demonstration model; ip-adapter-nodes has them for published models.")
        call.status.say(f"Files of this run: {server.base_directory} (removed at the end). Ctrl-C stops it.")
        try:
            status = server.wait_for_exit()
        except KeyboardInterrupt:
            call.status.say("Stopping.")
            return 0
        raise LauncherError(
            f"Serving: the server ended by itself with status {status}. The end of its log:\n{server.log_tail()}"
        )


def _add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--port", type=int, help="port on 127.0.0.1 (default: a free one)")


COMMAND = Command(
    name="serve",
    summary="leave that ComfyUI running for your browser",
    description="Set everything up, start ComfyUI on this machine with the pack and the small demonstration model, "
    "print its address, and leave it running until Ctrl-C.",
    run=run,
    add_options=_add_options,
)
