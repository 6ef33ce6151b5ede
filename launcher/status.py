"""What the person at the keyboard sees while waiting: lines that stay, and one line that moves."""

from __future__ import annotations

import shutil
import sys
import time
from typing import TextIO

QUIET_SECONDS = 10.0  # between repeated lines where the output is no terminal
REDRAW_SECONDS = 0.2


class Status:
    """Progress on `stream`: on a terminal the moving line is redrawn, elsewhere it is printed now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream = stream or sys.stdout
        self.live = self.stream.isatty()
        self._last = time.monotonic()
        self._drawn = 0

    def say(self, text: str) -> None:
        """Print a line that stays."""
        self._wipe()
        self._write(text + "\n")
        self._last = time.monotonic()

    def show(self, text: str) -> None:
        """Say what is going on right now. May be called as often as one likes."""
        now = time.monotonic()
        if now - self._last < (REDRAW_SECONDS if self.live else QUIET_SECONDS):
            return
        if not self.live:
            self.say(f"  ... {text}")
            return
        self._wipe()
        shown = text[: shutil.get_terminal_size().columns - 1]
        self._write(shown)
        self._drawn, self._last = len(shown), now

    def _wipe(self) -> None:
        if self._drawn:
            self._write("\r" + " " * self._drawn + "\r")
            self._drawn = 0

    def _write(self, text: str) -> None:
        self.stream.write(text)
        self.stream.flush()


class Stopwatch:
    """Seconds since it was made, as a number and as text."""

    def __init__(self, started: float | None = None) -> None:
        self._started = time.monotonic() if started is None else started

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def __str__(self) -> str:
        seconds = self.seconds
        return f"{seconds:.1f} s" if seconds < 100 else f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"
