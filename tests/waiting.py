"""Waiting for what other processes and threads do, on a machine of any speed."""

from __future__ import annotations

import time
from collections.abc import Callable

# Seconds. Nothing in the tests takes so long, however slow or busy the machine is: what takes it hangs.
HANG = 600.0
POLL_SECONDS = 0.02


def wait_until(
    happened: Callable[[], object], goes_on: Callable[[], bool] = lambda: True, told: Callable[[], str] = str
) -> None:
    """Return once `happened` gives something true; fail with what `told` gives when nobody goes on with it."""
    until = time.monotonic() + HANG
    while True:
        may_come = goes_on() and time.monotonic() < until  # asked first: it may happen just before they end
        if happened():
            return
        assert may_come, told()
        time.sleep(POLL_SECONDS)
