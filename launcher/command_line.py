"""From the command line to a command, and from an error to a message."""

from __future__ import annotations

import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .commands import COMMANDS, Call, Command
from .errors import LauncherError
from .status import Status, Stopwatch

INTERRUPTED = 130
EPILOG = """\
The first run makes a Python environment and fetches ComfyUI 0.3.75 (about 3 GB and some minutes);
later runs start in seconds. Nothing is written into this folder, except demo's pictures if you are in it.

environment variables:
  COMFYUI_PATH             use this ComfyUI, with the Python that runs this command
                           (also without it, if this folder lies in a ComfyUI's custom_nodes)
  IP_ADAPTER_NODES_CACHE   where the environment, ComfyUI and temporary files are kept
  CHROME_PATH              the browser for the tests
pip's own settings (PIP_INDEX_URL, PIP_CACHE_DIR, ...) apply as usual.
"""


def main(arguments: Sequence[str], root: Path, started: float) -> int:
    """Run the command that `arguments` name and return the exit status."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType]
    # A launcher that is terminated, or whose terminal is closed, cleans up like an interrupted one.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):  # Windows has no SIGHUP
            signal.signal(getattr(signal, name), _interrupt)
    command, options, extra = parse(arguments)
    try:
        command.check(root)
        return command.run(Call(root, options, extra, Status(), Stopwatch(started)))
    except LauncherError as error:
        print(f"\nrun.py {command.name} failed.\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted.", file=sys.stderr)
        return INTERRUPTED


def parse(arguments: Sequence[str]) -> tuple[Command, Namespace, tuple[str, ...]]:
    """The command, its options, and the arguments it passes on. Exits like argparse on a wrong command line."""
    commands = {command.name: command for command in COMMANDS}
    own, extra = _split(arguments, commands)
    options = _parser().parse_args(own)
    return commands[options.command], options, extra


def _split(arguments: Sequence[str], commands: dict[str, Command]) -> tuple[list[str], tuple[str, ...]]:
    """Tell our arguments from those to pass on: all behind the name of a command that passes on, but for help."""
    own, rest = list(arguments[:1]), list(arguments[1:])
    command = commands.get(own[0]) if own else None
    if command is None or not command.passes_on or rest[:1] in (["-h"], ["--help"]):
        return list(arguments), ()
    return own, tuple(rest[1:] if rest[:1] == ["--"] else rest)


def _parser() -> ArgumentParser:
    parser = ArgumentParser(
        prog="run.py",
        description="IP-Adapter Nodes: let a picture be a prompt. Try it, serve it, check it, measure it.",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, title="commands")
    for command in COMMANDS:
        usage = f"%(prog)s [-h] [ARGUMENT ...]   (passed on to {command.passes_on})" if command.passes_on else None
        child = subparsers.add_parser(
            command.name, help=command.summary, description=command.description, usage=usage, allow_abbrev=False
        )
        command.add_options(child)
    return parser


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
