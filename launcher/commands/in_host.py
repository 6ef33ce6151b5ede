"""Run one of the pack's own modules inside the host's code (see `bootstrap.py`)."""

from __future__ import annotations

from pathlib import Path

from ..bootstrap import HOST_DEVICE_VARIABLE
from ..host import Host
from ..process import run as run_program
from .command import Call

BOOTSTRAP = Path(__file__).resolve().parent.parent / "bootstrap.py"


def run_in_host(host: Host, module: str, call: Call) -> int:
    """Call `module`'s `main` with the command's further arguments, on the device that the host would choose."""
    device = "cpu" if host.device == "cpu" else "auto"
    command = [host.python, str(BOOTSTRAP), str(host.path), module, *call.extra]
    return run_program(command, environment={HOST_DEVICE_VARIABLE: device})
