"""Find a Chromium-like browser for the tests that open the frontend."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from .errors import LauncherError
from .process import run
from .status import Status

VARIABLE = "IP_ADAPTER_NODES_BROWSER"
CHOSEN = "CHROME_PATH"
PROGRAMS = (
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    *("chrome", "microsoft-edge", "msedge"),
)
# The one command that brings a browser, for who has none.
HOW = (
    f"On Debian or Ubuntu run 'sudo python3 run.py test --with-browser', which installs Chromium; elsewhere install "
    f"Chromium, Chrome or Edge, or set {CHOSEN} to one."
)
PLACES = {
    "linux": ("/usr/bin/chromium", "/usr/bin/google-chrome", "/snap/bin/chromium"),
    "darwin": (
        "/Applications/Chromium.app/Contents/MacOS/Chromium",
        "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
        "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
    ),
    "win32": (
        r"%ProgramFiles%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Google\Chrome\Application\chrome.exe",
        r"%LocalAppData%\Google\Chrome\Application\chrome.exe",
        r"%ProgramFiles(x86)%\Microsoft\Edge\Application\msedge.exe",
        r"%ProgramFiles%\Microsoft\Edge\Application\msedge.exe",
    ),
}


def find_browser(environment: Mapping[str, str] = os.environ) -> str | None:
    """The path of an executable: the one chosen by CHROME_PATH, one on PATH, or one in a usual place."""
    chosen = environment.get(VARIABLE) or environment.get(CHOSEN)
    if chosen:
        return chosen if Path(chosen).is_file() else None
    on_path = (shutil.which(name, path=environment.get("PATH")) for name in PROGRAMS)
    places = (os.path.expandvars(place) for place in PLACES.get(sys.platform, ()))
    return next((path for path in (*on_path, *places) if path and Path(path).is_file()), None)


def ensure_browser(status: Status, wanted: bool = False, environment: Mapping[str, str] = os.environ) -> str | None:
    """A browser's path, None where a person's machine has none and none is wanted.

    Where one is wanted, as always in continuous integration, it is installed if that can be done, and LauncherError
    says what to do if not: tests that were left out must not look like tests that passed.
    """
    is_wanted = wanted or in_ci(environment)
    found = find_browser(environment)
    if found is None and is_wanted and _may_install():
        _install(status)
        found = find_browser(environment)
    if found is None and is_wanted:
        raise LauncherError(f"Looking for a browser for the browser tests: there is none. {HOW}")
    return found


def in_ci(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether this is continuous integration, by the variable that all its services set."""
    return environment.get("CI", "").lower() not in ("", "0", "false")


def _install(status: Status) -> None:
    status.say("No browser found; installing Debian's chromium for the browser tests ...")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-q"], environment=quiet)
    # Ubuntu's package of this name is a wrapper around a snap, which finds itself in a usual place.
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", "chromium"], environment=quiet)


def _may_install() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None
