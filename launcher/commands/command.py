"""What a command is, and what it is given."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..errors import LauncherError
from ..status import Status, Stopwatch

CLONE = "Only a clone has it: git clone https://github.com/ip-adapter-nodes/ip-adapter-nodes"


@dataclass(frozen=True)
class Call:
    """One call of a command: the pack's root, what the command line said, and where to report."""

    root: Path
    options: Namespace
    extra: tuple[str, ...]  # arguments that a command passes on
    status: Status
    watch: Stopwatch  # since run.py began


def no_options(_: ArgumentParser) -> None:
    """For commands without options of their own."""


@dataclass(frozen=True)
class Command:
    """One row of the table. `run` returns the exit status; LauncherError is for what the user can mend."""

    name: str
    summary: str  # one line, for the list in --help
    description: str
    run: Callable[[Call], int]
    add_options: Callable[[ArgumentParser], None] = no_options
    passes_on: str = ""  # who gets the further arguments; empty if nobody does, and then they are an error
    needs: str = ""  # a folder of the repository that the registry's archive of the pack lacks

    def check(self, root: Path) -> None:
        """Raise LauncherError where the pack at `root` lacks what the command needs."""
        if not (root / self.needs).exists():
            raise LauncherError(f"Looking for {self.needs} below {root}: it is not there. {CLONE}")
