"""Commands that run one of the pack's own modules inside the host's code (see `bootstrap.py`)."""

from __future__ import annotations

from pathlib import Path

from ..bootstrap import HOST_DEVICE_VARIABLE
from ..cache import make_cache
from ..host import Host, prepare_host
from ..process import run as run_program
from .command import Call, Command

BOOTSTRAP = Path(__file__).resolve().parent.parent / "bootstrap.py"


def run_in_host(host: Host, module: str, call: Call) -> int:
    """Call `module`'s `main` with the command's further arguments, on the device that the host would choose."""
    device = "cpu" if host.device == "cpu" else "auto"
    command = [host.python, str(BOOTSTRAP), str(host.path), module, *call.extra]
    return run_program(command, environment={HOST_DEVICE_VARIABLE: device})


def host_command(name: str, module: str, summary: str, description: str) -> Command:
    """The command that sets everything up and calls `module`'s `main(arguments)` inside the host."""

    def run(call: Call) -> int:
        return run_in_host(prepare_host(call.root, make_cache(), call.status), module, call)

    return Command(name=name, summary=summary, description=description, run=run, passes_on=module)


BENCH = host_command(
    "bench",
    "benchmarks.__main__",
    "measure what the adapter costs",
    "Set everything up and run the benchmarks inside the host. Further arguments go to them.",
)
DEMO_WEIGHTS = host_command(
    "demo-weights",
    "demo.training.stages",
    "train the small demonstration model",
    "Set everything up and run a stage of the demonstration model's training inside the host: "
    "run.py demo-weights STAGE --folder FOLDER [ARGUMENT ...]",
)
DEMO_MEASURE = host_command(
    "demo-measure",
    "demo.measure",
    "measure the small demonstration model",
    "Set everything up and measure inside the host how well the demonstration model follows text and picture: "
    "run.py demo-measure --output FOLDER [--cases N]",
)
