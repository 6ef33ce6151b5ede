"""`run.py models`: what files you have, what they are, and how to get the published ones."""

import signal
import sys
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import NoReturn

from ...ip_adapter.errors import AdapterError
from .host import ENVIRONMENT

ERROR, INTERRUPTED = 1, 130
# Ctrl-C brings the first, and then often the second from a launcher that was interrupted too.
ENDINGS = (signal.SIGINT, signal.SIGTERM)
# Name -> the module behind it, imported only when asked for, and what it does. Fetching a file needs no torch.
SUBCOMMANDS = {
    "list": ("listing", "list your adapter files and what each one is"),
    "get": ("getting", "fetch published files to where ComfyUI looks for them"),
    "inspect": ("inspection", "what one file is, and how that was decided"),
    "convert": ("conversion", "write an adapter of any layout as safetensors with the published names"),
}
SUMMARIES = "\n".join(f"  {name:<9}{summary}" for name, (_, summary) in SUBCOMMANDS.items())
EPILOG = f"""\
exit status: 0 fine, 1 an error that is explained, 2 a wrong command line, 130 interrupted

environment variables:
  {ENVIRONMENT:<14}the ComfyUI whose model folders are meant (also without it, if this pack lies in its custom_nodes)
  HF_ENDPOINT   another address of the Hugging Face hub, as of a mirror
  HF_TOKEN      your token for repositories that want to know who downloads
"""


def main(arguments: Sequence[str]) -> int:
    """Run the subcommand that `arguments` name and return the exit status."""
    for number in ENDINGS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as in what a shell script runs in the background
            signal.signal(number, _interrupt)
    name = _parser("run.py models", f"{__doc__}\n\n{SUMMARIES}", _add_subcommand).parse_args(arguments[:1]).subcommand
    module = import_module(f".{SUBCOMMANDS[name][0]}", __name__)
    parser = _parser(f"run.py models {name}", module.DESCRIPTION, module.add_options)
    options = parser.parse_args(arguments[1:])
    try:
        return module.run(options)
    except AdapterError as error:
        print(f"run.py models {name}: {error}", file=sys.stderr)
        return ERROR
    except KeyboardInterrupt:
        print("\nInterrupted. An unfinished download goes on when the same command is given again.", file=sys.stderr)
        return INTERRUPTED


def _add_subcommand(parser: ArgumentParser) -> None:
    parser.usage = "%(prog)s [-h] SUBCOMMAND ...   ('%(prog)s SUBCOMMAND --help' tells more)"
    parser.add_argument("subcommand", metavar="SUBCOMMAND", choices=SUBCOMMANDS, help=", ".join(SUBCOMMANDS))


def _parser(program: str, description: str, add_options: Callable[[ArgumentParser], None]) -> ArgumentParser:
    parser = ArgumentParser(
        program, description=description, epilog=EPILOG, formatter_class=RawDescriptionHelpFormatter
    )
    add_options(parser)
    return parser


def _interrupt(_: int, __: FrameType | None) -> NoReturn:
    for number in ENDINGS:
        signal.signal(number, signal.SIG_IGN)  # once is enough
    raise KeyboardInterrupt
