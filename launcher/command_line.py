"""From the command line to a command, and from an error to a message."""

from __future__ import annotations

import signal
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from .commands import COMMANDS, DEV, DEV_COMMANDS, FOR_DEVELOPERS, Call, Command
from .errors import LauncherError
from .status import Status, Stopwatch

INTERRUPTED = 130
_DESCRIPTION = "IP-Adapter Nodes: let a picture be a prompt. Try it, serve it, find files for it, train one."
_DEV_SUMMARY = "more of them: 'run.py dev --help' lists these"
_DEV_DESCRIPTION = "What only the developers of IP-Adapter Nodes need."
EPILOG = """\
The first run makes a Python environment and fetches ComfyUI 0.3.75 (about 7 GB of disk and some minutes);
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
    if arguments[:1] == [DEV]:
        return _parsed(arguments[1:], DEV_COMMANDS, _parser(f"run.py {DEV}", _DEV_DESCRIPTION, DEV_COMMANDS))
    parser = _parser("run.py", _DESCRIPTION, (*COMMANDS, *FOR_DEVELOPERS))
    return _parsed(arguments, (*COMMANDS, *FOR_DEVELOPERS), parser)


def _parsed(
    arguments: Sequence[str], table: Sequence[Command], parser: ArgumentParser
) -> tuple[Command, Namespace, tuple[str, ...]]:
    commands = {command.name: command for command in table}
    own, extra = _split(arguments, commands)
    options = parser.parse_args(own)
    return commands[options.command], options, extra


def _split(arguments: Sequence[str], commands: dict[str, Command]) -> tuple[list[str], tuple[str, ...]]:
    """Tell our arguments from those to pass on: all behind the name of a command that passes on, but for help."""
    own, rest = list(arguments[:1]), list(arguments[1:])
    command = commands.get(own[0]) if own else None
    if command is None or not command.passes_on or rest[:1] in (["-h"], ["--help"]):
        return list(arguments), ()
    return own, tuple(rest[1:] if rest[:1] == ["--"] else rest)


def _parser(program: str, description: str, table: Sequence[Command]) -> ArgumentParser:
    parser = ArgumentParser(
        program,
        usage="%(prog)s [-h] COMMAND ...",
        description=f"{description}\n\n{_listed(table)}",
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    # Listed above under two headings, which argparse cannot do.
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True, help=SUPPRESS)
    for command in table:
        usage = (
            f"{program} {command.name} [-h] [ARGUMENT ...]   (passed on to {command.passes_on})"
            if command.passes_on
            else None
        )
        child = subparsers.add_parser(
            command.name,
            prog=f"{program} {command.name}",
            description=command.description,
            usage=usage,
            allow_abbrev=False,
        )
        command.add_options(child)
    return parser


def _listed(table: Sequence[Command]) -> str:
    """The commands with their summaries; those for developers under a heading of their own."""
    users = [command for command in table if command not in FOR_DEVELOPERS]
    lines = ["commands:", *map(_line, users)]
    developers = [command for command in table if command in FOR_DEVELOPERS]
    if developers:
        lines += ["", "for developers:", *map(_line, developers), f"  {DEV:<16}{_DEV_SUMMARY}"]
    return "\n".join(lines)


def _line(command: Command) -> str:
    return f"  {command.name:<16}{command.summary}"


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
