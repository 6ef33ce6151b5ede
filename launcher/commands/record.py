"""`run.py dev record` and `run.py dev compare`: whether a change of the code changes what users get."""

from __future__ import annotations

from collections.abc import Callable

from ..cache import make_cache
from ..host import prepare_host
from .command import Call, Command
from .in_host import run_in_host

MODULE = "benchmarks.record"


def _running(what: str) -> Callable[[Call], int]:
    def run(call: Call) -> int:
        host = prepare_host(call.root, make_cache(), call.status, checks=True)
        return run_in_host(host, MODULE, call, what)

    return run


RECORD = Command(
    name="record",
    summary="keep what the nodes give, to compare a later state of the code with",
    description="Keep in a folder the pixels and texts of every shipped workflow on the demonstration family, the "
    "latents of ten graphs, and what the server says of our nodes: run.py dev record DIR",
    run=_running("record"),
    passes_on=MODULE,
    needs="benchmarks",
)
COMPARE = Command(
    name="compare",
    summary="tell what differs from what was recorded",
    description="Record anew and print what is not the same to the bit: run.py dev compare DIR. Exit status: 0 all "
    "equal, 1 something differs.",
    run=_running("compare"),
    passes_on=MODULE,
    needs="benchmarks",
)
