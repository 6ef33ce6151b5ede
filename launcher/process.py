"""Run a child program to its end, showing that it lives."""

from __future__ import annotations

import queue
import subprocess
import threading
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import IO

from .errors import LauncherError
from .server import child_environment
from .status import Status, Stopwatch

TICK_SECONDS = 0.5
END_TIMEOUT = 600.0  # seconds: a training that is asked to end finishes its step and saves
TAIL_LINES = 20


class CommandFailedError(LauncherError):
    """A child program ended with an error; `tail` is the end of what it printed."""

    def __init__(self, status: int, tail: str) -> None:
        super().__init__(f"it ended with status {status}:\n{tail}")
        self.tail = tail


def run(command: Sequence[str], folder: Path | None = None, environment: dict[str, str] | None = None) -> int:
    """Run `command` on this terminal and return its exit status. A child is never left behind."""
    with subprocess.Popen(list(command), cwd=folder, env=child_environment() | (environment or {})) as child:
        try:
            return child.wait()
        except BaseException:
            _end(child)
            raise


def run_quietly(
    command: Sequence[str], log: Path, status: Status, label: str, describe: Callable[[str], str] = str
) -> None:
    """Run `command` with its output in `log` (appended), showing `label`, the time and where it is.

    `describe` is given each line that it prints and answers with what to show. Raises CommandFailedError.
    """
    watch, last_words = Stopwatch(), ""
    tail: list[str] = []
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a", encoding="utf-8", errors="replace") as file, _spawn(command) as child:
        try:
            for line in _heard(child):
                file.write(line)
                tail = [*tail, *([line.rstrip()] if line else [])][-TAIL_LINES:]
                last_words = (describe(line.rstrip()) if line else "") or last_words
                status.show(f"{label}: {watch}{', ' + last_words if last_words else ''}")
        except BaseException:
            _end(child)
            raise
    if child.returncode:
        raise CommandFailedError(child.returncode, "\n".join(tail))


def _spawn(command: Sequence[str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        list(command),
        env=child_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )


def _heard(child: subprocess.Popen[str]) -> Generator[str, None, None]:
    """The child's lines as they come, and an empty one after every tick without any."""
    lines = _lines(child)
    while True:
        try:
            line = lines.get(timeout=TICK_SECONDS)
        except queue.Empty:
            line = ""
        if line is None:
            return
        yield line


def _lines(child: subprocess.Popen[str]) -> queue.Queue[str | None]:
    """The child's output line by line, then None. Read in a thread, because a pipe has no time-out on Windows."""
    lines: queue.Queue[str | None] = queue.Queue()
    assert child.stdout is not None, "the child was spawned with a pipe"

    def read(pipe: IO[str]) -> None:
        for line in pipe:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, args=(child.stdout,), daemon=True).start()
    return lines


def _end(child: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(END_TIMEOUT)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):  # it hangs, or somebody insists
        child.kill()
