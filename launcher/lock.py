"""A lock between processes: a file that the operating system unlocks when its holder ends, however it ends."""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from .errors import LauncherError

POLL_SECONDS = 0.2
HELD_BY_ANOTHER = frozenset({errno.EAGAIN, errno.EACCES, errno.EDEADLK})


class Lock:
    """An exclusive lock on the file at `path`. The file itself stays: removing it would race with the next holder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor: int | None = None

    def try_acquire(self) -> bool:
        """Take the lock if it is free and say whether that worked."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            _lock(descriptor)
        except OSError as error:
            os.close(descriptor)
            if error.errno in HELD_BY_ANOTHER:
                return False
            raise LauncherError(
                f"Locking {self.path}: {error}. "
                "This disk cannot lock files; set IP_ADAPTER_NODES_CACHE to a folder on a local one."
            ) from error
        self._descriptor = descriptor
        return True

    def acquire(self, waiting: Callable[[], None] | None = None) -> None:
        """Take the lock; while another process has it, call `waiting` several times a second."""
        while not self.try_acquire():
            if waiting is not None:
                waiting()
            time.sleep(POLL_SECONDS)

    def release(self) -> None:
        """Give it back. Harmless without holding it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def locked(path: Path, waiting: Callable[[], None] | None = None) -> Generator[None, None, None]:
    """Hold the lock on `path` for the length of the block."""
    lock = Lock(path)
    lock.acquire(waiting)
    try:
        yield
    finally:
        lock.release()


if sys.platform == "win32":
    import msvcrt

    def _lock(descriptor: int) -> None:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
