"""`run.py demo-weights`: train the demonstration family."""

from __future__ import annotations

from ..cache import make_cache
from ..host import prepare_host
from .command import Call, Command
from .in_host import run_in_host

MODULE = "demo.training.stages"


def run(call: Call) -> int:
    """Run the named stage of the recipe and return its exit status."""
    return run_in_host(prepare_host(call.root, make_cache(), call.status), MODULE, call)


COMMAND = Command(
    name="demo-weights",
    summary="train the small demonstration model",
    description="Set everything up and run a stage of the demonstration model's training inside the host: "
    "run.py demo-weights STAGE [ARGUMENT ...]",
    run=run,
    passes_on="the training",
)
