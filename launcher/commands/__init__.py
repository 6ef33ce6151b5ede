"""What `run.py` can do: two tables, one file per command that is more than a module to run."""

from . import api, checks, demo, in_host, record, serve, texts
from .command import Call, Command

# What users need, then, under a heading of their own, what developers know by these names.
COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    serve.COMMAND,
    in_host.MODELS,
    in_host.TRAIN,
    in_host.EVALUATE,
)
FOR_DEVELOPERS: tuple[Command, ...] = (checks.COMMAND, in_host.BENCH)
# Behind `run.py dev`.
DEV = "dev"
DEV_COMMANDS: tuple[Command, ...] = (
    texts.COMMAND,
    api.COMMAND,
    record.RECORD,
    record.COMPARE,
    in_host.DEMO_WEIGHTS,
    in_host.DEMO_MEASURE,
    in_host.DEMO_EVALUATE,
    in_host.DEMO_ABLATIONS,
)

__all__ = ["COMMANDS", "DEV", "DEV_COMMANDS", "FOR_DEVELOPERS", "Call", "Command"]
