"""A running server with the pack and the demonstration family in it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from .folders import base_directory
from .host import Host
from .server import Server
from .status import Status, Stopwatch


@contextmanager
def running_server(
    host: Host, root: Path, cache: Path, status: Status | None = None, port: int | None = None
) -> Generator[Server, None, None]:
    """Start `host` with the pack at `root` in a base directory of its own below `cache`; stop and clean up afterwards.

    With a `status` it says how the start goes. The server's `base_directory` is where its files are meanwhile.
    """
    with base_directory(root, cache / "runs") as folder:
        server = Server(host.python, host.path, folder, host.arguments(), port)
        watch = Stopwatch()
        try:
            server.start(report=lambda state: status.show(f"{state} ComfyUI: {watch}") if status else None)
            if status:
                status.say(f"ComfyUI answers at {server.url} after {watch} (device: {host.device}).")
            server.check_packs()
            yield server
        finally:
            server.stop()
