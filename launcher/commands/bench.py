"""`run.py bench`: the bare host against the host with the adapter."""

from __future__ import annotations

from ..cache import make_cache
from ..host import prepare_host
from .command import Call, Command
from .in_host import run_in_host

MODULE = "benchmarks.__main__"


def run(call: Call) -> int:
    """Run `benchmarks/__main__.py` with the further arguments and return its exit status."""
    return run_in_host(prepare_host(call.root, make_cache(), call.status, checks=True), MODULE, call)


COMMAND = Command(
    name="bench",
    summary="measure what the adapter costs",
    description="Set everything up and run the benchmarks inside the host. Further arguments go to them.",
    run=run,
    passes_on="the benchmarks",
)
