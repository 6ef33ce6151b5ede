"""What `run.py` can do: one table, one file per command."""

from . import bench, checks, demo, demo_weights, serve
from .command import Call, Command

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    serve.COMMAND,
    checks.COMMAND,
    bench.COMMAND,
    demo_weights.COMMAND,
)

__all__ = ["COMMANDS", "Call", "Command"]
