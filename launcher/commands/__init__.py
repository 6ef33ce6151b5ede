"""What `run.py` can do: one table, one file per command that is more than a module to run."""

from . import api, checks, demo, in_host, serve, texts
from .command import Call, Command

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    serve.COMMAND,
    checks.COMMAND,
    texts.COMMAND,
    api.COMMAND,
    in_host.MODELS,
    in_host.TRAIN,
    in_host.EVALUATE,
    in_host.BENCH,
    in_host.DEMO_WEIGHTS,
    in_host.DEMO_MEASURE,
    in_host.DEMO_EVALUATE,
    in_host.DEMO_ABLATIONS,
)

__all__ = ["COMMANDS", "Call", "Command"]
